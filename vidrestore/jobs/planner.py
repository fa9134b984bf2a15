"""The plan of a film for many workers: the same segments as for one, each with its log lines.

A segment can be restored once the analysis has passed its end by the number of frames that the
result of its last frame may depend on.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from vidrestore.jobs.plan import Moment, SegmentRule
from vidrestore.jobs.store.analysis_log import FrameAnalysis


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSegment:
    """One segment, and the range of bytes in the log that is needed to restore it."""

    number: int
    first_frame: int
    end_frame: int
    """The frame after its last."""
    is_last: bool
    begin_byte: int
    end_byte: int


@dataclass(slots=True)
class _Ended:
    number: int
    first_frame: int
    end_frame: int
    begin_byte: int


class Planner:
    """Turns the notes of a film, added in order, into segments."""

    def __init__(self, rule: SegmentRule, *, reach: int, step: int, time_base: Fraction) -> None:
        """Start a plan.

        Args:
            rule: Where segments end.
            reach: Number of frames to each side that a result depends on, between the stages.
            step: Largest difference between the numbers of whole frames, between the stages.
            time_base: Time base of the notes' ticks.
        """
        self.size_bytes = 0
        """Size of the log so far."""
        self.frames = 0
        """Whole frames so far."""
        self.last_noted = -1
        """Number of the last frame, as between the stages."""
        self._rule = rule
        self._reach = reach
        self._step = step
        self._time_base = time_base
        self._begins: deque[tuple[int, int]] = deque()
        """Number and byte offset of the last whole frames, within reach."""
        self._number = 0
        self._first: Moment | None = None
        self._last: Moment | None = None
        self._begin_byte = 0
        self._ended: deque[_Ended] = deque()
        """Ended segments that wait for the analysis to pass them."""

    def add(self, notes: FrameAnalysis, line_bytes: int) -> Iterator[PlannedSegment]:
        """Take the notes of the next frame, and yield the segments that can be restored now.

        Args:
            notes: Notes of a frame or of a field.
            line_bytes: Length of their line in the log.
        """
        whole = notes.index // self._step
        if self._last is None or whole != self._last.index:
            self._begin(whole, notes)
        self.last_noted = notes.index
        # One frame past the reach: only then are both fields of the last frame noted.
        while self._ended and whole >= self._ended[0].end_frame + self._reach:
            yield self._planned(is_last=False)
        self.size_bytes += line_bytes

    def finish(self) -> Iterator[PlannedSegment]:
        """Yield the remaining segments; the film has ended."""
        if self._first is not None and self._last is not None:
            self._end(self._first, self._last.index + 1)
            self._first = None
        while self._ended:
            yield self._planned(is_last=len(self._ended) == 1)

    def _begin(self, whole: int, notes: FrameAnalysis) -> None:
        now = Moment(
            index=whole,
            seconds=float(notes.ticks * self._time_base),
            shot=notes.shot,
            key_frame=notes.key_frame,
        )
        self.frames += 1
        self._begins.append((whole, self.size_bytes))
        while self._begins[0][0] < whole - self._reach:
            self._begins.popleft()
        if self._first is None or self._last is None:
            self._first, self._begin_byte = now, self.size_bytes
        elif self._rule.begins(self._first, self._last, now):
            self._end(self._first, whole)
            self._first, self._begin_byte = now, self._begins[0][1]
        self._last = now

    def _end(self, first: Moment, end_frame: int) -> None:
        self._ended.append(_Ended(self._number, first.index, end_frame, self._begin_byte))
        self._number += 1

    def _planned(self, *, is_last: bool) -> PlannedSegment:
        ended = self._ended.popleft()
        return PlannedSegment(
            number=ended.number,
            first_frame=ended.first_frame,
            end_frame=ended.end_frame,
            is_last=is_last,
            begin_byte=ended.begin_byte,
            end_byte=self.size_bytes,
        )
