"""Stage: smoothing of the landmarks of every track."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from vidrestore.faces.config import SmoothingConfig
from vidrestore.faces.tracking.local_regression import WINDOW_TOLERANCE, smooth_landmarks
from vidrestore.sliding_window import sliding_window
from vidrestore.types import TrackedFace, TrackedFrame


class _FrameFaces(NamedTuple):
    seconds: float
    faces: tuple[TrackedFace, ...]


def smooth_tracks(
    frames: Iterable[TrackedFrame], *, config: SmoothingConfig | None = None
) -> Iterator[TrackedFrame]:
    """Yield every frame with ``landmarks_xy`` smoothed, in order.

    The result for a frame depends only on the frames of its window. Holds the frames of
    ``window_seconds`` after it, at most ``max_window_frames``; of those before it only the faces.

    Args:
        frames: In presentation order, with ``raw_landmarks_xy`` as detected.
        config: How to smooth.
    """
    config = config or SmoothingConfig()
    reach_seconds = config.window_seconds * WINDOW_TOLERANCE
    windows = sliding_window(
        ((item, _FrameFaces(float(item.frame.timestamp.seconds), item.faces)) for item in frames),
        before=config.max_window_frames,
        after=config.max_window_frames + 1,
        is_complete=lambda first, latest: latest.seconds - first.seconds > reach_seconds,
    )
    for window in windows:
        around = [*reversed(window.before), window.value, *window.after]
        index = len(window.before)
        faces = tuple(_smooth_face(face, around, index, config) for face in window.value.faces)
        yield replace(window.item, faces=faces)


def _smooth_face(
    face: TrackedFace, around: Sequence[_FrameFaces], index: int, config: SmoothingConfig
) -> TrackedFace:
    """Smooth a face of frame ``index`` by the observations of its track in the frames around."""
    track = [
        (position, frame.seconds, other)
        for position, frame in enumerate(around)
        for other in frame.faces
        if other.track_id == face.track_id
    ]
    confidence = [
        config.interpolated_weight if other.interpolated else 1.0 for _, _, other in track
    ]
    landmarks = smooth_landmarks(
        np.array([seconds for _, seconds, _ in track]),
        np.stack([other.raw_landmarks_xy for _, _, other in track]),
        np.array(confidence),
        index=[position for position, _, _ in track].index(index),
        config=config,
    )
    return replace(face, landmarks_xy=landmarks.astype(np.float32))
