"""Pair the frames of two videos by time: none missing, none extra, each at its time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from vidrestore.types import Frame
from vidrestore.verify.time_offset import OffsetEstimator


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairing:
    """A frame of the source and its frame of the result; None where there is no counterpart."""

    source: Frame | None
    result: Frame | None
    is_in_time: bool = True
    """Whether both frames have the same time; true for a frame without counterpart."""


class FrameLookahead:
    """Iterates over frames with a look at the next one."""

    def __init__(self, frames: Iterable[Frame]) -> None:
        self._frames = iter(frames)
        self.current = next(self._frames, None)
        self.next = None if self.current is None else next(self._frames, None)

    def step(self) -> Frame | None:
        """Return the current frame, and advance."""
        frame, self.current = self.current, self.next
        self.next = None if self.next is None else next(self._frames, None)
        return frame


def pair_by_order(source: Iterable[Frame], result: Iterable[Frame]) -> Iterator[Pairing]:
    """Pair frames one by one; surplus frames at the end have no counterpart."""
    before, after = FrameLookahead(source), FrameLookahead(result)
    while before.current is not None or after.current is not None:
        yield Pairing(source=before.step(), result=after.step())


def pair_by_time(
    source: Iterable[Frame],
    result: Iterable[Frame],
    *,
    offset: OffsetEstimator,
    rounding_seconds: Fraction,
) -> Iterator[Pairing]:
    """Pair frames by their times; a frame that is alone at its time has no counterpart.

    A frame that moved, but not past its neighbors, is paired and marked as moved.

    Args:
        source: Frames with increasing times.
        result: Frames with increasing times.
        offset: Narrowed down by every pair whose times match.
        rounding_seconds: Largest rounding of the times of the result.
    """
    before, after = FrameLookahead(source), FrameLookahead(result)

    def seconds(frame: Frame) -> Fraction:
        return frame.timestamp.seconds + offset.offset_seconds

    while before.current is not None and after.current is not None:
        if offset.explains(
            before.current.timestamp.seconds,
            after.current.timestamp.seconds,
            rounding_seconds=rounding_seconds,
        ):
            yield Pairing(source=before.step(), result=after.step())
            continue
        expected = before.current.timestamp.seconds
        next_expected = None if before.next is None else before.next.timestamp.seconds
        next_seconds = None if after.next is None else seconds(after.next)
        slack = 2 * rounding_seconds
        if next_expected is not None and seconds(after.current) >= next_expected - slack:
            yield Pairing(source=before.step(), result=None)
        elif next_seconds is not None and expected >= next_seconds - slack:
            yield Pairing(source=None, result=after.step())
        else:
            yield Pairing(source=before.step(), result=after.step(), is_in_time=False)
    while before.current is not None:
        yield Pairing(source=before.step(), result=None)
    while after.current is not None:
        yield Pairing(source=None, result=after.step())


@dataclass(slots=True)
class FrameCounts:
    """Counts of frames and of their differences in time, with the first example of each."""

    source: int = 0
    result: int = 0
    missing: int = 0
    extra: int = 0
    moved: int = 0
    renamed: int = 0
    first_missing: Frame | None = None
    first_extra: Frame | None = None
    first_moved: tuple[Frame, Frame] | None = None
    first_renamed: tuple[Frame, Frame] | None = None
    last: tuple[Frame, Frame] | None = None
    """The last pair, if no frame without counterpart came after it."""

    def add(self, pairing: Pairing) -> None:
        """Count a pair, or a frame without counterpart."""
        before, after = pairing.source, pairing.result
        self.source += before is not None
        self.result += after is not None
        self.last = None
        if before is None or after is None:
            self._add_single(before, after)
            return
        self.last = (before, after)
        if not pairing.is_in_time:
            self.moved += 1
            self.first_moved = self.first_moved or self.last
        if before.source_name != after.source_name:
            self.renamed += 1
            self.first_renamed = self.first_renamed or self.last

    def _add_single(self, before: Frame | None, after: Frame | None) -> None:
        if before is not None:
            self.missing += 1
            self.first_missing = self.first_missing or before
        elif after is not None:
            self.extra += 1
            self.first_extra = self.first_extra or after
