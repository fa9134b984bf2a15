"""The frames of two films side by side: none missing, none more, each at its time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from vidrestore.types import Frame
from vidrestore.verify.time_offset import OffsetEstimator


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairing:
    """A frame of the source with its frame of the result, or one of them alone."""

    source: Frame | None
    result: Frame | None
    in_time: bool = True
    """Whether the pair has the same time; true for one alone."""


class Ahead:
    """Frames of one film with a look at the next one."""

    def __init__(self, frames: Iterable[Frame]) -> None:
        self._frames = iter(frames)
        self.now = next(self._frames, None)
        self.next = None if self.now is None else next(self._frames, None)

    def step(self) -> Frame | None:
        """Return the frame that is now, and go on."""
        frame, self.now = self.now, self.next
        self.next = None if self.next is None else next(self._frames, None)
        return frame


def paired_by_order(source: Iterable[Frame], result: Iterable[Frame]) -> Iterator[Pairing]:
    """Pair frames one by one; what is over at the end stands alone."""
    before, after = Ahead(source), Ahead(result)
    while before.now is not None or after.now is not None:
        yield Pairing(source=before.step(), result=after.step())


def paired_by_time(
    source: Iterable[Frame],
    result: Iterable[Frame],
    *,
    shift: OffsetEstimator,
    rounding_seconds: Fraction,
) -> Iterator[Pairing]:
    """Pair frames by their times; one that has no partner at its time stands alone.

    A frame that moved, but not past its neighbours, is paired and marked as out of time.

    Args:
        source: Frames with rising times.
        result: Frames with rising times.
        shift: Narrowed down by every pair in time.
        rounding_seconds: How far times of the result may be off.
    """
    before, after = Ahead(source), Ahead(result)

    def seconds(frame: Frame) -> Fraction:
        return frame.timestamp.seconds + shift.shift_seconds

    while before.now is not None and after.now is not None:
        if shift.explains(
            before.now.timestamp.seconds,
            after.now.timestamp.seconds,
            rounding_seconds=rounding_seconds,
        ):
            yield Pairing(source=before.step(), result=after.step())
            continue
        wanted = before.now.timestamp.seconds
        following = None if before.next is None else before.next.timestamp.seconds
        after_that = None if after.next is None else seconds(after.next)
        slack = 2 * rounding_seconds
        if following is not None and seconds(after.now) >= following - slack:
            yield Pairing(source=before.step(), result=None)
        elif after_that is not None and wanted >= after_that - slack:
            yield Pairing(source=None, result=after.step())
        else:
            yield Pairing(source=before.step(), result=after.step(), in_time=False)
    while before.now is not None:
        yield Pairing(source=before.step(), result=None)
    while after.now is not None:
        yield Pairing(source=None, result=after.step())


@dataclass(slots=True)
class FrameCounts:
    """What was found of frames and their times; no more than the first place of each kind."""

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
    field_flags: int = 0
    """Pairs of which one is marked as interlaced, or in another order of fields."""
    last: tuple[Frame, Frame] | None = None
    """The last pair, if nothing stood alone after it."""

    def add(self, pairing: Pairing) -> None:
        """Count one."""
        before, after = pairing.source, pairing.result
        self.source += before is not None
        self.result += after is not None
        self.last = None
        if before is None or after is None:
            self._add_alone(before, after)
            return
        self.last = (before, after)
        if not pairing.in_time:
            self.moved += 1
            self.first_moved = self.first_moved or self.last
        if before.source_name != after.source_name:
            self.renamed += 1
            self.first_renamed = self.first_renamed or self.last
        order = before.interlaced and before.top_field_first != after.top_field_first
        self.field_flags += before.interlaced != after.interlaced or order

    def _add_alone(self, before: Frame | None, after: Frame | None) -> None:
        if before is not None:
            self.missing += 1
            self.first_missing = self.first_missing or before
        elif after is not None:
            self.extra += 1
            self.first_extra = self.first_extra or after
