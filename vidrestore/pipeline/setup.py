"""Prepares a restoration: opens the source and loads the networks, but runs nothing yet."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch

from vidrestore.devices import BATCH_SIZE, prepare_device, resolve_device, resolve_precision
from vidrestore.media.input.source import Source
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.pipeline.background.upscale_frames import (
    Background,
    reject_interlaced,
)
from vidrestore.pipeline.background.upscaled_source import UpscaledSource
from vidrestore.pipeline.field_stages import FieldMode
from vidrestore.pipeline.loading.checkpoints import checkpoint_fields
from vidrestore.pipeline.loading.load_models import (
    DownloadCallback,
    load_detector,
    load_restorer,
    not_shown,
)
from vidrestore.pipeline.loading.load_upscaler import load_upscaler
from vidrestore.pipeline.loading.model_facts import BackgroundFacts, ModelFacts
from vidrestore.pipeline.report import RestoreReport, Tally
from vidrestore.pipeline.side_by_side import side_by_side, side_by_side_geometry
from vidrestore.pipeline.stages import Stages
from vidrestore.safeguard.identity import IdentityMeter, packaged_dlib_resnet
from vidrestore.settings import RestoreSettings
from vidrestore.stage_timer import Stopwatch
from vidrestore.types import DisplayGeometry, FinishedFrame, Frame


@dataclass(slots=True, kw_only=True, eq=False)
class Setup:
    """Everything a restoration needs besides frames; networks are loaded after opening outputs."""

    source: Source
    settings: RestoreSettings
    fields: FieldMode = field(default_factory=FieldMode)
    """Whether frames are restored whole or as fields."""
    is_interlaced: bool = False
    """Whether frames are known to be made of two fields."""
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    notes: list[str] = field(default_factory=list[str])
    """Notes for the user about the film and the networks."""
    on_download: DownloadCallback = not_shown
    on_share: Callable[[float], None] = lambda _share: None
    """Called with the share of the current frame that is enlarged."""

    def background(self) -> Background | None:
        """Load the network for the whole picture; None if there is no background setting.

        Raises:
            MediaError: The film is interlaced.
            UnknownModelError: There is no such network.
            WeightsError: The checkpoint does not load.
            ConfigError: The network does not support this scale.
        """
        settings, info = self.settings, self.source.info
        if settings.background is None:
            return None
        reject_interlaced(info, is_interlaced=self.is_interlaced)
        device = resolve_device(settings.device)
        prepare_device(device)
        dtype = resolve_precision(settings.precision, device)
        if settings.precision == "auto" and dtype == torch.bfloat16:
            # The 8 bits of bf16 are enough for features, but not for samples of deeper films.
            dtype = torch.float16 if device.type == "cuda" else dtype
            dtype = dtype if info.bit_depth == 8 else torch.float32
        with self.stopwatch.stage("load"):
            upscaler = load_upscaler(
                settings.background, device=device, dtype=dtype, scale=settings.scale
            )
        self._note_precision(str(settings.background), upscaler.dtype, dtype)
        return Background(upscaler, info.geometry, on_share=self.on_share)

    def stages(self, background: Background | None) -> Stages:
        """Load detector and restorer, and connect the stages.

        Raises:
            VidrestoreError: A network is not available, or does not run here.
        """
        settings, info = self.settings, self.source.info
        device = resolve_device(settings.device)
        prepare_device(device)
        dtype = resolve_precision(settings.precision, device)
        with self.stopwatch.stage("load"):
            detector = load_detector(
                settings.detector,
                device=device,
                on_download=self.on_download,
            )
            restorer = load_restorer(
                settings.model,
                device=device,
                dtype=dtype,
                fidelity=settings.fidelity,
                detail=settings.detail,
                on_download=self.on_download,
            )
            if settings.gpu_stages and device.type == "cuda":
                restorer.record_networks()
            meter = None
            if settings.safeguard > 0:
                # On a GPU it takes no time, in any format.
                meter_dtype = dtype if device.type == "cpu" else torch.float32
                meter = IdentityMeter(packaged_dlib_resnet(), device=device, dtype=meter_dtype)
        self._note_precision(settings.model, restorer.dtype, dtype)
        return Stages(
            detector=detector,
            restorer=restorer,
            geometry=info.geometry,
            settings=settings,
            batch_size=settings.batch_size or BATCH_SIZE[device.type],
            stopwatch=self.stopwatch,
            fields=self.fields if background is None else FieldMode(),
            background=background,
            pad_batches=info.kind != "picture",
            meter=meter,
        )

    def shown_source(self, scale: int) -> UpscaledSource:
        """Return the source as its outputs see it, ``scale`` times larger."""
        return UpscaledSource(source=self.source, scale=scale)

    def report(
        self,
        facts: ModelFacts,
        tally: Tally,
        *,
        notes: Iterable[str],
        timing: Mapping[str, float],
        segments: int,
        damaged_packets: int,
        repaired_timestamps: int,
    ) -> RestoreReport:
        """Return the report of the run.

        Args:
            facts: Description of the networks.
            tally: Counts of what they restored.
            notes: Notes of the output.
            timing: Seconds by stage.
            segments: Number of segments that the film was restored in.
            damaged_packets: Damaged packets of the source.
            repaired_timestamps: Frames of the source without a valid timestamp.
        """
        background = facts.background
        all_notes = [*self.notes, *notes, *_background_notes(background, tally)]
        if self.settings.repair:
            counts = [f"{count} {name}" for name, count in tally.repairs.items() if count]
            all_notes.append(f"repaired: {', '.join(counts) or 'nothing was found'}")
        if not tally.faces:
            is_changed = background is not None or any(tally.repairs.values())
            unchanged = "" if is_changed else "; the picture is unchanged"
            reason = "all faces were skipped" if tally.reasons else "no faces were found"
            all_notes.append(f"{reason}{unchanged}")
        missing = tally.cadence.missing()
        if missing is not None:
            all_notes.append(str(missing))
        batch_size = facts.reduced_batch_size
        if batch_size is not None:
            all_notes.append(f"out of memory: the batch size was reduced to {batch_size}")
        if facts.recording_failure is not None:
            all_notes.append(
                "the restorer could not be recorded as a CUDA graph, and ran step by step: "
                + facts.recording_failure
            )
        if repaired_timestamps:
            all_notes.append(
                f"{repaired_timestamps} frames had no valid timestamp and got a new one"
            )
        return RestoreReport(
            frames=tally.frames,
            faces=tally.faces,
            shot_records=tally.shot_records(),
            track_records=tally.track_records(),
            timing=dict(timing),
            device=facts.device,
            precision=facts.precision,
            model=self.settings.model,
            **checkpoint_fields(self.settings.model, scale=facts.scale, detail=facts.detail),
            detail=facts.detail,
            background=None if background is None else background.kind,
            scale=facts.scale,
            damaged_packets=damaged_packets,
            segments=segments,
            repairs={name: count for name, count in tally.repairs.items() if count},
            reasons=dict(tally.reasons),
            notes=tuple(dict.fromkeys(all_notes)),
        )

    def _note_precision(self, name: str, actual: torch.dtype, requested: torch.dtype) -> None:
        if actual != requested:
            self.notes.append(
                f"{name} cannot run in {_dtype_name(requested)}; it ran in {_dtype_name(actual)}"
            )


def output_geometry(stages: Stages) -> DisplayGeometry:
    """Return how restored frames appear on the screen."""
    return stages.geometry if stages.background is None else stages.background.geometry


def comparison_geometry(info: VideoInfo) -> DisplayGeometry:
    """Return the display geometry of frames with before and after side by side."""
    return side_by_side_geometry(info.geometry, info.pixel_format)


def side_by_side_frame(finished: FinishedFrame, stages: Stages) -> Frame:
    """Return before and after side by side."""
    before = finished.source
    if stages.background is not None:
        before = stages.background.interpolate_frame(before)
    return side_by_side(before, finished.frame, output_geometry(stages))


def frames_expected(info: VideoInfo, settings: RestoreSettings) -> int | None:
    """Return the expected number of frames of a run; None if the source does not state it."""
    total = info.frame_count_estimate
    if total is None or info.duration_seconds is None or info.duration_seconds <= 0:
        return total
    start = float(settings.start_seconds or 0)
    end = float(settings.end_seconds) if settings.end_seconds is not None else None
    length = min(end, info.duration_seconds) if end is not None else info.duration_seconds
    share = max(0.0, length - start) / info.duration_seconds
    return max(1, round(total * min(1.0, share)))


def _background_notes(background: BackgroundFacts | None, tally: Tally) -> list[str]:
    if background is None:
        return []
    done = f"enlarged {background.scale} times" if background.scale > 1 else "cleaned"
    notes = [
        f"the whole picture was {done} by {background.name} ({background.kind}): no pixel of "
        "it is the source's"
    ]
    if tally.interlaced:
        notes.append(
            f"{tally.interlaced} frames are interlaced and were enlarged as they are, "
            "their two fields mixed"
        )
    return notes


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
