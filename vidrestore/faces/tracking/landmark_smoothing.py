"""The stage that smooths the landmarks of every track: frames in, the same frames out."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from vidrestore.faces.config import SmoothingConfig
from vidrestore.faces.tracking.local_regression import WINDOW_TOLERANCE, smooth_landmarks
from vidrestore.types import TrackedFace, TrackedFrame


def smoothed_faces(
    frames: Iterable[TrackedFrame], *, config: SmoothingConfig | None = None
) -> Iterator[TrackedFrame]:
    """Yield every frame with ``landmarks_xy`` smoothed, in order.

    The result for a frame depends only on the frames of its window. Holds the frames of
    ``window_seconds`` after it, at most ``max_window_frames``; of those before it only the faces.

    Args:
        frames: In presentation order, with ``raw_landmarks_xy`` as the detector gave them.
        config: How to smooth.
    """
    config = config or SmoothingConfig()
    past: deque[_Moment] = deque(maxlen=config.max_window_frames)
    ahead: deque[_Ahead] = deque()
    for frame in frames:
        ahead.append(_Ahead(frame, _moment(frame)))
        while len(ahead) > config.max_window_frames + 1 or _is_beyond(ahead, config):
            yield _next_smoothed(past, ahead, config)
    while ahead:
        yield _next_smoothed(past, ahead, config)


class _Moment(NamedTuple):
    seconds: float
    faces: tuple[TrackedFace, ...]


class _Ahead(NamedTuple):
    frame: TrackedFrame
    moment: _Moment


def _moment(frame: TrackedFrame) -> _Moment:
    return _Moment(float(frame.frame.timestamp.seconds), frame.faces)


def _is_beyond(ahead: Sequence[_Ahead], config: SmoothingConfig) -> bool:
    """Return whether the last frame lies outside the window of the first."""
    waited = ahead[-1].moment.seconds - ahead[0].moment.seconds
    return waited > config.window_seconds * WINDOW_TOLERANCE


def _next_smoothed(
    past: deque[_Moment], ahead: deque[_Ahead], config: SmoothingConfig
) -> TrackedFrame:
    moments, at = [*past, *(each.moment for each in ahead)], len(past)
    frame, moment = ahead.popleft()
    past.append(moment)
    faces = tuple(_smoothed(face, moments, at, config) for face in frame.faces)
    return replace(frame, faces=faces)


def _smoothed(
    face: TrackedFace, moments: Sequence[_Moment], at: int, config: SmoothingConfig
) -> TrackedFace:
    """Smooth a face by the sightings of its track around moment ``at``."""
    seen = [
        (position, moment.seconds, other)
        for position, moment in enumerate(moments)
        for other in moment.faces
        if other.track_id == face.track_id
    ]
    confidence = [config.bridged_weight if other.interpolated else 1.0 for _, _, other in seen]
    points = smooth_landmarks(
        np.array([seconds for _, seconds, _ in seen]),
        np.stack([other.raw_landmarks_xy for _, _, other in seen]),
        np.array(confidence),
        at=[position for position, _, _ in seen].index(at),
        config=config,
    )
    return replace(face, landmarks_xy=points.astype(np.float32))
