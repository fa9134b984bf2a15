"""Smooth strengths along tracks, over a bounded number of frames to both sides.

A minimum filter keeps averaging from diluting a low strength. Then a mean filter limits the change
of strength to a seventh from frame to frame. Beyond the ends of a track, its first or last value is
repeated.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from vidrestore.safeguard.assessment import strictest
from vidrestore.safeguard.config import MEAN_FILTER_RADIUS, MIN_FILTER_RADIUS
from vidrestore.sliding_window import Item, sliding_window
from vidrestore.types import Assessment

_RADIUS_FRAMES = MIN_FILTER_RADIUS + MEAN_FILTER_RADIUS

Assessments = Mapping[int, Assessment]
"""Assessments of the faces of one frame, by track."""


def smooth_strengths(
    frames: Iterable[tuple[Item, Assessments]],
) -> Iterator[tuple[Item, dict[int, Assessment]]]:
    """Yield every frame once, in order, with its assessments smoothed.

    A result depends only on the frames within ``_RADIUS_FRAMES`` to each side in which the track
    has no gap.

    Args:
        frames: Frames with their assessments, in presentation order.
    """
    for window in sliding_window(frames, before=_RADIUS_FRAMES, after=_RADIUS_FRAMES):
        smoothed: dict[int, Assessment] = {}
        for track, current in window.value.items():
            before, after = (_run(track, side) for side in (window.before, window.after))
            smoothed[track] = _smooth([*reversed(before), current, *after], len(before))
        yield window.item, smoothed


def _run(track: int, frames: Sequence[Assessments]) -> list[Assessment]:
    """Return the assessments of a track up to its first gap."""
    run: list[Assessment] = []
    for assessments in frames:
        if track not in assessments:
            break
        run.append(assessments[track])
    return run


def _smooth(run: Sequence[Assessment], index: int) -> Assessment:
    """Return the smoothed assessment of frame ``index`` of a run."""
    last = len(run) - 1
    around = [
        min(last, max(0, position))
        for position in range(index - MEAN_FILTER_RADIUS, index + MEAN_FILTER_RADIUS + 1)
    ]
    lows = {position: _minimum(run, position) for position in set(around)}
    strength = sum(lows[position].strength for position in around) / len(around)
    lowest = strictest(lows[position] for position in sorted(lows))
    return Assessment(strength, lowest.reason if strength < 1.0 else None, _similarity(run, index))


def _minimum(run: Sequence[Assessment], index: int) -> Assessment:
    return strictest(run[max(0, index - MIN_FILTER_RADIUS) : index + MIN_FILTER_RADIUS + 1])


def _similarity(run: Sequence[Assessment], index: int) -> float | None:
    """Return the similarity at a frame, interpolated linearly between measurements."""
    known = {
        position: item.identity_similarity
        for position, item in enumerate(run)
        if item.identity_similarity is not None
    }
    before = max((position for position in known if position <= index), default=None)
    after = min((position for position in known if position >= index), default=None)
    if before is None or after is None:
        only = after if before is None else before
        return None if only is None else known[only]
    ratio = 0.0 if after == before else (index - before) / (after - before)
    return (1.0 - ratio) * known[before] + ratio * known[after]
