"""Stage: chooses the size of every face's crop by the size of the face in the film."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from vidrestore.affine import scale_of
from vidrestore.faces.template import similarity_to_template
from vidrestore.types import CROP_SIZE_PX, SMALL_CROP_SIZE_PX, TrackedFace, TrackedFrame

_SMALL_PX = 1.5 * SMALL_CROP_SIZE_PX
"""Side of the area under a crop, in display pixels, up to which a small one is used: that of a
face of about 200 px. Faces with more detail than a small crop holds are left alone as good."""
_BECOMES_LARGE, _BECOMES_SMALL = 1.2, 0.7
"""Ratios to that side at which a track changes to the other size. They are far apart, because the
sharpness of a face then changes by a seventh from one frame to the next."""


def choose_crop_sides(frames: Iterable[TrackedFrame]) -> Iterator[TrackedFrame]:
    """Yield every frame in order, with ``crop_side_px`` of its faces.

    A small crop costs a quarter of the time. The choice has hysteresis: a track whose face is about
    as large as the limit does not change over from frame to frame.

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
    ratios = {None: 1.0, SMALL_CROP_SIZE_PX: _BECOMES_LARGE, CROP_SIZE_PX: _BECOMES_SMALL}
    is_small = _covered_px(face) <= _SMALL_PX * ratios[previous_px]
    return SMALL_CROP_SIZE_PX if is_small else CROP_SIZE_PX


def _covered_px(face: TrackedFace) -> float:
    """Return the side of a crop in display pixels."""
    return CROP_SIZE_PX / scale_of(similarity_to_template(face.landmarks_xy))
