"""Where an interrupted run resumes, and the frames it resumes with."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from typing import Protocol

from vidrestore.errors import MediaError
from vidrestore.faces.tracking.shot_detection import WARM_UP_FRAMES
from vidrestore.faces.tracking.tracker import TrackingStart
from vidrestore.jobs.store.analysis_log import FrameAnalysis
from vidrestore.types import Frame, Timestamp, TrackedFrame


class FrameMismatchError(MediaError):
    """A frame has other samples than when it was analysed."""


class Analysed(Protocol):
    """``Stages.analysed``."""

    def __call__(
        self, frames: Iterable[Frame], *, start: TrackingStart | None = None
    ) -> Iterator[TrackedFrame]:
        """Yield every frame with the faces found in it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResumePoint:
    """The state needed to resume. Frames are numbered as between the stages."""

    begin: int = 0
    """The first frame to give to ``finished``."""
    decode_from: int = 0
    """The first frame to decode."""
    decode_ticks: int = 0
    """Time of that frame, in ticks of the film's time base."""
    tracking: TrackingStart = field(default_factory=TrackingStart)
    """Where detection restarts: the start of the last shot."""
    notes: dict[int, FrameAnalysis] = field(default_factory=dict[int, FrameAnalysis])
    """Findings from ``begin`` on, by frame."""
    analysed: int = 0
    """Number of frames in the log."""
    last_noted: int = -1
    """Number of the last frame in the log."""

    def timestamp(self, time_base: Fraction) -> Timestamp:
        """Return the time of the first frame to decode."""
        return Timestamp(self.decode_ticks, time_base)

    def tracked(self, frames: Iterable[Frame], analysed: Analysed) -> Iterator[TrackedFrame]:
        """Yield frames from ``begin`` on as an uninterrupted run saw them.

        Args:
            frames: The frames from ``decode_from`` on.
            analysed: Finds the faces in frames that are not in the log.

        Raises:
            FrameMismatchError: A frame has other samples than when it was analysed.
        """
        if self.analysed == 0:
            yield from analysed(frames)
            return
        checked = map(self._checked, frames)
        warm_up = self.tracking.frame_index - WARM_UP_FRAMES
        first: Frame | None = None
        for frame in checked:
            if frame.index >= warm_up:
                first = frame
                break
            yield from self._known(frame)
        if first is None:
            return
        waiting: deque[TrackedFrame] = deque()

        def fed() -> Iterator[Frame]:
            for frame in chain([first], checked):
                if frame.index < self.tracking.frame_index:
                    waiting.extend(self._known(frame))
                yield frame

        for each in analysed(fed(), start=self.tracking):
            while waiting:
                yield waiting.popleft()
            if each.frame.index >= self.begin:
                yield each
        yield from waiting

    def _checked(self, frame: Frame) -> Frame:
        notes = self.notes.get(frame.index)
        if notes is not None and not notes.describes(frame):
            raise FrameMismatchError(
                f"frame {frame.index} has other samples than before the run was interrupted; if "
                "the film was changed, start over with --overwrite"
            )
        return frame

    def _known(self, frame: Frame) -> Iterator[TrackedFrame]:
        if frame.index >= self.begin:
            yield self.notes[frame.index].tracked(frame)


def resume_point(
    notes: Callable[[], Iterable[FrameAnalysis]],
    *,
    start: int,
    reach: int,
    step: int = 1,
) -> ResumePoint:
    """Return how to resume at frame ``start``.

    Args:
        notes: Reads the log from its first frame on, in order; called twice.
        start: The first frame that is not finished.
        reach: Number of frames before it that its result may depend on.
        step: Largest difference between the numbers of consecutive whole frames.
    """
    begin = max(0, start - reach * step)
    kept: dict[int, FrameAnalysis] = {}
    tracking = TrackingStart()
    most = analysed = 0
    last_shot = last_noted = -1
    for each in notes():
        if each.shot != last_shot:
            last_shot = each.shot
            tracking = TrackingStart(frame_index=each.index, shot=each.shot, track_id=most + 1)
        most = max([most, *(face.track_id for face in each.faces)])
        analysed += 1
        last_noted = each.index
        if each.index >= begin:
            kept[each.index] = each
    warm_up = tracking.frame_index - WARM_UP_FRAMES * step
    decode_from = max(0, min(begin, warm_up)) // step * step
    ticks = next(each.ticks for each in notes() if each.index >= decode_from)
    return ResumePoint(
        begin=begin,
        decode_from=decode_from,
        decode_ticks=ticks,
        tracking=tracking,
        notes=kept,
        analysed=analysed,
        last_noted=last_noted,
    )
