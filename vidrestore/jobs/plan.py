"""Where segments end: at a shot change, else at a key frame, else at the longest length.

A plan depends only on the film, so that every run and every engine divides it into the same
segments.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import count
from typing import TYPE_CHECKING

from vidrestore.settings import JobSettings, check_options, same_option

if TYPE_CHECKING:
    from vidrestore.jobs.store.frame_analysis import FrameAnalysis
    from vidrestore.types import FinishedFrame

_MAX_FRAMES = 1500
"""Most frames of a segment, whatever its duration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameTiming:
    """The properties of a frame that the plan depends on."""

    index: int
    seconds: float
    shot: int
    key_frame: bool

    @staticmethod
    def of(finished: "FinishedFrame") -> "FrameTiming":
        """Return the timing of a restored frame."""
        source = finished.source
        return FrameTiming(
            index=source.index,
            seconds=float(source.timestamp.seconds),
            shot=finished.shot,
            key_frame=source.key_frame,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRule:
    """When a segment is long enough."""

    seconds: float = same_option(JobSettings, "segment_seconds")
    """A segment ends at the first shot change after this time, at the first key frame after twice
    this time, and at the latest after three times this time."""

    def __post_init__(self) -> None:
        check_options(self)

    def starts_segment(
        self, first: FrameTiming, previous: FrameTiming, current: FrameTiming
    ) -> bool:
        """Return whether a segment that starts at ``first`` ends between two frames."""
        length = current.seconds - first.seconds
        return (
            (current.shot != previous.shot and length >= self.seconds)
            or (current.key_frame and length >= 2 * self.seconds)
            or length >= 3 * self.seconds
            or current.index - first.index >= _MAX_FRAMES
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSegment:
    """One segment, and the range of bytes of the journal that is needed to restore it."""

    number: int
    first_frame: int
    end_frame: int
    """The frame after its last."""
    first_byte: int
    end_byte: int = 0
    is_last: bool = False


class Planner:
    """Plans the segments of a film while it is analyzed.

    A segment can be restored once the analysis has passed its end by the number of frames that the
    result of its last frame may depend on.
    """

    def __init__(
        self, rule: SegmentRule, *, context_frames: int, index_step: int, time_base: Fraction
    ) -> None:
        """Start a plan.

        Args:
            rule: Where segments end.
            context_frames: Number of frames to each side that a result may depend on.
            index_step: Difference between the numbers of consecutive frames in the analysis.
            time_base: Time base of the ticks in the analysis.
        """
        self.frames = 0
        """Number of frames so far; two fields are one frame."""
        self._rule = rule
        self._context_frames = context_frames
        self._index_step = index_step
        self._time_base = time_base
        self._offsets: deque[tuple[int, int]] = deque()
        """Number and byte offset of the last frames, as many as the context."""
        self._numbers = count()
        self._first: FrameTiming
        self._previous: FrameTiming | None = None
        self._first_byte = self._end_byte = 0
        self._closed: deque[PlannedSegment] = deque()
        """Segments whose end the analysis must still pass by the context."""

    def add(self, analysis: "FrameAnalysis", end_byte: int) -> Iterator[PlannedSegment]:
        """Take the next frame or field, and yield the segments that can be restored now.

        Args:
            analysis: What was found in it.
            end_byte: Where it ends in the journal.
        """
        index = analysis.index // self._index_step
        if self._previous is None or index != self._previous.index:
            self._add_frame(index, analysis)
        # One frame past the context: only then are both fields of the last frame in the journal.
        while self._closed and index >= self._closed[0].end_frame + self._context_frames:
            yield self._next_segment(is_last=False)
        self._end_byte = end_byte

    def finish(self) -> Iterator[PlannedSegment]:
        """Yield the remaining segments; the film has ended."""
        if self._previous is not None:
            self._close_segment(self._previous.index + 1)
            self._previous = None
        while self._closed:
            yield self._next_segment(is_last=len(self._closed) == 1)

    def _add_frame(self, index: int, analysis: "FrameAnalysis") -> None:
        current = FrameTiming(
            index=index,
            seconds=float(analysis.ticks * self._time_base),
            shot=analysis.shot,
            key_frame=analysis.key_frame,
        )
        self.frames += 1
        self._offsets.append((index, self._end_byte))
        while self._offsets[0][0] < index - self._context_frames:
            self._offsets.popleft()
        if self._previous is None:
            self._first, self._first_byte = current, self._end_byte
        elif self._rule.starts_segment(self._first, self._previous, current):
            self._close_segment(index)
            self._first, self._first_byte = current, self._offsets[0][1]
        self._previous = current

    def _close_segment(self, end_frame: int) -> None:
        segment = PlannedSegment(
            number=next(self._numbers),
            first_frame=self._first.index,
            end_frame=end_frame,
            first_byte=self._first_byte,
        )
        self._closed.append(segment)

    def _next_segment(self, *, is_last: bool) -> PlannedSegment:
        return replace(self._closed.popleft(), end_byte=self._end_byte, is_last=is_last)
