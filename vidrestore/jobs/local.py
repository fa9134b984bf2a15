"""Runs a job in this process: decodes straight through, one segment after the other."""

from collections.abc import Generator, Iterator
from contextlib import closing
from functools import partial

from vidrestore.jobs.engine import SegmentsResult
from vidrestore.jobs.open_video import check_tracks, decoded_frames, finished_frames
from vidrestore.jobs.plan import SegmentRule
from vidrestore.jobs.progress_reporter import ProgressReporter
from vidrestore.jobs.store.frame_analysis import FrameAnalysis
from vidrestore.jobs.store.job_folder import consecutive
from vidrestore.jobs.store.journal import Job, JobState
from vidrestore.jobs.store.resume import decode_again_on_mismatch, resume_point
from vidrestore.jobs.store.segment_files import OpenSegment, SegmentContent
from vidrestore.pipeline.background.upscale_frames import Background, BackgroundCost
from vidrestore.pipeline.loading.model_facts import ModelFacts
from vidrestore.pipeline.setup import Setup
from vidrestore.pipeline.stages import Stages
from vidrestore.storage.standard_streams import is_standard_stream
from vidrestore.types import FinishedFrame, Frame, TrackedFrame


class LocalVideo:
    """A video whose segments are restored in this process."""

    scale: int
    """How many times larger the outputs are than the source."""

    def __init__(self, setup: Setup, job: Job) -> None:
        """Load the network that decides the size of the output.

        Args:
            setup: Source and settings of the video.
            job: The open job, with the segments that are done.

        Raises:
            VidrestoreError: The network cannot be loaded.
        """
        self._setup = setup
        self._job = job
        self._resumed = consecutive(job.entries)
        self._state_before = job.state
        self._background: Background | None = setup.background()
        self.scale = 1 if self._background is None else self._background.scale

    def background_cost(self, frames: int | None) -> BackgroundCost | None:
        """Return the cost of the network for the whole picture; None if little or nothing.

        Args:
            frames: Number of frames of the video; None if unknown.
        """
        return None if self._background is None else self._background.cost(frames)

    def restore(
        self, content: SegmentContent, *, rule: SegmentRule, reporter: ProgressReporter
    ) -> SegmentsResult:
        """Restore and journal every segment that is not done yet.

        Args:
            content: The files that every segment consists of.
            rule: Where segments end.
            reporter: Reports the progress, and holds the statistics of all segments at the end.

        Raises:
            VidrestoreError: A segment cannot be restored.
        """
        # Outputs are opened before the other networks load, to refuse unwritable ones early.
        stages = self._setup.stages(self._background)
        reporter.start_after(self._resumed)
        if not self._resumed:
            self._check_tracks(stages)
        encode_seconds, notes = 0.0, dict[str, None]()
        if not (self._resumed and self._resumed[-1].is_last):
            restore = partial(self._finished_segments, stages, content, rule, reporter)
            seek = not self._state_before.repaired_timestamps
            for segment in decode_again_on_mismatch(restore, seek=seek):
                encode_seconds += segment.encode_seconds
                notes |= dict.fromkeys(segment.notes)
        return SegmentsResult(
            facts=ModelFacts.of(stages),
            state=self._state(is_analyzed=True),
            notes=tuple(notes),
            timing={**self._setup.stopwatch.seconds, "encode": encode_seconds},
        )

    def _check_tracks(self, stages: Stages) -> None:
        """Refuse ``--only-track`` before anything is restored, if there is no such track.

        Reads the film up to the first frame that shows one of these tracks or a later one. What
        comes through a pipe can be read only once; it is checked at the end.

        Raises:
            MediaError: The film has none of the tracks.
        """
        source, selected = self._setup.source, self._setup.settings.only_tracks
        if not selected or is_standard_stream(source.info.path):
            return
        track_limit = 0
        with decoded_frames(source, stages, 0, None, seek=False) as frames:
            for frame in stages.analyze(frames):
                track_limit = max([track_limit, *(face.track_id + 1 for face in frame.faces)])
                if track_limit > min(selected):
                    return
        check_tracks(self._setup, track_limit)

    def _finished_segments(
        self,
        stages: Stages,
        content: SegmentContent,
        rule: SegmentRule,
        reporter: ProgressReporter,
        seek: bool,
    ) -> Iterator[OpenSegment]:
        """Restore the segments that are not done yet, and yield each one when it is journaled."""
        reporter.start_after(self._resumed)
        end_frame = self._resumed[-1].end_frame if self._resumed else 0
        with closing(self._restored_frames(stages, end_frame, seek=seek)) as restored:
            frames = (frame for frame in restored if frame.source.index >= end_frame)
            frame = next(frames, None)
            number = len(self._resumed)
            while frame is not None:
                with OpenSegment(number, content, stages, self._job.folder) as segment:
                    while frame is not None and segment.continues_with(frame, rule):
                        with stages.stopwatch.stage("write"):
                            segment.write(frame)
                        reporter.count(frame)
                        frame = next(frames, None)
                    with stages.stopwatch.stage("write"):
                        entry = segment.finish(is_last=frame is None)
                        self._job.add_state(self._state(is_analyzed=frame is None), entry)
                yield segment
                number += 1

    def _restored_frames(
        self, stages: Stages, end_frame: int, *, seek: bool
    ) -> Generator[FinishedFrame]:
        point = resume_point(
            self._job.folder,
            self._state_before.journal_bytes,
            stages,
            next_index=end_frame * stages.fields.index_step,
        )

        def track(frames: Iterator[Frame]) -> Iterator[TrackedFrame]:
            for tracked in point.resume_tracking(frames, stages):
                if tracked.frame.index > point.last_index:
                    self._job.add_frame(FrameAnalysis.of(tracked))
                yield tracked

        return finished_frames(
            self._setup.source,
            stages,
            track,
            index=point.decode_from,
            ticks=point.decode_ticks,
            seek=seek,
        )

    def _state(self, *, is_analyzed: bool) -> JobState:
        """Return the state of the job, with the damage that this run and those before found."""
        source, before = self._setup.source, self._state_before
        return JobState(
            damaged_packets=before.damaged_packets + source.damaged_packets,
            repaired_timestamps=before.repaired_timestamps + source.repaired_timestamps,
            is_analyzed=is_analyzed,
        )
