"""Timelines: where an output starts, and timestamps that are missing or run backwards."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import gcd, lcm

from vidrestore.types.time_range import TimeRange

_COARSEST_SHIFT_SECONDS = Fraction(1, 10)
# Of the time from frame to frame: rounding to coarser ticks hides where frames belong.
_FINE_TICK = Fraction(1, 8)


def exact_seconds(value: Fraction | float | None) -> Fraction | None:
    """Return seconds as a fraction; a float as its shortest decimal, so 0.1 is one tenth."""
    return value if value is None or isinstance(value, Fraction) else Fraction(repr(value))


def common_shift(
    wanted_seconds: Fraction, video_time_base: Fraction, time_bases: Iterable[Fraction]
) -> Fraction:
    """Return how much to take from every timestamp so that the output starts near zero.

    At most ``wanted_seconds``, and a whole number of ticks of every stream, so that no stream
    moves against another. Where no such number is within a tenth of a second, a whole number
    of video ticks is taken and the other streams are rounded to their nearest tick.
    """
    bases = [video_time_base, *time_bases]
    grid = Fraction(
        lcm(*(base.numerator for base in bases)), gcd(*(base.denominator for base in bases))
    )
    if grid > _COARSEST_SHIFT_SECONDS:
        grid = video_time_base
    return wanted_seconds // grid * grid


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyTimeline:
    """How the source's times become the output's, and which part of the source is copied."""

    shift_seconds: Fraction
    """Taken from every timestamp."""
    time_range: TimeRange
    """The selected part, in the source's times."""
    delay_seconds: Fraction = Fraction(0)
    """What the muxer then adds to those of all packets, where it cannot begin before 0."""
    offset_by_stream_seconds: Mapping[int, Fraction] = field(default_factory=dict[int, Fraction])
    """Taken from the timestamps of some streams instead, by their index in the source."""

    def shift_of(self, stream_index: int) -> Fraction:
        """Return what is taken from the timestamps of a stream of the source."""
        return self.offset_by_stream_seconds.get(stream_index, self.shift_seconds)


_RESTART_SECONDS = 1


class MonotonicTimestamps:
    """Makes timestamps increase where a file is damaged, or is two recordings joined.

    A timestamp slightly before its predecessor is moved to just after it. Where the clock
    restarts, time continues from where it was, in the steps of the new clock.
    """

    def __init__(self, time_base: Fraction, *, may_repeat: bool = False) -> None:
        self._least_step = 0 if may_repeat else 1
        self._restart_ticks = round(_RESTART_SECONDS / time_base)
        self._last: int | None = None
        self._found: int | None = None
        self._step = 1

    def grown(self, ticks: int) -> int:
        """Return the time that the next stamp stands for: itself, or one behind the last."""
        last, found = self._last, self._found
        grown = ticks
        if last is not None and found is not None and ticks < last + self._least_step:
            step = ticks - found
            if step <= 0:
                step = self._step if -step > self._restart_ticks else 1
            grown = last + step
        if last is not None:
            self._step = grown - last
        self._last, self._found = grown, ticks
        return grown


class Clock:
    """Gives every frame a time: missing ones are made up, and none runs backwards."""

    def __init__(self, time_base: Fraction) -> None:
        self.repaired_count = 0
        self._times = MonotonicTimestamps(time_base)
        self._last: int | None = None
        self._step = 1

    def ticks(self, pts: int | None, dts: int | None, duration: int) -> int:
        """Return the time of the next frame in presentation order."""
        found = pts if pts is not None else dts
        expected = 0 if self._last is None else self._last + self._step
        ticks = self._times.grown(expected if found is None else found)
        if pts is None or ticks != pts:
            self.repaired_count += 1
        self._last, self._step = ticks, max(1, duration)
        return ticks


def step_of_all(
    ticks: Sequence[int], time_base: Fraction, rate: Fraction | None
) -> Fraction | None:
    """Return a time of which all times are whole multiples, or were before they were rounded.

    Args:
        ticks: Times of pictures in order, the first one 0.
        time_base: What they count in.
        rate: Pictures a second, as the film says.

    Returns:
        Seconds; None where only ``time_base`` itself is such a time.
    """
    common = gcd(*ticks)
    if common > 1:
        return common * time_base
    if rate is None or time_base * rate > _FINE_TICK:
        return None
    places = (each * time_base * rate for each in ticks)
    if all(abs(place - round(place)) <= time_base * rate for place in places):
        return 1 / rate
    return None


def decode_timestamps(pts: Sequence[int]) -> list[int]:
    """Return a decoding time for packets in decoding order: growing, none after its ``pts``.

    They are the presentation times in order, late by as many frames as the deepest reordering
    asks for; before the first frame they go on in its step.
    """
    shown = sorted(pts)
    rank = {ticks: at for at, ticks in enumerate(shown)}
    delay = max((at - rank[ticks] for at, ticks in enumerate(pts)), default=0)
    step = max(1, shown[1] - shown[0]) if len(shown) > 1 else 1
    early = [shown[0] - (delay - at) * step for at in range(min(delay, len(shown)))]
    return [*early, *shown[: len(shown) - len(early)]]
