"""Stage: selects the tracked faces to restore."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

from vidrestore.faces.detection.boxes import longer_side_px
from vidrestore.types import TrackedFace, TrackedFrame

_KEEP_RATIO = 0.85
"""A selected face stays selected down to this ratio of its size to the minimum."""
_SWITCH_RATIO = 1.3
"""Ratio of sizes from which another face becomes the largest."""


def select_faces(
    frames: Iterable[TrackedFrame],
    *,
    which: Literal["all", "largest"] = "all",
    min_face_px: float = 0.0,
    only_tracks: Collection[int] = (),
) -> Iterator[TrackedFrame]:
    """Yield every frame in order; faces that are not selected have a ``skip_reason``.

    Selection has hysteresis: a face about as large as the limit, or two of about the same size,
    do not make restored and unrestored frames alternate.

    Args:
        frames: In presentation order.
        which: Every face, or only the largest of its shot so far.
        min_face_px: Minimum longer side of a face's box, in display pixels.
        only_tracks: Keeps only faces of these tracks among those selected by the other settings;
            all if empty. It does not change which faces of a track are selected.
    """
    large: set[int] = set()
    largest: int | None = None
    for frame in frames:
        candidates = [face for face in frame.faces if _is_large(face, large, min_face_px)]
        large = {face.track_id for face in candidates}
        largest = _largest_track(candidates, largest)
        faces = (
            replace(face, skip_reason="not asked for")
            if only_tracks and face.track_id not in only_tracks
            else _mark_unselected(face, large, largest if which == "largest" else None)
            for face in frame.faces
        )
        yield replace(frame, faces=tuple(faces))


def _mark_unselected(face: TrackedFace, large: set[int], only: int | None) -> TrackedFace:
    if face.track_id not in large:
        return replace(face, skip_reason="too small")
    if only is not None and face.track_id != only:
        return replace(face, skip_reason="not the largest")
    return face


def face_side_px(face: TrackedFace) -> float:
    """Return the longer side of a face's box in display pixels."""
    return longer_side_px(face.box_xyxy)


def _is_large(face: TrackedFace, large: set[int], min_face_px: float) -> bool:
    ratio = _KEEP_RATIO if face.track_id in large else 1.0
    return face_side_px(face) >= min_face_px * ratio


def _largest_track(faces: Sequence[TrackedFace], previous: int | None) -> int | None:
    """Return the track of the largest face, or the previous one while it is nearly as large."""
    if not faces:
        return previous
    largest = max(faces, key=face_side_px)
    previous_face = next((face for face in faces if face.track_id == previous), None)
    if previous_face is not None and face_side_px(largest) < _SWITCH_RATIO * face_side_px(
        previous_face
    ):
        return previous_face.track_id
    return largest.track_id
