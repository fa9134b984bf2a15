"""One face followed through the frames of a shot."""

from bisect import bisect_left
from dataclasses import dataclass, field

import numpy as np

from vidrestore.faces.config import TrackerConfig
from vidrestore.types import Detection

_MAX_STEP_SECONDS = 0.2
"""How far ahead motion is carried on: faces do not keep moving in a straight line."""
_KEPT_SIGHTINGS = 16
_VELOCITY_SECONDS = 0.12
"""Span over which speed is measured: one step alone is mostly noise."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A face seen in a frame."""

    index: int
    """Of the frame."""
    seconds: float
    face: Detection
    interpolated: bool = False


@dataclass(slots=True, eq=False)
class Track:
    """What is known of one face; sightings are in the order of frames."""

    sightings: list[Sighting] = field(default_factory=list[Sighting])
    looked: int = 0
    """Frames in which the face was looked for."""
    hits: int = 0
    score_sum: float = 0.0
    search_misses: int = 0
    first_seconds: float = np.inf
    track_id: int | None = None
    """From 1, given once the track is accepted."""
    discarded: bool = False

    def saw(self, sighting: Sighting) -> None:
        """Take in a sighting after the last or before the first."""
        if self.sightings and sighting.index < self.sightings[0].index:
            self.sightings.insert(0, sighting)
        else:
            self.sightings.append(sighting)
        self.first_seconds = min(self.first_seconds, sighting.seconds)
        self.hits += 1
        self.score_sum += sighting.face.score

    @property
    def last(self) -> Sighting:
        """The latest sighting."""
        return self.sightings[-1]

    def expected(self, seconds: float) -> Detection:
        """Return where the face should be, at constant velocity, before or after it was seen."""
        near, far = self._nearest_two(seconds)
        span = near.seconds - far.seconds
        velocity_xy = np.zeros(2)
        if abs(span) > 1e-9:
            moved = near.face.landmarks_xy.mean(axis=0) - far.face.landmarks_xy.mean(axis=0)
            velocity_xy = moved / span
        step = float(np.clip(seconds - near.seconds, -_MAX_STEP_SECONDS, _MAX_STEP_SECONDS))
        shift_xy = velocity_xy * step
        return near.face.mapped(np.column_stack([np.eye(2), shift_xy]))

    def _nearest_two(self, seconds: float) -> tuple[Sighting, Sighting]:
        later = seconds >= self.last.seconds
        ordered = list(reversed(self.sightings)) if later else self.sightings
        near = ordered[0]
        for other in ordered[1:]:
            if abs(other.seconds - near.seconds) >= _VELOCITY_SECONDS:
                return near, other
        return near, ordered[-1]

    def at(self, index: int, seconds: float, max_gap_seconds: float) -> Sighting | None:
        """Return the face in a frame, bridged by interpolation over a short gap."""
        position = bisect_left(self.sightings, index, key=lambda each: each.index)
        if position < len(self.sightings) and self.sightings[position].index == index:
            return self.sightings[position]
        if position == 0 or position == len(self.sightings):
            return None
        before, after = self.sightings[position - 1 : position + 1]
        if after.seconds - before.seconds > max_gap_seconds:
            return None
        return interpolate_face(before, after, index, seconds)

    def convinces(self, config: TrackerConfig) -> bool:
        """Return whether this is a face, by what has been seen so far."""
        if self.discarded or self.hits < min(config.min_hits, self.looked):
            return False
        if self.score_sum / self.hits < config.min_track_score:
            return False
        lasted = self.last.seconds - self.first_seconds >= config.min_track_seconds
        return lasted or self.hits == self.looked

    def forget_before(self, index: int) -> None:
        """Drop sightings that nothing ahead of frame ``index`` can need; keeps the last few."""
        position = bisect_left(self.sightings, index, key=lambda each: each.index)
        del self.sightings[: max(0, min(position - 1, len(self.sightings) - _KEPT_SIGHTINGS))]


def interpolate_face(before: Sighting, after: Sighting, index: int, seconds: float) -> Sighting:
    """Return a face between two sightings, linear in time."""
    span = after.seconds - before.seconds
    share = (seconds - before.seconds) / span if span > 0 else 0.5
    box = (1 - share) * np.array(before.face.box_xyxy) + share * np.array(after.face.box_xyxy)
    left, top, right, bottom = (float(side) for side in box)
    points = (1 - share) * before.face.landmarks_xy + share * after.face.landmarks_xy
    face = Detection(
        box_xyxy=(left, top, right, bottom),
        score=min(before.face.score, after.face.score),
        landmarks_xy=points.astype(np.float32),
    )
    return Sighting(index, seconds, face, interpolated=True)
