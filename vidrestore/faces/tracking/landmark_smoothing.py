"""Stage: smoothing of the landmarks of every track."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from vidrestore.faces.tracking.local_regression import (
    MAX_WINDOW_FRAMES,
    WINDOW_SECONDS,
    smooth_landmarks,
)
from vidrestore.sliding_window import sliding_window
from vidrestore.types import TrackedFace, TrackedFrame

_INTERPOLATED_WEIGHT = 0.25
"""Weight of an interpolated face relative to a detected one."""


class _FrameFaces(NamedTuple):
    seconds: float
    faces: tuple[TrackedFace, ...]


def smooth_tracks(frames: Iterable[TrackedFrame]) -> Iterator[TrackedFrame]:
    """Yield every frame with ``landmarks_xy`` smoothed, in order.

    The result for a frame depends only on the frames of its window. Holds the frames of
    0.2 seconds after it, at most 16; of those before it only the faces.

    Args:
        frames: In presentation order, with ``raw_landmarks_xy`` as detected.
    """
    windows = sliding_window(
        ((item, _FrameFaces(float(item.frame.timestamp.seconds), item.faces)) for item in frames),
        before=MAX_WINDOW_FRAMES,
        after=MAX_WINDOW_FRAMES + 1,
        is_complete=lambda first, latest: latest.seconds - first.seconds > WINDOW_SECONDS,
    )
    for window in windows:
        around = [*reversed(window.before), window.value, *window.after]
        index = len(window.before)
        faces = tuple(_smooth_face(face, around, index) for face in window.value.faces)
        yield replace(window.item, faces=faces)


def _smooth_face(face: TrackedFace, around: Sequence[_FrameFaces], index: int) -> TrackedFace:
    """Smooth a face of frame ``index`` by the observations of its track in the frames around."""
    track = [
        (position, frame.seconds, other)
        for position, frame in enumerate(around)
        for other in frame.faces
        if other.track_id == face.track_id
    ]
    confidence = [_INTERPOLATED_WEIGHT if other.interpolated else 1.0 for _, _, other in track]
    landmarks = smooth_landmarks(
        np.array([seconds for _, seconds, _ in track]),
        np.stack([other.raw_landmarks_xy for _, _, other in track]),
        np.array(confidence),
        index=[position for position, _, _ in track].index(index),
    )
    return replace(face, landmarks_xy=landmarks.astype(np.float32))
