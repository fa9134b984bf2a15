"""Runs a job in this process: decodes straight through, one segment after the other."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial

from vidrestore.jobs.engine import SegmentsResult, VideoRun
from vidrestore.jobs.open_video import check_tracks, decoded_frames, finished_frames
from vidrestore.jobs.store.frame_analysis import FrameAnalysis
from vidrestore.jobs.store.job_folder import consecutive
from vidrestore.jobs.store.journal import JobState
from vidrestore.jobs.store.resume import decode_again_on_mismatch, resume_point
from vidrestore.jobs.store.segment_files import OpenSegment, SegmentContent
from vidrestore.pipeline.loading.model_facts import ModelFacts
from vidrestore.pipeline.setup import Setup, output_geometry
from vidrestore.pipeline.stages import Stages
from vidrestore.storage.standard_streams import is_standard_stream
from vidrestore.types import Frame, TrackedFrame


def restore_in_this_process(video: VideoRun) -> SegmentsResult:
    """Restore and journal every segment that is not done yet; see ``Engine.restore``."""
    setup, before = video.setup, video.job.state
    background = setup.background()
    if background is None:
        content = video.open_outputs(1, lambda _frames: None)
    else:
        content = video.open_outputs(background.scale, background.cost)
    # Outputs are opened before the other networks load, to refuse unwritable ones early.
    stages = setup.stages(background)
    resumed = consecutive(video.job.entries)
    video.reporter.start_after(resumed)
    if not resumed:
        _search_selected_tracks(setup, stages)
    encode_seconds, notes = 0.0, list[str]()
    if not (resumed and resumed[-1].is_last):
        restore = partial(_finished_segments, video, content, stages, before)
        for segment in decode_again_on_mismatch(restore, seek=not before.repaired_timestamps):
            encode_seconds += segment.encode_seconds
            notes += segment.notes
    return SegmentsResult(
        facts=ModelFacts.of(stages), notes=tuple(notes), timing={"encode": encode_seconds}
    )


def _search_selected_tracks(setup: Setup, stages: Stages) -> None:
    """Refuse ``--only-track`` before anything is restored, if there is no such track.

    Reads the film up to the first frame that shows one of these tracks or a later one. What comes
    through a pipe can be read only once; it is checked at the end.

    Raises:
        MediaError: The film has none of the tracks.
    """
    source, selected = setup.source, setup.settings.only_tracks
    if not selected or is_standard_stream(source.info.path):
        return
    track_limit = 0
    with decoded_frames(source, stages, 0, None, seek=False) as frames:
        for frame in stages.analyze(frames):
            track_limit = max([track_limit, *(face.track_id + 1 for face in frame.faces)])
            if track_limit > min(selected):
                return
    check_tracks(setup, track_limit)


def _finished_segments(
    video: VideoRun, content: SegmentContent, stages: Stages, before: JobState, seek: bool
) -> Iterator[OpenSegment]:
    """Restore the segments that are not done yet, and yield each one when it is journaled.

    ``before`` is the state of the job when this run began, and ``seek`` says whether to seek to the
    first frame.
    """
    job, source, reporter = video.job, video.setup.source, video.reporter
    resumed = consecutive(job.entries)
    reporter.start_after(resumed)
    geometry = output_geometry(stages)
    end_frame = resumed[-1].end_frame if resumed else 0
    next_index = end_frame * stages.fields.index_step
    point = resume_point(job.folder, before.journal_bytes, stages, next_index=next_index)

    def track(frames: Iterator[Frame]) -> Iterator[TrackedFrame]:
        for tracked in point.resume_tracking(frames, stages):
            if tracked.frame.index > point.last_index:
                job.add_frame(FrameAnalysis.of(tracked))
            yield tracked

    restored = finished_frames(
        source, stages, track, index=point.decode_from, ticks=point.decode_ticks, seek=seek
    )
    with closing(restored):
        frames = (frame for frame in restored if frame.source.index >= end_frame)
        frame = next(frames, None)
        number = len(resumed)
        while frame is not None:
            with OpenSegment(number, content, stages, job.folder) as segment:
                while frame is not None and segment.continues_with(frame, video.rule):
                    segment.write(frame)
                    reporter.count(frame, geometry)
                    frame = next(frames, None)
                entry = segment.finish(is_last=frame is None)
                job.add_state(before.after(source, is_analyzed=frame is None), entry)
            yield segment
            number += 1
