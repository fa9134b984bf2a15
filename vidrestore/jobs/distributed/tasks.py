"""The tasks of a worker: load the networks of a video, analyze it, restore a segment.

Each is a plain generator function, whose items are sent while it runs. If a worker dies, Ray runs
its task again, and drops as many items as were sent before. A task therefore yields the same number
of items every time: they are counted in frames, never in seconds.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias
from uuid import uuid4

from vidrestore.errors import MediaError
from vidrestore.jobs.distributed import worker as worker_process
from vidrestore.jobs.distributed.worker import OpenVideo, VideoSpec, WorkerSettings
from vidrestore.jobs.open_video import decoded_frames, finished_frames
from vidrestore.jobs.plan import PlannedSegment
from vidrestore.jobs.store.frame_analysis import FrameAnalysis
from vidrestore.jobs.store.journal import JobState, JournalEntry, read_frames, read_journal
from vidrestore.jobs.store.resume import decode_again_on_mismatch, resume_point
from vidrestore.jobs.store.segment_files import OpenSegment, SegmentContent
from vidrestore.pipeline.background.upscale_frames import BackgroundCost
from vidrestore.pipeline.loading.model_facts import ModelFacts
from vidrestore.types import Frame, TrackedFrame

SegmentProgress: TypeAlias = tuple[int, int]
"""Number of frames of a segment that are restored, and of faces in them."""
FRAMES_PER_BATCH = 25
"""Frames whose analysis is sent at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFacts:
    """Facts about the networks that the plan depends on."""

    models: ModelFacts
    context_frames: int
    """See ``Stages.context_frames``."""
    index_step: int
    """See ``FieldMode``."""
    background_cost: BackgroundCost | None
    """Cost that the worker measured."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnalysisBatch:
    """Analysis of the next frames."""

    frames: tuple[FrameAnalysis, ...]
    """One for each frame or field."""
    state: JobState
    """State of the job after these frames."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentResult:
    """A finished segment, on the disk."""

    entry: JournalEntry
    models: ModelFacts
    notes: tuple[str, ...]
    """Notes for the user."""
    seconds: Mapping[str, float]
    """Time spent in each stage, and on encoding."""


def load_video(worker: WorkerSettings, spec: VideoSpec) -> Iterator[VideoFacts]:
    """Load the networks of a video, and yield facts about them."""
    video = worker_process.videos.open(worker, spec)
    background = video.stages.background
    yield VideoFacts(
        models=ModelFacts.of(video.stages),
        context_frames=video.stages.context_frames,
        index_step=video.stages.fields.index_step,
        background_cost=None if background is None else background.cost(None),
    )


def analyze_video(
    worker: WorkerSettings, spec: VideoSpec, first_byte: int
) -> Iterator[AnalysisBatch]:
    """Yield the analysis of the frames of a video, in order.

    ``first_byte`` is the size of the journal when the task was submitted. If an earlier attempt
    died, the frames that are in the journal by now are read from there.
    """
    video = worker_process.videos.open(worker, spec)
    before = read_journal(spec.folder).state
    frames: list[FrameAnalysis] = []
    known = (frame for frame, _ in read_frames(spec.folder, first_byte, before.journal_bytes))
    new = iter(()) if before.is_analyzed else _new_frames(video, before)
    for frame in chain(known, new):
        frames.append(frame)
        if len(frames) == FRAMES_PER_BATCH:
            state = before.after(video.setup.source, is_analyzed=False)
            yield AnalysisBatch(frames=tuple(frames), state=state)
            frames.clear()
    state = before.after(video.setup.source, is_analyzed=True)
    yield AnalysisBatch(frames=tuple(frames), state=state)


def _new_frames(video: OpenVideo, state: JobState) -> Iterator[FrameAnalysis]:
    """Yield the analysis of the frames that are not in the journal."""
    stages = video.stages
    point = resume_point(video.spec.folder, state.journal_bytes, stages)

    def decode(seek: bool) -> Iterator[FrameAnalysis]:
        with decoded_frames(
            video.setup.source, stages, point.decode_from, point.decode_ticks, seek=seek
        ) as frames:
            for tracked in point.resume_tracking(frames, stages):
                if tracked.frame.index > point.last_index:
                    yield FrameAnalysis.of(tracked)

    # Nothing new is yielded before a mismatch: the frames in the journal are compared first.
    return decode_again_on_mismatch(decode, seek=True)


def restore_segment(
    worker: WorkerSettings,
    spec: VideoSpec,
    planned: PlannedSegment,
    content: SegmentContent,
    frames_per_progress: int,
    seek: bool,
) -> Iterator[SegmentProgress | SegmentResult]:
    """Restore a segment; yield its progress after every few frames, and its result at the end.

    ``seek`` says whether to seek in the source instead of decoding it from the start.
    """
    video = worker_process.videos.open(worker, spec)
    stages, range_bytes = video.stages, (planned.first_byte, planned.end_byte)
    analysis = [frame for frame, _ in read_frames(spec.folder, *range_bytes)]

    def tracked(frames: Iterable[Frame]) -> Iterator[TrackedFrame]:
        for known, frame in zip(analysis, frames, strict=False):
            known.check(frame, "when it was analyzed")
            yield known.tracked(frame)

    def restore(seek: bool) -> Iterator[SegmentProgress | SegmentResult]:
        first, seconds_before = analysis[0], stages.stopwatch.seconds
        restored = finished_frames(
            video.setup.source,
            stages,
            tracked,
            index=first.index,
            ticks=first.ticks if first.index else None,
            seek=seek,
        )
        # Named for this attempt: the process of an earlier one may still be writing.
        suffix = f"-{uuid4().hex[:12]}"
        with (
            OpenSegment(planned.number, content, stages, spec.folder, suffix=suffix) as segment,
            closing(restored),
        ):
            for frame in restored:
                if frame.source.index >= planned.end_frame:
                    break
                if frame.source.index < planned.first_frame:
                    continue
                segment.write(frame)
                if segment.tally.frames % frames_per_progress == 0:
                    yield segment.tally.frames, segment.tally.faces
            if segment.tally.frames != planned.end_frame - planned.first_frame:
                raise MediaError(
                    f"{spec.source}: frames {planned.first_frame} to {planned.end_frame - 1} can "
                    "no longer be read; if the film was changed, start over with --overwrite"
                )
            entry = segment.finish(is_last=planned.is_last)
        seconds = {
            name: spent - seconds_before.get(name, 0.0)
            for name, spent in stages.stopwatch.seconds.items()
        }
        yield SegmentResult(
            entry=entry,
            models=ModelFacts.of(stages),
            notes=tuple(dict.fromkeys([*video.setup.notes, *segment.notes])),
            seconds={**seconds, "encode": segment.encode_seconds},
        )

    yield from decode_again_on_mismatch(restore, seek=seek)
