"""Faces: detected in an image, and tracked through the frames of a shot."""

from dataclasses import dataclass

import numpy as np

from vidrestore.types.arrays import Affine, FloatArray
from vidrestore.types.frame import Frame

CROP_SIZE_PX = 512
"""Side of the space of crops, to which landmarks are aligned, and of crops at full resolution."""
SMALL_CROP_SIZE_PX = 256
"""Side of the crop of a face that is small in the film."""
TINY_CROP_SIZE_PX = 128
"""Side of the crop of a face of so few pixels that a generative prior has to draw it."""
CROP_SIZES_PX = (TINY_CROP_SIZE_PX, SMALL_CROP_SIZE_PX, CROP_SIZE_PX)


def _check_landmarks(landmarks_xy: FloatArray) -> None:
    if landmarks_xy.shape != (5, 2) or not np.isfinite(landmarks_xy).all():
        raise ValueError(f"landmarks must be a finite (5, 2) array, got shape {landmarks_xy.shape}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detection:
    """One face found in one image, in pixels of that image."""

    box_xyxy: tuple[float, float, float, float]
    score: float
    """Confidence in [0, 1]."""
    landmarks_xy: FloatArray
    """``(5, 2)``: left eye, right eye, nose, left and right mouth corner, as seen."""

    def __post_init__(self) -> None:
        _check_landmarks(self.landmarks_xy)
        left, top, right, bottom = self.box_xyxy
        if not (right > left and bottom > top):
            raise ValueError(f"box_xyxy is empty: {self.box_xyxy}")

    def mapped(self, affine: Affine) -> "Detection":
        """Return the detection in another pixel space; the box stays axis-aligned."""
        left, top, right, bottom = self.box_xyxy
        corners = np.array([[left, top], [right, top], [left, bottom], [right, bottom]])
        moved = corners @ affine[:, :2].T + affine[:, 2]
        low, high = moved.min(axis=0), moved.max(axis=0)
        landmarks = self.landmarks_xy @ affine[:, :2].T + affine[:, 2]
        return Detection(
            box_xyxy=(float(low[0]), float(low[1]), float(high[0]), float(high[1])),
            score=self.score,
            landmarks_xy=landmarks.astype(np.float32),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackedFace:
    """One face of one track in one frame, in display pixels."""

    track_id: int
    """Stable over a shot, unique over the film."""
    box_xyxy: tuple[float, float, float, float]
    score: float
    landmarks_xy: FloatArray
    """``(5, 2)`` landmarks after smoothing."""
    raw_landmarks_xy: FloatArray
    """``(5, 2)`` landmarks as detected, or interpolated over a gap."""
    interpolated: bool = False
    """Whether the face was interpolated over a gap rather than detected."""
    skip_reason: str | None = None
    """Why the face is not restored; None if it is."""
    source_quality: float = 0.0
    """Mean quality along the track so far, 0 to 1; see ``rate_source_quality``."""
    source_resolution_px: float | None = None
    """Smallest side at which the crop would keep its detail, the mean along the track so far; None
    if it is not measured."""
    crop_side_px: int = CROP_SIZE_PX
    """Side of the crop that suits the size of the face; see ``choose_crop_sides``."""

    def __post_init__(self) -> None:
        _check_landmarks(self.landmarks_xy)
        if self.crop_side_px not in CROP_SIZES_PX:
            raise ValueError(f"crop_side_px must be 128, 256 or 512, got {self.crop_side_px}")
        _check_landmarks(self.raw_landmarks_xy)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackedFrame:
    """A frame with the faces in it."""

    frame: Frame
    shot: int
    """Number of the shot, from 0."""
    faces: tuple[TrackedFace, ...]
    """In order of track number."""
    is_monochrome: bool = False
    """Whether the shot is black-and-white or uniformly tinted, so that its chroma must stay."""
