"""Selects the tracked faces to restore: a stage without look-ahead."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

from vidrestore.types import TrackedFace, TrackedFrame

_STAYS_UNTIL = 0.85
"""A selected face stays selected down to this share of the least size."""
_TAKES_OVER_AT = 1.3
"""Ratio of sizes from which another face becomes the largest."""


def select_faces(
    frames: Iterable[TrackedFrame],
    *,
    which: Literal["all", "largest"] = "all",
    min_face_px: float = 0.0,
    only_tracks: Collection[int] = (),
) -> Iterator[TrackedFrame]:
    """Yield every frame in order; faces that are not chosen have a ``skip_reason``.

    Choices stay: a face about as large as the limit, or two of about the same size, do not
    make restored and unrestored frames alternate.

    Args:
        frames: In presentation order.
        which: Every face, or only the largest of its shot so far.
        min_face_px: Least longer side of a face's box, in display pixels.
        only_tracks: Keeps only faces of these tracks among those selected by the other settings;
            all if empty. It does not change which faces of a track are selected.
    """
    large: set[int] = set()
    largest: int | None = None
    for frame in frames:
        sizeable = [face for face in frame.faces if _is_large(face, large, min_face_px)]
        large = {face.track_id for face in sizeable}
        largest = _largest(sizeable, largest)
        marked = (
            _marked(face, large, largest if which == "largest" else None) for face in frame.faces
        )
        yield replace(frame, faces=tuple(_asked_for(face, only_tracks) for face in marked))


def _marked(face: TrackedFace, large: set[int], only: int | None) -> TrackedFace:
    if face.track_id not in large:
        return replace(face, skip_reason="too small")
    if only is not None and face.track_id != only:
        return replace(face, skip_reason="not the largest")
    return face


def _asked_for(face: TrackedFace, only_tracks: Collection[int]) -> TrackedFace:
    if not only_tracks or face.track_id in only_tracks:
        return face
    return replace(face, skip_reason="not asked for")


def face_side_px(face: TrackedFace) -> float:
    """Return the longer side of a face's box in display pixels, however the face is turned."""
    left, top, right, bottom = face.box_xyxy
    return max(right - left, bottom - top)


def _is_large(face: TrackedFace, large: set[int], min_face_px: float) -> bool:
    share = _STAYS_UNTIL if face.track_id in large else 1.0
    return face_side_px(face) >= min_face_px * share


def _largest(faces: Sequence[TrackedFace], before: int | None) -> int | None:
    """Return the track of the largest face, or the previous one while it is nearly as large."""
    if not faces:
        return before
    winner = max(faces, key=face_side_px)
    kept = next((face for face in faces if face.track_id == before), None)
    if kept is not None and face_side_px(winner) < _TAKES_OVER_AT * face_side_px(kept):
        return kept.track_id
    return winner.track_id
