"""The tasks of a worker: load the networks of a video, analyze it, restore a segment.

Each is a plain generator function, whose items are sent while it runs. If a worker dies, Ray runs
its task again, and drops as many items as were sent before. A task therefore yields the same number
of items every time: they are counted in frames, never in seconds.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any
from uuid import uuid4

from vidrestore.errors import MediaError
from vidrestore.jobs.distributed import video_cache
from vidrestore.jobs.distributed.video_cache import OpenVideo, VideoSpec
from vidrestore.jobs.distributed.worker_process import WorkerSettings
from vidrestore.jobs.open_video import decoded_frames, finished_frames
from vidrestore.jobs.plan import FrameTiming, PlannedSegment
from vidrestore.jobs.store.analysis_log import LOG_FILE, FrameAnalysis, read_analysis, read_lines
from vidrestore.jobs.store.analysis_state import AnalysisState
from vidrestore.jobs.store.journal import SegmentFile
from vidrestore.jobs.store.resume import decode_again_on_mismatch, resume_point
from vidrestore.jobs.store.segment_files import OpenSegment, SegmentContent
from vidrestore.media import Source
from vidrestore.pipeline.background.upscale_frames import BackgroundCost
from vidrestore.pipeline.loading.model_facts import ModelFacts
from vidrestore.types import FinishedFrame, Frame, TrackedFrame

FRAMES_PER_BATCH = 25
"""Frames whose analysis is sent at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFacts:
    """Facts about the networks that the plan depends on."""

    models: ModelFacts
    context_frames: int
    """As ``Stages.context_frames``."""
    index_step: int
    """As in ``FieldMode``."""
    background_cost: BackgroundCost | None = None
    """Cost that the worker measured."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnalysisBatch:
    """Analysis of the next frames."""

    lines: tuple[str, ...]
    """Lines for the log, one for each frame or field."""
    damaged_packets: int
    """Damaged packets from the start of the video up to there."""
    repaired_timestamps: int
    is_last: bool
    """Whether the video has ended."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentSpec:
    """Description of a segment for a worker."""

    planned: PlannedSegment
    content: SegmentContent
    seek: bool
    """Whether to seek in the source instead of decoding it from the start."""
    frames_per_progress: int
    """Number of frames after which progress is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentProgress:
    """Number of frames of a segment that are restored, and of faces in them."""

    frames: int
    faces: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentResult:
    """A finished segment, on the disk."""

    files: tuple[SegmentFile, ...]
    tally: Mapping[str, Any]
    models: ModelFacts
    notes: tuple[str, ...]
    """Notes for the user."""
    seconds: Mapping[str, float]
    """Time spent in each stage."""
    encode_seconds: float


def load_video(worker: WorkerSettings, spec: VideoSpec) -> Iterator[VideoFacts]:
    """Load the networks of a video, and yield facts about them."""
    video = video_cache.videos.open(worker, spec)
    background = video.stages.background
    yield VideoFacts(
        models=video.models(),
        context_frames=video.stages.context_frames,
        index_step=video.stages.fields.index_step,
        background_cost=None if background is None else background.cost(None),
    )


def analyze_video(
    worker: WorkerSettings, spec: VideoSpec, first_byte: int
) -> Iterator[AnalysisBatch]:
    """Yield the analysis of the frames of a video, in order.

    If an earlier attempt died, the frames that are in the log by now are read from there.

    Args:
        worker: How this process computes.
        spec: The video.
        first_byte: Size of the analysis log when the task was submitted.

    Raises:
        VidrestoreError: The video cannot be read.
    """
    video = video_cache.videos.open(worker, spec)
    state = AnalysisState.read(spec.folder)
    source = video.setup.source
    known = read_lines(spec.folder / LOG_FILE, first_byte, state.size_bytes)
    new = iter(()) if state.is_whole else _new_lines(video, state)
    lines: list[str] = []
    for line in chain(known, new):
        lines.append(line)
        if len(lines) == FRAMES_PER_BATCH:
            yield _batch(lines, source, state)
            lines.clear()
    yield _batch(lines, source, state, is_last=True)


def _batch(
    lines: list[str], source: Source, state: AnalysisState, *, is_last: bool = False
) -> AnalysisBatch:
    return AnalysisBatch(
        lines=tuple(lines),
        damaged_packets=state.damaged_packets + source.damaged_packets,
        repaired_timestamps=state.repaired_timestamps + source.repaired_timestamps,
        is_last=is_last,
    )


def _new_lines(video: OpenVideo, state: AnalysisState) -> Iterator[str]:
    """Yield the lines of the frames that are not in the log."""
    log, stages = video.spec.folder / LOG_FILE, video.stages
    *_, last = chain([-1], (each.index for each in read_analysis(log, 0, state.size_bytes)))
    point = resume_point(
        log,
        state.size_bytes,
        next_index=last + 1,
        context_frames=stages.context_frames,
        index_step=stages.fields.index_step,
    )

    def decode(seek: bool) -> Iterator[str]:
        with decoded_frames(
            video.setup.source, stages, point.decode_from, point.decode_ticks, seek=seek
        ) as frames:
            for tracked in point.resume_tracking(frames, stages.analyze):
                if tracked.frame.index > point.last_index:
                    yield FrameAnalysis.of(tracked).to_line()

    # Nothing new is yielded before a mismatch: the frames in the log are compared first.
    return decode_again_on_mismatch(decode, seek=True)


def restore_segment(
    worker: WorkerSettings, spec: VideoSpec, segment: SegmentSpec
) -> Iterator[SegmentProgress | SegmentResult]:
    """Restore a segment; yield its progress, and its result at the end.

    Raises:
        VidrestoreError: It cannot be restored.
    """
    restore = partial(_restore, video_cache.videos.open(worker, spec), segment)
    yield from decode_again_on_mismatch(restore, seek=segment.seek)


def _restore(
    video: OpenVideo, segment: SegmentSpec, seek: bool
) -> Iterator[SegmentProgress | SegmentResult]:
    stages, planned = video.stages, segment.planned
    seconds_before = stages.stopwatch.seconds
    interlaced_count = 0
    opened: OpenSegment | None = None
    try:
        with closing(_restored_frames(video, planned, seek=seek)) as restored:
            for frame in restored:
                interlaced_count += frame.source.interlaced
                timing = FrameTiming.of(frame)
                if opened is None:
                    # A name for each attempt: the process of an earlier one may still be writing.
                    stem = f"{planned.number:06d}-{uuid4().hex[:12]}"
                    opened = OpenSegment(timing, segment.content, stages, video.spec.folder, stem)
                with stages.stopwatch.stage("write"):
                    opened.write(frame, timing)
                if opened.tally.frames % segment.frames_per_progress == 0:
                    yield SegmentProgress(frames=opened.tally.frames, faces=opened.tally.faces)
        if opened is None or opened.tally.frames != planned.end_frame - planned.first_frame:
            raise MediaError(
                f"{video.spec.source}: frames {planned.first_frame} to {planned.end_frame - 1} can "
                "no longer be read; if the film was changed, start over with --overwrite"
            )
        files = opened.finish()
    except BaseException:
        if opened is not None:
            opened.abort()
        raise
    models = video.models()
    if models.background is not None:
        # Frames outside the segment are upscaled too, but do not count.
        background = replace(models.background, interlaced_count=interlaced_count)
        models = replace(models, background=background)
    yield SegmentResult(
        files=files,
        tally=opened.tally.to_json(),
        models=models,
        notes=tuple(dict.fromkeys([*video.setup.notes, *opened.notes])),
        seconds={
            name: spent - seconds_before.get(name, 0.0)
            for name, spent in stages.stopwatch.seconds.items()
        },
        encode_seconds=opened.encode_seconds,
    )


def _restored_frames(
    video: OpenVideo, planned: PlannedSegment, *, seek: bool
) -> Generator[FinishedFrame]:
    """Yield the restored frames of a segment."""
    stages = video.stages
    log = video.spec.folder / LOG_FILE
    analysis = [*read_analysis(log, planned.first_byte, planned.end_byte)]
    first = analysis[0]
    ticks = first.ticks if first.index else None
    finished = finished_frames(
        video.setup.source,
        stages,
        partial(_tracked_frames, analysis=analysis),
        index=first.index,
        ticks=ticks,
        seek=seek,
    )
    with closing(finished):
        for frame in finished:
            if frame.source.index >= planned.end_frame:
                return
            if frame.source.index >= planned.first_frame:
                yield frame


def _tracked_frames(
    frames: Iterable[Frame], analysis: Iterable[FrameAnalysis]
) -> Iterator[TrackedFrame]:
    """Yield the frames with the faces that the analysis found in them.

    Raises:
        FrameMismatchError: A frame has other samples than when it was analyzed.
    """
    for logged, frame in zip(analysis, frames, strict=False):
        logged.check(frame, "when it was analyzed")
        yield logged.tracked(frame)
