"""Stage: running quality and resolution of the source of each track.

Detail varies with speech, motion and the codec; a strength that followed it would flicker. So the
running mean along the track is used.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from vidrestore.safeguard.checks import affine_roll_radians, crop_luma, quality_deficit
from vidrestore.safeguard.image_quality import square_resolution_px
from vidrestore.types import (
    CROP_SIZE_PX,
    CropPart,
    DisplayGeometry,
    Frame,
    TrackedFace,
    TrackedFrame,
)

_INTERVAL_FRAMES = 8
"""Frames between measurements; the first frame of a track is always measured."""
_MEASUREMENTS = 32
"""Number of measurements in the mean; older ones fade. Ten seconds at 25 frames a second."""


@dataclass(slots=True)
class _RunningMeans:
    count: int = 0
    quality: float = 0.0
    resolution_px: float = 0.0

    def add(self, *, quality: float, resolution_px: float) -> None:
        self.count = min(_MEASUREMENTS, self.count + 1)
        self.quality += (quality - self.quality) / self.count
        self.resolution_px += (resolution_px - self.resolution_px) / self.count


def rate_source_quality(
    frames: Iterable[TrackedFrame],
    *,
    geometry: DisplayGeometry,
    align: Callable[[Frame, TrackedFace], CropPart | None],
) -> Iterator[TrackedFrame]:
    """Yield every frame once, in order, with source quality and resolution of its faces.

    Args:
        frames: Frames in presentation order, from the start of a shot.
        geometry: Display geometry of the frames.
        align: Returns the central square of the crop of a face; None if it is outside the frame.
    """
    means: dict[int, _RunningMeans] = {}
    for frame in frames:
        means = {face.track_id: means.get(face.track_id, _RunningMeans()) for face in frame.faces}
        faces = tuple(
            _rate_face(frame.frame, face, means[face.track_id], geometry, align)
            for face in frame.faces
        )
        yield replace(frame, faces=faces)


def _rate_face(
    frame: Frame,
    face: TrackedFace,
    means: _RunningMeans,
    geometry: DisplayGeometry,
    align: Callable[[Frame, TrackedFace], CropPart | None],
) -> TrackedFace:
    if face.skip_reason is not None:
        return face
    if means.count == 0 or frame.index % _INTERVAL_FRAMES == 0:
        aligned = align(frame, face)
        if aligned is not None:
            square_hw = crop_luma(aligned.rgb_chw)
            roll_radians = affine_roll_radians(aligned.display_to_crop)
            resolution_px = square_resolution_px(
                square_hw, side_px=CROP_SIZE_PX, roll_radians=roll_radians
            )
            deficit = quality_deficit(
                frame,
                geometry.of(frame),
                display_to_crop=aligned.display_to_crop,
                square_hw=square_hw,
                resolution_px=resolution_px,
            )
            means.add(quality=1.0 - deficit, resolution_px=resolution_px)
    if means.count == 0:
        return face
    return replace(face, source_quality=means.quality, source_resolution_px=means.resolution_px)
