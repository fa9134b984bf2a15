"""The stages of a restoration, connected: frames in, finished frames out, in order."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vidrestore.faces.align import aligned
from vidrestore.faces.detector import Detector
from vidrestore.faces.finder import track_faces
from vidrestore.faces.selection import select_faces
from vidrestore.faces.smoother import smoothed_faces
from vidrestore.media.color import display_view
from vidrestore.paste.composite import pasted
from vidrestore.paste.tone import TonedFrame, toned_frames
from vidrestore.pipeline.background import Background
from vidrestore.pipeline.settings import RestoreSettings
from vidrestore.restore.batching import restored_frames
from vidrestore.restore.crops import RestoredCrops
from vidrestore.restore.restorer import Restorer
from vidrestore.restore.steady import steadied_frames
from vidrestore.stopwatch import Stopwatch
from vidrestore.types import AlignedFrame, DisplayGeometry, Frame, RgbView, TrackedFrame

_MAX_WAITING_FRAMES = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FinishedFrame:
    """A frame ready for the encoder, and what became of it."""

    frame: Frame
    toned: TonedFrame
    """The frame as decoded, with its faces."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stages:
    """The parts of a restoration, and how they are joined."""

    detector: Detector
    restorer: Restorer
    geometry: DisplayGeometry
    settings: RestoreSettings
    batch_size: int
    stopwatch: Stopwatch
    background: Background | None = None
    """Enlarges the frames after their faces are restored; None leaves them as they are."""

    def finished(self, frames: Iterable[Frame]) -> Iterator[FinishedFrame]:
        """Yield every frame once, in order, with its faces restored.

        Holds the tracker's look-ahead, half a smoothing window, the neighbours a face is steadied
        by, ``_MAX_WAITING_FRAMES`` frames that wait for a full batch, and a shot's first few
        until its tone is known.
        """
        watch = self.stopwatch
        tracked = track_faces(
            watch.timed("read", frames),
            detector=self.detector,
            view=self._view,
        )
        smoothed = smoothed_faces(watch.timed("track", tracked))
        chosen = select_faces(
            watch.timed("smooth", smoothed),
            which=self.settings.faces,
            min_face_px=self.settings.min_face_px,
        )
        cut = map(self._align, chosen)
        if self.settings.steady > 0:
            steadied = steadied_frames(cut, config=self.settings.steady_config())
            cut = watch.timed("steady", steadied)
        restored = restored_frames(
            cut,
            restore=self._restore,
            batch_size=self.batch_size,
            max_waiting_frames=_MAX_WAITING_FRAMES,
        )
        for toned in toned_frames(restored):
            yield FinishedFrame(frame=self._paste(toned), toned=toned)

    def _view(self, frame: Frame, max_side_px: int) -> RgbView:
        with self.stopwatch.stage("view"):
            return display_view(frame, self.geometry, max_side_px)

    def _align(self, tracked: TrackedFrame) -> AlignedFrame:
        with self.stopwatch.stage("align"):
            crops = [
                aligned(tracked.frame, self.geometry, face, device=self.restorer.device)
                for face in tracked.faces
            ]
        faces = tuple(crop for crop in crops if crop is not None)
        return AlignedFrame(frame=tracked.frame, shot=tracked.shot, faces=faces)

    def _restore(self, crops_NCHW: Tensor) -> RestoredCrops:
        with self.stopwatch.stage("restore"):
            restored = self.restorer.restored(crops_NCHW)
            device = restored.images_nchw.device
            if device.type == "cuda":
                # Without this the time would be counted where the result is first read.
                torch.cuda.synchronize(device)
            return restored

    def _paste(self, toned: TonedFrame) -> Frame:
        restored, geometry = toned.restored, self.geometry
        if self.background is not None:
            with self.stopwatch.stage("background"):
                restored = self.background.enlarged(restored, keep_chroma=toned.one_tone)
            geometry = self.background.geometry
        with self.stopwatch.stage("paste"):
            return pasted(
                restored.frame,
                geometry,
                restored.faces,
                config=self.settings.paste_config(),
                keep_chroma=toned.one_tone,
            )
