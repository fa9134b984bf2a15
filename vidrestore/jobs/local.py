"""Runs a job in this process: decodes straight through, one segment after the other."""

from collections.abc import Generator, Iterator
from contextlib import closing

from vidrestore.jobs.engine import SegmentsResult
from vidrestore.jobs.open_video import check_tracks, decoded_frames, finished_frames
from vidrestore.jobs.plan import SegmentRule
from vidrestore.jobs.progress_reporter import ProgressReporter
from vidrestore.jobs.store.analysis_log import AnalysisLog, FrameMismatchError, log_analysis
from vidrestore.jobs.store.job_folder import Job
from vidrestore.jobs.store.resume import ResumePoint, resume_point
from vidrestore.jobs.store.segment_files import SegmentContent, Segmenter, SourceDamage
from vidrestore.pipeline.background.upscale_frames import Background, BackgroundCost
from vidrestore.pipeline.loading.model_facts import ModelFacts
from vidrestore.pipeline.setup import Setup
from vidrestore.pipeline.stages import Stages
from vidrestore.storage.standard_streams import is_standard_stream
from vidrestore.types import FinishedFrame, Frame, TrackedFrame


class LocalVideo:
    """A video whose segments are restored in this process."""

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
        self._background: Background | None = setup.background()
        self.scale = 1 if self._background is None else self._background.scale

    def background_cost(self, frames: int | None) -> BackgroundCost | None:
        """Return what the network for the whole picture costs; None without one."""
        return None if self._background is None else self._background.cost(frames)

    def restore(
        self, content: SegmentContent, *, rule: SegmentRule, reporter: ProgressReporter
    ) -> SegmentsResult:
        """Restore and journal every segment that is not done yet; see ``PreparedVideo``."""
        # Outputs are opened before the other networks load, to refuse unwritable ones early.
        stages = self._setup.stages(self._background)
        entries = self._job.entries
        reporter.start_after(entries)
        if not entries:
            self._check_tracks(stages)
        encode_seconds, notes = 0.0, tuple[str, ...]()
        if not (entries and entries[-1].is_last):
            seek = not (entries and entries[-1].repaired_timestamps)
            segmenter = self._restore_from(stages, content, rule, reporter, seek=seek)
            encode_seconds, notes = segmenter.encode_seconds, tuple(segmenter.notes)
        return SegmentsResult(
            facts=ModelFacts.of(stages),
            damage=self._damage(),
            notes=notes,
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
        found = 0
        with decoded_frames(source, stages, 0, None, seek=False) as frames:
            for frame in stages.analyze(frames):
                found = max([found, *(face.track_id + 1 for face in frame.faces)])
                if found > min(selected):
                    return
        check_tracks(self._setup, found)

    def _restore_from(
        self,
        stages: Stages,
        content: SegmentContent,
        rule: SegmentRule,
        reporter: ProgressReporter,
        *,
        seek: bool,
    ) -> Segmenter:
        job, entries = self._job, self._job.entries
        end_frame = entries[-1].end_frame if entries else 0
        log_bytes = entries[-1].analysis_bytes if entries else 0
        index_step = stages.fields.index_step
        point = resume_point(
            job.log_path,
            log_bytes,
            next_index=end_frame * index_step,
            context_frames=stages.context_frames,
            index_step=index_step,
        )
        log = AnalysisLog(job.log_path, keep_bytes=log_bytes)
        segmenter = Segmenter(job, content, stages, rule=rule, log=log, damage=self._damage)
        restored = self._restored_frames(stages, point, log, seek=seek)
        with closing(log), closing(restored):
            try:
                for frame in restored:
                    if frame.source.index < end_frame:
                        continue
                    with stages.stopwatch.stage("write"):
                        segmenter.write(frame)
                    reporter.count(frame)
                with stages.stopwatch.stage("write"):
                    segmenter.finish()
                return segmenter
            except BaseException as error:
                segmenter.abort()
                if not (seek and isinstance(error, FrameMismatchError)):
                    raise
        # Frames after a key frame can depend on what precedes it: decode from the start.
        job.journal.rewrite(entries)
        reporter.start_after(entries)
        return self._restore_from(stages, content, rule, reporter, seek=False)

    def _restored_frames(
        self, stages: Stages, point: ResumePoint, log: AnalysisLog, *, seek: bool
    ) -> Generator[FinishedFrame]:
        def track(frames: Iterator[Frame]) -> Iterator[TrackedFrame]:
            tracked = point.resume_tracking(frames, stages.analyze)
            return log_analysis(tracked, log, after=point.last_index)

        return finished_frames(
            self._setup.source,
            stages,
            track,
            index=point.decode_from,
            ticks=point.decode_ticks,
            seek=seek,
        )

    def _damage(self) -> SourceDamage:
        entries, source = self._job.entries, self._setup.source
        return SourceDamage(
            damaged_packets=source.damaged_packets
            + (entries[-1].damaged_packets if entries else 0),
            repaired_timestamps=source.repaired_timestamps
            + (entries[-1].repaired_timestamps if entries else 0),
        )
