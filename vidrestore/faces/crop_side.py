"""Stage: chooses the size of every face's crop by the pixels and the detail of the face."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from vidrestore.affine import scale_of
from vidrestore.faces.template import similarity_to_template
from vidrestore.types import (
    CROP_SIZE_PX,
    SMALL_CROP_SIZE_PX,
    TINY_CROP_SIZE_PX,
    TrackedFace,
    TrackedFrame,
)

_SMALL_PX = 1.5 * SMALL_CROP_SIZE_PX
"""Side of the area under a crop, in display pixels, up to which a small one is used: that of a
face of about 200 px. Faces with more detail than a small crop holds are left alone as good."""
_TINY_RESOLUTION_PX = 46.0
"""Resolution up to which a tiny crop is used. Measured as in ``source_resolution_px``, faces of 20
to 52 px, blurred, enlarged or not, have 28 to 40; those of 60 and more have 60 and more."""
_BECOMES_LARGER, _BECOMES_SMALLER = 1.2, 0.7
"""Ratios to these limits at which a track changes to the other size. They are far apart, as the
sharpness of a face then changes from one frame to the next, by a seventh at the larger limit."""


def choose_crop_sides(frames: Iterable[TrackedFrame]) -> Iterator[TrackedFrame]:
    """Yield every frame in order, with ``crop_side_px`` of its faces.

    A small crop costs a quarter of the time. In a tiny one, a generative prior draws what the film
    does not show. The choice has hysteresis: a track near a limit does not change over from frame
    to frame.

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
    def is_within(limit_px: float, value_px: float, side_px: int) -> bool:
        ratio = 1.0
        if previous_px is not None:
            ratio = _BECOMES_LARGER if previous_px <= side_px else _BECOMES_SMALLER
        return value_px <= limit_px * ratio

    covered_px, resolution_px = _covered_px(face), face.source_resolution_px
    detail_px = covered_px if resolution_px is None else min(covered_px, resolution_px)
    if is_within(_TINY_RESOLUTION_PX, detail_px, TINY_CROP_SIZE_PX):
        return TINY_CROP_SIZE_PX
    is_small = is_within(_SMALL_PX, covered_px, SMALL_CROP_SIZE_PX)
    return SMALL_CROP_SIZE_PX if is_small else CROP_SIZE_PX


def _covered_px(face: TrackedFace) -> float:
    """Return the side of a crop in display pixels."""
    return CROP_SIZE_PX / scale_of(similarity_to_template(face.landmarks_xy))
