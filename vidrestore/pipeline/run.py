"""``restore_video``: open, connect, write, report."""

from contextlib import AbstractContextManager, ExitStack
from os import PathLike
from pathlib import Path

from vidrestore.devices import resolve_device, resolve_precision
from vidrestore.errors import ConfigError, MediaError
from vidrestore.faces.config import DetectorConfig
from vidrestore.media import Sink, Source, VideoInfo, open_sink, open_source, prefetched
from vidrestore.media.sidebyside import side_by_side, side_by_side_geometry
from vidrestore.pipeline.networks import load_detector, load_restorer
from vidrestore.pipeline.report import RestoreReport, Tally
from vidrestore.pipeline.settings import RestoreSettings
from vidrestore.pipeline.stages import Stages
from vidrestore.progress import Progress, ProgressCallback, Stage, silent
from vidrestore.stopwatch import Stopwatch
from vidrestore.types import DisplayGeometry

_READ_AHEAD_FRAMES = 4
_BATCH_SIZE = {"cpu": 4, "cuda": 16}


def restore_video(
    source: str | PathLike[str],
    output: str | PathLike[str],
    *,
    settings: RestoreSettings | None = None,
    on_progress: ProgressCallback = silent,
) -> RestoreReport:
    """Restore the faces of a film, a folder of frames or a picture.

    Everything but the faces is carried over: samples, time stamps, sound, subtitles, chapters and
    metadata. ``output`` appears when it is whole, and not at all if this raises.

    Args:
        source: What to restore.
        output: What to write; its suffix chooses the container, without one it is a folder.
        settings: What to do; the defaults where None.
        on_progress: Called after every frame, on this thread; what it raises stops the run.

    Raises:
        VidrestoreError: With a message that names the file or setting and says what to do.
    """
    settings = settings or RestoreSettings()
    return _Run(Path(source), Path(output), settings, on_progress).restored()


class _Run:
    """One restoration."""

    def __init__(
        self, source: Path, output: Path, settings: RestoreSettings, on_progress: ProgressCallback
    ) -> None:
        self._source_path = source
        self._output_path = output
        self._settings = settings
        self._on_progress = on_progress
        self._stopwatch = Stopwatch()
        self._tally = Tally()
        self._frames_total: int | None = None
        if settings.compare is not None and settings.compare.resolve() == output.resolve():
            raise ConfigError(f"--compare {settings.compare}: this is the output itself")

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
            # Both outputs are opened before the networks: what cannot be written is refused now.
            sink = stack.enter_context(self._sink(source, self._output_path))
            compared = self._comparison(source, stack)
            with self._stopwatch.stage("load"):
                stages = self._stages(source.info)
            frames = prefetched(self._stopwatch.timed("decode", source), size=_READ_AHEAD_FRAMES)
            for finished in stages.finished(frames):
                with self._stopwatch.stage("write"):
                    sink.write(finished.frame)
                    if compared is not None:
                        before = finished.toned.restored.frame
                        compared.write(side_by_side(before, finished.frame, stages.geometry))
                self._tally.add(finished.toned.restored, one_tone=finished.toned.one_tone)
                self._tell("restoring")
            if not self._tally.frames:
                raise MediaError(
                    f"{self._source_path}: no frame lies in the part asked for; "
                    "check --start and --end"
                    if settings.start_seconds or settings.end_seconds
                    else f"{self._source_path}: not a single frame could be read"
                )
            self._tell("finishing")
        return self._report(stages, source, sink)

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

    def _comparison(self, source: Source, stack: ExitStack) -> Sink | None:
        target = self._settings.compare
        if target is None:
            return None
        geometry = side_by_side_geometry(source.info.geometry, source.info.pixel_format)
        return stack.enter_context(self._sink(source, target, geometry))

    def _stages(self, info: VideoInfo) -> Stages:
        settings = self._settings
        device = resolve_device(settings.device)
        dtype = resolve_precision(settings.precision, device)
        return Stages(
            detector=load_detector(settings.detector, device=device, config=DetectorConfig()),
            restorer=load_restorer(settings.model, device=device, dtype=dtype),
            geometry=info.geometry,
            settings=settings,
            batch_size=settings.batch_size or _BATCH_SIZE[device.type],
            stopwatch=self._stopwatch,
        )

    def _tell(self, stage: Stage) -> None:
        self._on_progress(
            Progress(
                stage=stage,
                frames_done=self._tally.frames,
                frames_total=self._frames_total,
                faces_done=self._tally.faces,
            )
        )

    def _report(self, stages: Stages, source: Source, sink: Sink) -> RestoreReport:
        notes = list(sink.notes)
        if not self._tally.faces:
            notes.append("no faces were found; the picture is unchanged")
        if source.repaired_timestamps:
            notes.append(
                f"{source.repaired_timestamps} frames without a usable time were given one"
            )
        return RestoreReport(
            frames=self._tally.frames,
            faces=self._tally.faces,
            shot_records=self._tally.shot_records(),
            track_records=self._tally.track_records(),
            timing=self._stopwatch.seconds,
            device=str(stages.restorer.device),
            precision=str(stages.restorer.dtype).removeprefix("torch."),
            model=self._settings.model,
            damaged_packets=source.damaged_packets,
            notes=tuple(notes),
        )


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
