"""One face followed through the frames of a shot."""

from bisect import bisect_left
from dataclasses import dataclass, field

import numpy as np

from vidrestore.types import Detection

_MAX_EXTRAPOLATION_SECONDS = 0.2
"""How far ahead motion is carried on: faces do not keep moving in a straight line."""
_MIN_HITS = 3
"""Minimum number of frames in which a face is detected, if the shot has that many."""
_MIN_SECONDS = 0.12
"""Shorter tracks are dropped, unless every search for them finds the face."""
_MIN_SCORE = 0.8
"""Tracks with a lower mean score are dropped."""
_MIN_KEPT_OBSERVATIONS = 16
_VELOCITY_SECONDS = 0.12
"""Span over which velocity is measured: that of a single frame is mostly noise."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A face in one frame."""

    index: int
    """Index of the frame."""
    seconds: float
    face: Detection
    interpolated: bool = False


@dataclass(slots=True, eq=False)
class Track:
    """The observations of one face, in the order of frames, and how reliable they are."""

    observations: list[Observation] = field(default_factory=list[Observation])
    searched_frames: int = 0
    """Frames in which the face was searched for."""
    hits: int = 0
    score_sum: float = 0.0
    search_misses: int = 0
    first_seconds: float = np.inf
    track_id: int | None = None
    """Number from 1, assigned once the track is confirmed."""
    discarded: bool = False

    def add(self, observation: Observation) -> None:
        """Add an observation after the last or before the first."""
        if self.observations and observation.index < self.observations[0].index:
            self.observations.insert(0, observation)
        else:
            self.observations.append(observation)
        self.first_seconds = min(self.first_seconds, observation.seconds)
        self.hits += 1
        self.score_sum += observation.face.score

    @property
    def last(self) -> Observation:
        """The latest observation."""
        return self.observations[-1]

    def predict(self, seconds: float) -> Detection:
        """Return where the face should be at a time, at constant velocity."""
        nearest, reference = self._nearest_two(seconds)
        span = nearest.seconds - reference.seconds
        velocity_xy = np.zeros(2)
        if abs(span) > 1e-9:
            displacement_xy = nearest.face.landmarks_xy.mean(
                axis=0
            ) - reference.face.landmarks_xy.mean(axis=0)
            velocity_xy = displacement_xy / span
        limit = _MAX_EXTRAPOLATION_SECONDS
        shift_xy = velocity_xy * float(np.clip(seconds - nearest.seconds, -limit, limit))
        return nearest.face.mapped(np.column_stack([np.eye(2), shift_xy]))

    def _nearest_two(self, seconds: float) -> tuple[Observation, Observation]:
        later = seconds >= self.last.seconds
        ordered = list(reversed(self.observations)) if later else self.observations
        nearest = ordered[0]
        for other in ordered[1:]:
            if abs(other.seconds - nearest.seconds) >= _VELOCITY_SECONDS:
                return nearest, other
        return nearest, ordered[-1]

    def observation_at(
        self, index: int, seconds: float, max_gap_seconds: float
    ) -> Observation | None:
        """Return the face in a frame, interpolated over a short gap."""
        position = self._position(index)
        if position < len(self.observations) and self.observations[position].index == index:
            return self.observations[position]
        if position == 0 or position == len(self.observations):
            return None
        before, after = self.observations[position - 1 : position + 1]
        if after.seconds - before.seconds > max_gap_seconds:
            return None
        return interpolate_face(before, after, index, seconds)

    @property
    def is_confirmed(self) -> bool:
        """Whether the observations so far show a face."""
        if self.discarded or self.hits < min(_MIN_HITS, self.searched_frames):
            return False
        if self.score_sum / self.hits < _MIN_SCORE:
            return False
        is_long = self.last.seconds - self.first_seconds >= _MIN_SECONDS
        return is_long or self.hits == self.searched_frames

    def forget_before(self, index: int) -> None:
        """Drop observations that no frame from ``index`` on needs; keep the last few."""
        unneeded = self._position(index) - 1
        del self.observations[
            : max(0, min(unneeded, len(self.observations) - _MIN_KEPT_OBSERVATIONS))
        ]

    def _position(self, index: int) -> int:
        return bisect_left(self.observations, index, key=lambda observation: observation.index)


def interpolate_face(
    before: Observation, after: Observation, index: int, seconds: float
) -> Observation:
    """Return a face between two observations, linear in time."""
    span = after.seconds - before.seconds
    ratio = (seconds - before.seconds) / span if span > 0 else 0.5
    box = (1 - ratio) * np.array(before.face.box_xyxy) + ratio * np.array(after.face.box_xyxy)
    left, top, right, bottom = (float(side) for side in box)
    landmarks = (1 - ratio) * before.face.landmarks_xy + ratio * after.face.landmarks_xy
    face = Detection(
        box_xyxy=(left, top, right, bottom),
        score=min(before.face.score, after.face.score),
        landmarks_xy=landmarks.astype(np.float32),
    )
    return Observation(index, seconds, face, interpolated=True)
