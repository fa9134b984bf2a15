"""Where an interrupted run resumes, and the frames it resumes with."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TypeVar

from vidrestore.faces.tracking.shot_detection import WARM_UP_FRAMES
from vidrestore.faces.tracking.tracker import TrackingStart
from vidrestore.jobs.store.frame_analysis import FrameAnalysis, FrameMismatchError
from vidrestore.jobs.store.journal import read_frames
from vidrestore.pipeline.stages import Stages
from vidrestore.types import Frame, TrackedFrame

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResumePoint:
    """The state needed to resume. Frames are numbered as between the stages."""

    first_index: int = 0
    """The first frame to give to ``Stages.restore``."""
    decode_from: int = 0
    """The first frame to decode."""
    decode_ticks: int | None = None
    """Time of that frame, in ticks of the source; None if nothing is analyzed yet."""
    tracking: TrackingStart = field(default_factory=TrackingStart)
    """Where detection restarts: the start of the last shot."""
    analysis: Mapping[int, FrameAnalysis] = field(default_factory=dict[int, FrameAnalysis])
    """Analysis of the frames from ``first_index`` on, by number."""
    last_index: int = -1
    """Number of the last frame in the journal."""

    def resume_tracking(self, frames: Iterable[Frame], stages: Stages) -> Iterator[TrackedFrame]:
        """Yield frames from ``first_index`` on as an uninterrupted run saw them.

        Args:
            frames: The frames from ``decode_from`` on.
            stages: Find the faces in frames that are not in the journal.

        Raises:
            FrameMismatchError: A frame has other samples than when it was analyzed.
        """
        if self.decode_ticks is None:
            yield from stages.analyze(frames)
            return
        checked = map(self._check, frames)
        warm_up: deque[Frame] = deque(maxlen=WARM_UP_FRAMES)
        for frame in checked:
            if frame.index >= self.tracking.frame_index:
                from_shot = chain(warm_up, [frame], checked)
                for tracked in stages.analyze(from_shot, start=self.tracking):
                    if tracked.frame.index >= self.first_index:
                        yield tracked
                return
            warm_up.append(frame)
            if frame.index >= self.first_index:
                yield self.analysis[frame.index].tracked(frame)

    def _check(self, frame: Frame) -> Frame:
        analysis = self.analysis.get(frame.index)
        if analysis is not None:
            analysis.check(frame, "before the run was interrupted")
        return frame


def decode_again_on_mismatch(decode: Callable[[bool], Iterator[T]], *, seek: bool) -> Iterator[T]:
    """Yield from ``decode(seek)``; if frames then differ, from ``decode(False)``.

    Frames after a key frame can depend on what precedes it. Then they have to be decoded from the
    start of the film.
    """
    try:
        yield from decode(seek)
    except FrameMismatchError:
        if not seek:
            raise
        yield from decode(False)


def resume_point(
    folder: Path, journal_bytes: int, stages: Stages, *, next_index: int | None = None
) -> ResumePoint:
    """Return how to resume at a frame.

    Args:
        folder: Folder of the job, whose journal is read twice.
        journal_bytes: Size of the intact part of the journal; nothing is resumed if that is 0.
        stages: Restore the frames.
        next_index: The first frame that is not finished, as the stages count; None for the first
            that is not analyzed.

    Raises:
        MediaError: The journal cannot be read.
    """
    tracking = TrackingStart()
    last_shot = last_index = -1
    last_track = 0
    for analysis, _ in read_frames(folder, 0, journal_bytes):
        last_index = analysis.index
        if analysis.shot != last_shot:
            last_shot = analysis.shot
            tracking = TrackingStart(
                frame_index=last_index, shot=last_shot, track_id=last_track + 1
            )
        last_track = max([last_track, *(face.track_id for face in analysis.faces)])
    if last_index < 0:
        return ResumePoint()
    next_index = last_index + 1 if next_index is None else next_index
    index_step = stages.fields.index_step
    first_index = max(0, next_index - stages.context_frames * index_step)
    warm_up = tracking.frame_index - WARM_UP_FRAMES * index_step
    decode_from = max(0, min(first_index, warm_up)) // index_step * index_step
    known: dict[int, FrameAnalysis] = {}
    decode_ticks: int | None = None
    for analysis, _ in read_frames(folder, 0, journal_bytes):
        if decode_ticks is None and analysis.index >= decode_from:
            decode_ticks = analysis.ticks
        if analysis.index >= first_index:
            known[analysis.index] = analysis
    return ResumePoint(
        first_index=first_index,
        decode_from=decode_from,
        decode_ticks=decode_ticks,
        tracking=tracking,
        analysis=known,
        last_index=last_index,
    )
