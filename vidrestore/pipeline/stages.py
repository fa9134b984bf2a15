"""The stages of a restoration, connected: frames in, finished frames out, in order."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from itertools import starmap
from typing import TypeVar

import torch

from vidrestore.faces.align import align_face, align_part
from vidrestore.faces.crop_side import choose_crop_sides
from vidrestore.faces.detection.detector import Detector
from vidrestore.faces.monochrome import mark_monochrome
from vidrestore.faces.selection import select_faces
from vidrestore.faces.tracking.landmark_smoothing import smooth_tracks
from vidrestore.faces.tracking.local_regression import MAX_WINDOW_FRAMES
from vidrestore.faces.tracking.shot_detection import THUMBNAIL_SIDE_PX, LumaImage
from vidrestore.faces.tracking.tracker import TrackingStart, track_faces
from vidrestore.media.color.preview import preview_luma, preview_rgb
from vidrestore.paste.composite import PasteResult, paste_faces
from vidrestore.paste.settings import PasteConfig
from vidrestore.pipeline.background.upscale_frames import Background
from vidrestore.pipeline.blend_pasted import blend_pasted
from vidrestore.pipeline.field_stages import FieldMode
from vidrestore.pipeline.finished_faces import finished_frame
from vidrestore.pipeline.on_device.restore import restore_faces
from vidrestore.pipeline.on_device.stages import DeviceRun, PasteTarget
from vidrestore.prefetch import prefetched
from vidrestore.repair.stage import repair_context_frames, repair_frames
from vidrestore.restore.batching import restore_frames
from vidrestore.restore.detail_blending import BLEND_CONTEXT_FRAMES
from vidrestore.restore.edge_gain import EdgeGainConfig, strengthen_frames
from vidrestore.restore.restorer import Restorer
from vidrestore.restore.settings import TemporalConfig
from vidrestore.restore.temporal_denoise import denoise_frames
from vidrestore.safeguard.config import SafeguardConfig
from vidrestore.safeguard.identity import IdentityMeter
from vidrestore.safeguard.image_quality import central_slices
from vidrestore.safeguard.source_quality import rate_source_quality
from vidrestore.safeguard.stage import check_after_restore, check_before_restore
from vidrestore.settings import RestoreSettings, config_from
from vidrestore.stage_timer import Stopwatch
from vidrestore.types import (
    CROP_SIZE_PX,
    SMALL_CROP_SIZE_PX,
    AlignedFace,
    AlignedFrame,
    CropPart,
    DisplayGeometry,
    FinishedFrame,
    Frame,
    RestoredCrops,
    RestoredFrame,
    RgbView,
    TrackedFace,
    TrackedFrame,
)

T = TypeVar("T")

_MAX_WAITING_FRAMES = 16
_AHEAD_FRAMES = 3
_OUTSIDE = "outside the picture"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stages:
    """The stages of a restoration, connected.

    The faces found in a frame may depend on everything before it in its shot, so ``analyze`` runs
    once over a film. The result of a frame depends only on its neighbors within
    ``context_frames``, bit for bit: ``restore`` gives the same for a part of a film as for the
    whole.
    """

    detector: Detector
    restorer: Restorer
    geometry: DisplayGeometry
    settings: RestoreSettings
    batch_size: int
    stopwatch: Stopwatch
    fields: FieldMode = field(default_factory=FieldMode)
    """Whether frames are restored whole or as fields; the caller splits and weaves."""
    background: Background | None = None
    """Upscales the frames after their faces are restored; None leaves them unchanged."""
    pad_batches: bool = True
    """Pad every batch to its full size. Convolutions of another batch size may round differently,
    and the result of a frame must not depend on the other frames in its batch."""
    overlap: bool = True
    """Whether ``restore`` runs in three threads; the result is the same in one."""
    meter: IdentityMeter | None = None
    """Measures identity; None turns the safeguard off."""

    @property
    def context_frames(self) -> int:
        """How many frames to each side the result of a frame may depend on."""
        settings = self.settings
        # Faces are averaged over time twice, before and after they are restored, and checked twice.
        temporal = config_from(settings, TemporalConfig)
        averaging = temporal.context_frames + BLEND_CONTEXT_FRAMES if settings.steady else 0
        safeguard = config_from(settings, SafeguardConfig)
        safeguarding = 0 if self.meter is None else 2 * safeguard.context_frames
        repairing = repair_context_frames(settings.repair)
        return repairing + MAX_WINDOW_FRAMES + averaging + safeguarding

    def analyze(
        self, frames: Iterable[Frame], *, start: TrackingStart | None = None
    ) -> Iterator[TrackedFrame]:
        """Yield every frame once, in order, with its shot, its faces, and whether it is monochrome.

        Holds the look-ahead of the tracker, and the first frames of a shot until it is known
        whether they are monochrome.
        """
        watch = self.stopwatch
        tracked = track_faces(
            watch.timed("read", frames),
            detector=self.detector,
            view=self._view,
            thumbnail=self._thumbnail,
            start=start,
        )
        selected = select_faces(
            mark_monochrome(watch.timed("track", tracked)),
            which=self.settings.faces,
            min_face_px=self.settings.min_face_px,
            only_tracks=self.settings.only_tracks,
        )
        if self.meter is not None and self.settings.keep_good > 0.0:
            rated = rate_source_quality(selected, geometry=self.geometry, align=self._middle)
            selected = watch.timed("guard", rated)
        return choose_crop_sides(selected)

    def restore(self, tracked: Iterable[TrackedFrame]) -> Generator[FinishedFrame]:
        """Yield every frame once, in order, with its faces restored.

        If ``overlap`` is set, it runs in three threads (before, in and after the network), with the
        same result. Close the generator before the source of ``tracked``.

        Holds half a smoothing window, the neighbors used for repairs, for averaging and for the
        safeguard, ``_MAX_WAITING_FRAMES`` frames that wait for a full batch, and ``_AHEAD_FRAMES``
        between two threads; with ``gpu_stages`` also eight batches of frames.

        Args:
            tracked: The frames that ``analyze`` yields, or a part of them that extends
                ``context_frames`` beyond the frames of interest.
        """
        run = None
        if self.settings.gpu_stages:
            run = DeviceRun(self.restorer.device, self.geometry, self.batch_size)
        with ExitStack() as threads:

            def ahead(frames: Iterable[T]) -> Iterable[T]:
                if not self.overlap:
                    return frames
                waiting = threads.enter_context(closing(prefetched(frames, size=_AHEAD_FRAMES)))
                return self.stopwatch.timed("wait", waiting)

            restored = restore_frames(
                ahead(self._prepare(tracked, run)),
                restore=self._run_network,
                batch_size=self.batch_size,
                max_waiting_frames=_MAX_WAITING_FRAMES,
            )
            yield from self._finish(self._check(ahead(restored), run), run)

    def _prepare(
        self, tracked: Iterable[TrackedFrame], run: DeviceRun | None
    ) -> Iterator[AlignedFrame]:
        """Yield every frame with the crops for the network."""
        watch = self.stopwatch
        if self.settings.repair:
            tracked = watch.timed("repair", repair_frames(tracked, self.settings.repair))
        smoothed = watch.timed("smooth", smooth_tracks(tracked))
        aligned_frames: Iterable[AlignedFrame] = map(self._align, smoothed)
        if run is not None:
            on_device = run.align(smoothed, side_of=self._crop_side_px, outside=_OUTSIDE)
            aligned_frames = watch.timed("align", on_device)
        if self.meter is not None:
            guarded = check_before_restore(
                aligned_frames, config=config_from(self.settings, SafeguardConfig)
            )
            aligned_frames = watch.timed("guard", guarded)
        if self.settings.steady > 0:
            average = denoise_frames if run is None else run.average
            steadied = average(aligned_frames, config=config_from(self.settings, TemporalConfig))
            aligned_frames = watch.timed("steady", steadied)
        return iter(aligned_frames)

    def _check(
        self, restored: Iterable[RestoredFrame], run: DeviceRun | None
    ) -> Iterator[RestoredFrame]:
        """Yield every frame with the strengths of its restored crops."""
        watch = self.stopwatch
        if self.restorer.detail and run is None:
            detail = self.restorer.detail
            strengthened = strengthen_frames(restored, detail=detail, config=EdgeGainConfig())
            restored = watch.timed("edges", strengthened)
        if self.meter is not None:
            safeguard = config_from(self.settings, SafeguardConfig)
            check = check_after_restore if run is None else run.check_after_restore
            judged = check(restored, meter=self.meter, config=safeguard)
            restored = watch.timed("judge", judged)
        return iter(restored)

    def _view(self, frame: Frame, max_side_px: int) -> RgbView:
        with self.stopwatch.stage("view"):
            return preview_rgb(frame, self.geometry.of(frame), max_side_px)

    def _thumbnail(self, frame: Frame) -> LumaImage:
        with self.stopwatch.stage("view"):
            return preview_luma(frame, THUMBNAIL_SIDE_PX)

    def _middle(self, frame: Frame, face: TrackedFace) -> CropPart | None:
        return align_part(frame, self.geometry.of(frame), face, central_slices(CROP_SIZE_PX))

    def _align(self, tracked: TrackedFrame) -> AlignedFrame:
        crops: list[AlignedFace] = []
        skipped_faces: list[TrackedFace] = []
        geometry = self.geometry.of(tracked.frame)
        with self.stopwatch.stage("align"):
            for face in tracked.faces:
                if face.skip_reason is not None:
                    skipped_faces.append(face)
                    continue
                crop = align_face(
                    tracked.frame,
                    geometry,
                    face,
                    device=self.restorer.device,
                    side_px=self._crop_side_px(face),
                )
                if crop is None:
                    skipped_faces.append(replace(face, skip_reason=_OUTSIDE))
                else:
                    crops.append(crop)
        return AlignedFrame(
            frame=tracked.frame,
            shot=tracked.shot,
            faces=tuple(crops),
            skipped_faces=tuple(skipped_faces),
            is_monochrome=tracked.is_monochrome,
        )

    def _crop_side_px(self, face: TrackedFace) -> int:
        """Return the side of the crop: the least that suits the face, of those there are.

        The pixels of an enlarged frame do not fit a small crop. A tiny one has all there is.
        """
        is_enlarged = self.background is not None and self.background.scale > 1
        sides_px = [
            side_px
            for side_px in (*self.restorer.small_crop_sizes_px, CROP_SIZE_PX)
            if side_px >= face.crop_side_px and not (is_enlarged and side_px == SMALL_CROP_SIZE_PX)
        ]
        return min(sides_px)

    def _run_network(self, faces: list[AlignedFace]) -> RestoredCrops:
        with self.stopwatch.stage("restore"):
            missing = self.batch_size - len(faces) if self.pad_batches else 0
            padded = faces + faces[-1:] * missing
            if self.settings.gpu_stages:
                return restore_faces(self.restorer, padded).first(len(faces))
            crops = torch.stack([face.restorer_input_chw for face in padded])
            restored = self.restorer.restore_crops(crops)
            if restored.images_nchw.device.type == "cuda":
                # Otherwise the time would be counted where the result is first read.
                torch.cuda.synchronize(restored.images_nchw.device)
            return restored.first(len(faces))

    def _finish(
        self, restored: Iterable[RestoredFrame], run: DeviceRun | None
    ) -> Iterator[FinishedFrame]:
        """Yield every frame with its faces pasted and blended over time."""
        watch, settings = self.stopwatch, self.settings
        targets = map(self._target, restored)
        pasted = map(self._paste, targets)
        if run is not None:
            on_device = run.paste(targets, config=config_from(settings, PasteConfig))
            pasted = watch.timed("paste", on_device)
        if settings.steady > 0 or settings.grain > 0:
            temporal = config_from(settings, TemporalConfig)
            pasted = blend_pasted(pasted, config=temporal, grain=settings.grain)
            pasted = watch.timed("blend", pasted)
        return starmap(self._finished, pasted)

    def _paste(self, target: PasteTarget) -> tuple[PasteTarget, PasteResult]:
        with self.stopwatch.stage("paste"):
            pasted = paste_faces(
                target.shown.frame,
                target.geometry,
                target.shown.faces,
                config=config_from(self.settings, PasteConfig),
                keep_chroma=target.restored.is_monochrome,
                skipped_faces=target.shown.skipped_faces,
            )
        return target, pasted

    def _target(self, restored: RestoredFrame) -> PasteTarget:
        """Return what the faces of a frame are pasted into: that frame, or an enlarged one."""
        if self.background is None:
            return PasteTarget(restored, restored, self.geometry.of(restored.frame))
        with self.stopwatch.stage("background"):
            upscaled = self.background.upscale(restored, keep_chroma=restored.is_monochrome)
        return PasteTarget(restored, upscaled, self.background.geometry)

    def _finished(self, target: PasteTarget, pasted: PasteResult) -> FinishedFrame:
        return finished_frame(
            target.restored, pasted, target.shown.faces, strength_of=self.settings.strength_of
        )
