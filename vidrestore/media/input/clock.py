"""Timelines: where an output starts, and timestamps that are missing or run backwards."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import gcd, lcm

from vidrestore.errors import MediaError
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.types import Frame, Timestamp
from vidrestore.types.time_range import TimeRange

_COARSEST_SHIFT_SECONDS = Fraction(1, 10)
# Of the time between frames; rounding to coarser ticks hides the true times.
_MAX_TICK_SHARE = Fraction(1, 8)


def exact_seconds(value: Fraction | float | None) -> Fraction | None:
    """Return seconds as a fraction; a float as its shortest decimal, so 0.1 is one tenth."""
    return value if value is None or isinstance(value, Fraction) else Fraction(repr(value))


def common_shift(
    max_seconds: Fraction, video_time_base: Fraction, time_bases: Iterable[Fraction]
) -> Fraction:
    """Return what to subtract from every timestamp so that the output starts near zero.

    It is at most ``max_seconds`` and a whole number of ticks of every stream, so that streams stay
    in sync. If such numbers are more than a tenth of a second apart, it is a whole number of video
    ticks, and the other streams are rounded to their nearest tick.
    """
    bases = [video_time_base, *time_bases]
    common_tick = Fraction(
        lcm(*(base.numerator for base in bases)), gcd(*(base.denominator for base in bases))
    )
    if common_tick > _COARSEST_SHIFT_SECONDS:
        common_tick = video_time_base
    return max_seconds // common_tick * common_tick


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyTimeline:
    """How the source's times become the output's, and which time range is copied."""

    shift_seconds: Fraction
    """Subtracted from every timestamp."""
    time_range: TimeRange
    """In the source's times."""
    delay_seconds: Fraction = Fraction(0)
    """Added by the muxer to the times of all packets, if it cannot store negative ones."""
    offset_by_stream_seconds: Mapping[int, Fraction] = field(default_factory=dict[int, Fraction])
    """Subtracted instead from the timestamps of some streams, by their index in the source."""

    def shift_of(self, stream_index: int) -> Fraction:
        """Return what to subtract from the timestamps of a stream of the source."""
        return self.offset_by_stream_seconds.get(stream_index, self.shift_seconds)


_RESTART_SECONDS = 1


class MonotonicTimestamps:
    """Makes timestamps increase where a file is damaged, or joins two recordings.

    A timestamp slightly before the previous one is moved to just after it. Where timestamps start
    over, time continues from where it was, with the steps of the new timestamps.
    """

    def __init__(self, time_base: Fraction, *, may_repeat: bool = False) -> None:
        self._min_step = 0 if may_repeat else 1
        self._restart_ticks = round(_RESTART_SECONDS / time_base)
        self._last_repaired: int | None = None
        self._last_ticks: int | None = None
        self._step = 1

    def repair(self, ticks: int) -> int:
        """Return the next timestamp: ``ticks``, or a later time if the last one was not before."""
        last, last_ticks = self._last_repaired, self._last_ticks
        repaired_ticks = ticks
        if last is not None and last_ticks is not None and ticks < last + self._min_step:
            step = ticks - last_ticks
            if step <= 0:
                step = self._step if -step > self._restart_ticks else 1
            repaired_ticks = last + step
        if last is not None:
            self._step = repaired_ticks - last
        self._last_repaired, self._last_ticks = repaired_ticks, ticks
        return repaired_ticks


class Clock:
    """Gives every frame a timestamp: fills in missing ones, and none runs backwards."""

    def __init__(self, time_base: Fraction) -> None:
        self.repaired_count = 0
        self._times = MonotonicTimestamps(time_base)
        self._last: int | None = None
        self._step = 1

    def ticks(self, pts: int | None, dts: int | None, duration: int) -> int:
        """Return the time of the next frame in presentation order."""
        stated_ticks = pts if pts is not None else dts
        expected_ticks = 0 if self._last is None else self._last + self._step
        ticks = self._times.repair(expected_ticks if stated_ticks is None else stated_ticks)
        if pts is None or ticks != pts:
            self.repaired_count += 1
        self._last, self._step = ticks, max(1, duration)
        return ticks


def common_step_seconds(
    ticks: Sequence[int], time_base: Fraction, rate: Fraction | None
) -> Fraction | None:
    """Return the longest step that all times are multiples of, before rounding to ticks.

    Args:
        ticks: Timestamps in order, the first one 0.
        time_base: Seconds per tick.
        rate: Frames per second, as the header states it.

    Returns:
        Seconds; None if the step is no longer than a tick.
    """
    common = gcd(*ticks)
    if common > 1:
        return common * time_base
    if rate is None or time_base * rate > _MAX_TICK_SHARE:
        return None
    positions = (time * time_base * rate for time in ticks)
    if all(abs(position - round(position)) <= time_base * rate for position in positions):
        return 1 / rate
    return None


def decode_timestamps(pts: Sequence[int]) -> list[int]:
    """Return decoding times for packets in decoding order: increasing, none after its ``pts``.

    They are the sorted presentation times, delayed by as many frames as the deepest reordering
    needs. Times before the first frame continue its step backwards.
    """
    in_order = sorted(pts)
    rank = {ticks: index for index, ticks in enumerate(in_order)}
    delay = max((index - rank[ticks] for index, ticks in enumerate(pts)), default=0)
    step = max(1, in_order[1] - in_order[0]) if len(in_order) > 1 else 1
    lead_in = [in_order[0] - (delay - n) * step for n in range(min(delay, len(in_order)))]
    return [*lead_in, *in_order[: len(in_order) - len(lead_in)]]


def frames_from_index(
    frames: Iterator[Frame], index: int, timestamp: Timestamp, info: VideoInfo
) -> Iterator[Frame]:
    """Yield ``frames`` from number ``index`` on.

    Raises:
        MediaError: There is no such frame, or it has another timestamp.
    """
    remaining = (frame for frame in frames if frame.index >= index)
    first = next(remaining, None)
    if first is None or (first.index, first.timestamp) != (index, timestamp):
        raise MediaError(
            f"{info.path}: no frame at {float(timestamp.seconds):.3f} s; "
            "if the source changed, start over with --overwrite"
        )
    yield first
    yield from remaining
