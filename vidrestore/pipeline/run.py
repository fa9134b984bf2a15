"""``restore_video``: open, connect, write, report."""

from contextlib import AbstractContextManager, ExitStack, nullcontext
from os import PathLike
from pathlib import Path

import torch

from vidrestore.devices import resolve_device, resolve_precision
from vidrestore.errors import ConfigError, MediaError
from vidrestore.faces.config import DetectorConfig
from vidrestore.media import Sink, Source, VideoInfo, open_sink, open_source, prefetched
from vidrestore.media.publish import Pending, check_target, pending_file, place_of
from vidrestore.media.sidebyside import side_by_side, side_by_side_geometry
from vidrestore.pipeline.background import Background, EnlargedSource, refuse_interlaced
from vidrestore.pipeline.networks import (
    DownloadCallback,
    load_detector,
    load_restorer,
    not_shown,
)
from vidrestore.pipeline.record import checkpoint_sha256, frame_record, record_header
from vidrestore.pipeline.report import RestoreReport, Tally
from vidrestore.pipeline.settings import RestoreSettings
from vidrestore.pipeline.stages import Stages
from vidrestore.pipeline.upscaler import load_upscaler
from vidrestore.progress import Progress, ProgressCallback, Stage, silent
from vidrestore.record import RecordWriter
from vidrestore.stopwatch import Stopwatch
from vidrestore.types import DisplayGeometry, FinishedFrame, Frame

_READ_AHEAD_FRAMES = 4
_BATCH_SIZE = {"cpu": 4, "cuda": 16}


def restore_video(
    source: str | PathLike[str],
    output: str | PathLike[str],
    *,
    settings: RestoreSettings | None = None,
    on_progress: ProgressCallback = silent,
    on_download: DownloadCallback = not_shown,
) -> RestoreReport:
    """Restore the faces of a film, a folder of frames or a picture.

    Everything but the faces is carried over: samples, time stamps, sound, subtitles, chapters and
    metadata. ``output`` appears when it is whole, and not at all if this raises.

    Args:
        source: What to restore.
        output: What to write; its suffix chooses the container, without one it is a folder.
        settings: What to do; the defaults where None.
        on_progress: Called after every frame, on this thread; what it raises stops the run.
        on_download: Told the name of a checkpoint that is fetched, its bytes here and in all.

    Raises:
        VidrestoreError: With a message that names the file or setting and says what to do.
    """
    settings = settings or RestoreSettings()
    return _Run(Path(source), Path(output), settings, on_progress, on_download).restored()


class _Run:
    """One restoration."""

    def __init__(
        self,
        source: Path,
        output: Path,
        settings: RestoreSettings,
        on_progress: ProgressCallback,
        on_download: DownloadCallback,
    ) -> None:
        self._source_path = source
        self._output_path = output
        self._settings = settings
        self._on_progress = on_progress
        self._on_download = on_download
        self._notes: list[str] = []
        self._stopwatch = Stopwatch()
        self._tally = Tally()
        self._frames_total: int | None = None
        others = {"--compare": settings.compare, "--record": settings.record}
        taken = [place_of(output)]
        for option, path in others.items():
            if path is not None and place_of(path) in taken:
                raise ConfigError(f"{option} {path}: this is the output, or another of the outputs")
            taken += [] if path is None else [place_of(path)]

    def restored(self) -> RestoreReport:
        """Do it."""
        settings = self._settings
        self._tell("starting")
        with ExitStack() as stack:
            source = stack.enter_context(
                open_source(
                    self._source_path,
                    start_seconds=settings.start_seconds,
                    end_seconds=settings.end_seconds,
                    fps=settings.fps,
                )
            )
            self._frames_total = _frames_expected(source.info, settings)
            with self._stopwatch.stage("load"):
                background = self._background(source.info)
            scale = 1 if background is None else background.scale
            shown = EnlargedSource(source=source, scale=scale)
            record = stack.enter_context(self._record_file())
            # Both outputs are opened before the other networks: what cannot be written is
            # refused now.
            sink = stack.enter_context(self._sink(shown, self._output_path))
            compared = self._comparison(shown, stack)
            with self._stopwatch.stage("load"):
                stages = self._stages(source.info, background)
                writer = self._record_writer(record, stages, source.info)
            if writer is not None:
                stack.enter_context(writer)
            frames = prefetched(self._stopwatch.timed("decode", source), size=_READ_AHEAD_FRAMES)
            for finished in stages.finished(stages.analysed(frames)):
                with self._stopwatch.stage("write"):
                    sink.write(finished.frame)
                    if compared is not None:
                        compared.write(_compared(finished, stages))
                if writer is not None:
                    writer.add(frame_record(finished, strength=settings.strength))
                self._tally.add(finished)
                self._tell("restoring")
            if not self._tally.frames:
                raise MediaError(
                    f"{self._source_path}: no frame lies in the part asked for; "
                    "check --start and --end"
                    if settings.start_seconds or settings.end_seconds
                    else f"{self._source_path}: not a single frame could be read"
                )
            if writer is not None and record is not None:
                writer.finish()
                record.whole = True
            self._tell("finishing")
        outputs = [sink] if compared is None else [sink, compared]
        return self._report(stages, source, outputs)

    def _sink(
        self, source: Source, target: Path, geometry: DisplayGeometry | None = None
    ) -> AbstractContextManager[Sink]:
        settings = self._settings
        return open_sink(
            target,
            source=source,
            source_path=self._source_path,
            settings=settings.encoder_settings(),
            overwrite=settings.overwrite,
            drop_unsupported=settings.drop_unsupported,
            geometry=geometry,
        )

    def _record_file(self) -> AbstractContextManager[Pending | None]:
        target = self._settings.record
        if target is None:
            return nullcontext()
        check_target(target, source_path=self._source_path, overwrite=self._settings.overwrite)
        return pending_file(target, overwrite=self._settings.overwrite)

    def _record_writer(
        self, record: Pending | None, stages: Stages, info: VideoInfo
    ) -> RecordWriter | None:
        if record is None:
            return None
        header = record_header(
            self._settings,
            info,
            self._output_path,
            checkpoint_sha256=checkpoint_sha256(self._settings.model),
            detail=stages.restorer.detail,
            scale=1 if stages.background is None else stages.background.scale,
        )
        return RecordWriter(record.path, header)

    def _comparison(self, source: Source, stack: ExitStack) -> Sink | None:
        target = self._settings.compare
        if target is None:
            return None
        geometry = side_by_side_geometry(source.info.geometry, source.info.pixel_format)
        return stack.enter_context(self._sink(source, target, geometry))

    def _background(self, info: VideoInfo) -> Background | None:
        settings = self._settings
        if settings.background is None:
            return None
        refuse_interlaced(info)
        device = resolve_device(settings.device)
        dtype = resolve_precision(settings.precision, device)
        if settings.precision == "auto" and dtype == torch.bfloat16:
            # Its 8 bits are enough for features, and too few for the samples of deeper films.
            dtype = torch.float16 if device.type == "cuda" else dtype
            dtype = dtype if info.bit_depth == 8 else torch.float32
        upscaler = load_upscaler(settings.background, device=device, dtype=dtype)
        self._note_precision(str(settings.background), upscaler.dtype, dtype)
        return Background(upscaler, info.geometry, on_share=self._tell_share)

    def _stages(self, info: VideoInfo, background: Background | None) -> Stages:
        settings = self._settings
        device = resolve_device(settings.device)
        dtype = resolve_precision(settings.precision, device)
        detector = load_detector(
            settings.detector,
            device=device,
            config=DetectorConfig(),
            on_download=self._on_download,
        )
        restorer = load_restorer(
            settings.model,
            device=device,
            dtype=dtype,
            fidelity=settings.fidelity,
            detail=settings.detail,
            on_download=self._on_download,
        )
        self._note_precision(settings.model, restorer.dtype, dtype)
        return Stages(
            detector=detector,
            restorer=restorer,
            geometry=info.geometry,
            settings=settings,
            batch_size=settings.batch_size or _BATCH_SIZE[device.type],
            stopwatch=self._stopwatch,
            background=background,
            whole_batches=info.kind != "picture",
        )

    def _note_precision(self, name: str, found: torch.dtype, wanted: torch.dtype) -> None:
        if found != wanted:
            self._notes.append(
                f"{name} does not run in {_plain(wanted)}: it ran in {_plain(found)}"
            )

    def _tell_share(self, frame_share: float) -> None:
        # The whole frame is told when it is written.
        if frame_share < 1.0:
            self._tell("restoring", frame_share)

    def _tell(self, stage: Stage, frame_share: float = 0.0) -> None:
        self._on_progress(
            Progress(
                stage=stage,
                frames_done=self._tally.frames,
                frames_total=self._frames_total,
                faces_done=self._tally.faces,
                frame_share=frame_share,
            )
        )

    def _report(self, stages: Stages, source: Source, outputs: list[Sink]) -> RestoreReport:
        notes = [*self._notes, *outputs[0].notes]
        background = stages.background
        if background is not None:
            notes += _background_notes(background)
        if (most := stages.restorer.most_at_once) is not None:
            notes.append(
                f"memory ran out on {stages.restorer.device}: faces were restored {most} at once "
                f"from then on; --batch-size {most} does so from the start"
            )
        if not self._tally.faces:
            unchanged = "" if background is not None else "; the picture is unchanged"
            notes.append(f"no faces were found{unchanged}")
        if source.repaired_timestamps:
            notes.append(
                f"{source.repaired_timestamps} frames without a usable time were given one"
            )
        return RestoreReport(
            frames=self._tally.frames,
            faces=self._tally.faces,
            shot_records=self._tally.shot_records(),
            track_records=self._tally.track_records(),
            timing={
                **self._stopwatch.seconds,
                "encode": sum(each.encode_seconds for each in outputs),
            },
            device=str(stages.restorer.device),
            precision=_plain(stages.restorer.dtype),
            model=self._settings.model,
            checkpoint_sha256=checkpoint_sha256(self._settings.model),
            detail=stages.restorer.detail,
            background=None if background is None else background.upscaler.kind,
            scale=1 if background is None else background.scale,
            damaged_packets=source.damaged_packets,
            reasons=dict(self._tally.reasons),
            notes=tuple(notes),
        )


def _compared(finished: FinishedFrame, stages: Stages) -> Frame:
    before, geometry = finished.source, stages.geometry
    if stages.background is not None:
        before = stages.background.enlarged_plainly(before)
        geometry = stages.background.geometry
    return side_by_side(before, finished.frame, geometry)


def _background_notes(background: Background) -> list[str]:
    upscaler = background.upscaler
    done = f"enlarged {upscaler.scale} times" if upscaler.scale > 1 else "cleaned"
    notes = [
        f"the whole picture was {done} by {upscaler.path.name} ({upscaler.kind}): no sample of it "
        "is the source's"
    ]
    if background.interlaced_count:
        notes.append(
            f"{background.interlaced_count} frames are interlaced and were enlarged as they are, "
            "two moments mixed"
        )
    return notes


def _plain(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _frames_expected(info: VideoInfo, settings: RestoreSettings) -> int | None:
    """Return how many frames a run will see, as far as the source says."""
    total = info.frame_count_estimate
    if total is None or info.duration_seconds is None or info.duration_seconds <= 0:
        return total
    start = float(settings.start_seconds or 0)
    end = float(settings.end_seconds) if settings.end_seconds is not None else None
    length = min(end, info.duration_seconds) if end is not None else info.duration_seconds
    share = max(0.0, length - start) / info.duration_seconds
    return max(1, round(total * min(1.0, share)))
