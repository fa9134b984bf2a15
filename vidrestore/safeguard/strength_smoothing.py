"""Smooths readings along tracks, over a bounded number of frames to both sides.

A low reading first lowers its neighbours, so that averaging does not dilute it. Then neighbours are
averaged, so that strength changes by at most a seventh from frame to frame. Beyond the ends of a
track its first or last value is repeated.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from vidrestore.safeguard.assessment import Reading, least
from vidrestore.safeguard.config import MEAN_FILTER_RADIUS, MIN_FILTER_RADIUS

Item = TypeVar("Item")

_REACH_FRAMES = MIN_FILTER_RADIUS + MEAN_FILTER_RADIUS


@dataclass(frozen=True, slots=True)
class Looked(Generic[Item]):
    """A frame and the readings of its faces."""

    item: Item
    readings: Mapping[int, Reading]
    """Readings by track."""


def smoothed(frames: Iterable[Looked[Item]]) -> Iterator[Looked[Item]]:
    """Yield every frame once, in order, with its readings smoothed.

    A result depends only on the frames within ``_REACH_FRAMES`` to each side that hold the track
    without a gap.

    Args:
        frames: Frames in presentation order.
    """
    past: deque[Mapping[int, Reading]] = deque(maxlen=_REACH_FRAMES)
    ahead: deque[Looked[Item]] = deque()
    for frame in frames:
        ahead.append(frame)
        if len(ahead) > _REACH_FRAMES:
            yield _next(past, ahead)
    while ahead:
        yield _next(past, ahead)


def _next(past: deque[Mapping[int, Reading]], ahead: deque[Looked[Item]]) -> Looked[Item]:
    now = ahead[0]
    following = [each.readings for each in ahead]
    readings = {track: _smoothed_at(*_run(track, [*past], following)) for track in now.readings}
    ahead.popleft()
    past.append(now.readings)
    return Looked(now.item, readings)


def _run(
    track: int,
    past: Sequence[Mapping[int, Reading]],
    following: Sequence[Mapping[int, Reading]],
) -> tuple[list[Reading], int]:
    """Return the readings of a track around the current frame, and the index of that frame."""
    before: list[Reading] = []
    for readings in reversed(past):
        if track not in readings:
            break
        before.insert(0, readings[track])
    run = before
    at = len(before)
    for readings in following:
        if track not in readings:
            break
        run.append(readings[track])
    return run[: at + _REACH_FRAMES + 1], at


def _smoothed_at(run: Sequence[Reading], at: int) -> Reading:
    last = len(run) - 1
    around = [
        min(last, max(0, each))
        for each in range(at - MEAN_FILTER_RADIUS, at + MEAN_FILTER_RADIUS + 1)
    ]
    lows = {each: _low(run, each) for each in set(around)}
    strength = sum(lows[each].strength for each in around) / len(around)
    lowest = least(lows[each] for each in sorted(lows))
    return Reading(strength, lowest.reason, _similarity(run, at))


def _low(run: Sequence[Reading], at: int) -> Reading:
    return least(run[max(0, at - MIN_FILTER_RADIUS) : at + MIN_FILTER_RADIUS + 1])


def _similarity(run: Sequence[Reading], at: int) -> float | None:
    """Return the similarity at a frame, interpolated linearly between measurements."""
    known = {
        each: found.similarity for each, found in enumerate(run) if found.similarity is not None
    }
    before = max((each for each in known if each <= at), default=None)
    after = min((each for each in known if each >= at), default=None)
    if before is None or after is None:
        only = after if before is None else before
        return None if only is None else known[only]
    share = 0.0 if after == before else (at - before) / (after - before)
    return (1.0 - share) * known[before] + share * known[after]
