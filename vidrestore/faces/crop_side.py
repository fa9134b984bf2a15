"""Stage: chooses the size of every face's crop by the pixels that the film has of it."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from vidrestore.affine import scale_of
from vidrestore.faces.template import similarity_to_template
from vidrestore.types import CROP_SIZE_PX, SMALL_CROP_SIZE_PX, TrackedFace, TrackedFrame

_BECOMES_LARGE, _BECOMES_SMALL = 1.05, 0.85
"""Ratios of a face's pixels to those of a small crop at which its track changes over."""


def choose_crop_sides(frames: Iterable[TrackedFrame]) -> Iterator[TrackedFrame]:
    """Yield every frame in order, with ``crop_side_px`` of its faces.

    A small crop costs a quarter of the time. It has hysteresis: a track whose face is about as
    large as a small crop does not change over from frame to frame.

    Args:
        frames: In presentation order, from the start of a shot.
    """
    sides_px: dict[int, int] = {}
    for frame in frames:
        sides_px = {
            face.track_id: _side_px(face, sides_px.get(face.track_id)) for face in frame.faces
        }
        faces = (replace(face, crop_side_px=sides_px[face.track_id]) for face in frame.faces)
        yield replace(frame, faces=tuple(faces))


def _side_px(face: TrackedFace, previous_px: int | None) -> int:
    limit_px = SMALL_CROP_SIZE_PX * (
        1.0
        if previous_px is None
        else _BECOMES_LARGE
        if previous_px == SMALL_CROP_SIZE_PX
        else _BECOMES_SMALL
    )
    return SMALL_CROP_SIZE_PX if _covered_px(face) <= limit_px else CROP_SIZE_PX


def _covered_px(face: TrackedFace) -> float:
    """Return the side of a crop in display pixels."""
    return CROP_SIZE_PX / scale_of(similarity_to_template(face.landmarks_xy))
