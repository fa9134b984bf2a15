"""Restores a video with Ray tasks: submits them, logs the analysis, and journals the segments.

One task analyses a video, others restore its segments behind it. Ray decides where tasks run and
runs those of dead workers again. A video is coordinated on the thread that restores it.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing

from vidrestore.errors import MediaError
from vidrestore.jobs.distributed.tasks import (
    AnalysisBatch,
    SegmentProgress,
    SegmentResult,
    SegmentSpec,
    VideoFacts,
    analyze_video,
    restore_segment,
)
from vidrestore.jobs.distributed.video_cache import VideoSpec
from vidrestore.jobs.distributed.video_tasks import RunningTask, VideoTasks
from vidrestore.jobs.engine import SegmentsResult
from vidrestore.jobs.plan import PlannedSegment, Planner, SegmentRule
from vidrestore.jobs.progress_reporter import ProgressReporter
from vidrestore.jobs.store.analysis_log import AnalysisLog, FrameAnalysis, read_lines
from vidrestore.jobs.store.analysis_state import AnalysisState
from vidrestore.jobs.store.job_folder import Job
from vidrestore.jobs.store.journal import JournalEntry
from vidrestore.jobs.store.pending_segments import PendingSegments
from vidrestore.jobs.store.segment_files import SegmentContent, SourceDamage
from vidrestore.pipeline.background.upscale_frames import BackgroundCost
from vidrestore.pipeline.setup import Setup

_FRAMES_PER_PROGRESS = 10
"""Frames after which a worker sends its progress; more if there are more workers than that."""


class DistributedVideo:
    """A video whose segments are restored by workers; planned and journaled here."""

    def __init__(
        self,
        setup: Setup,
        job: Job,
        spec: VideoSpec,
        facts: VideoFacts,
        open_tasks: Callable[[], VideoTasks],
    ) -> None:
        """Begin a video whose networks a worker has loaded.

        Args:
            setup: The source and the settings; its networks are not loaded here.
            job: The open job, with the segments that are done, also those out of order.
            spec: Describes the video for workers.
            facts: Facts about its networks.
            open_tasks: Opens its tasks.
        """
        self.scale = facts.models.scale
        self._setup = setup
        self._job = job
        self._spec = spec
        self._facts = facts
        self._open_tasks = open_tasks
        self._state = job.analysis_state
        self._finished = PendingSegments(job)
        self._planned: deque[PlannedSegment] = deque()
        """Segments that are not submitted yet."""
        self._models = facts.models
        self._notes: dict[str, None] = {}
        self._seconds: dict[str, float] = {}

    def background_cost(self, frames: int | None) -> BackgroundCost | None:
        """Return what the network for the whole picture costs; None without one."""
        del frames  # it was measured while the networks were loaded
        return self._facts.background_cost

    def restore(
        self, content: SegmentContent, *, rule: SegmentRule, reporter: ProgressReporter
    ) -> SegmentsResult:
        """Restore and journal every segment that is not done yet; see ``PreparedVideo``."""
        planner = Planner(
            rule,
            context_frames=self._facts.context_frames,
            index_step=self._facts.index_step,
            time_base=self._setup.source.info.time_base,
        )
        log = AnalysisLog(self._job.log_path, keep_bytes=self._state.size_bytes)
        with closing(log), self._open_tasks() as tasks:
            self._plan(planner, read_lines(self._job.log_path, 0, self._state.size_bytes))
            # A worker that resumes the analysis reads it.
            self._state.write(self._job.folder)
            is_analyzing = self._state.is_whole
            while True:
                if not is_analyzing:
                    is_analyzing = tasks.submit(
                        RunningTask(f"finding the faces of {self._spec.source}"),
                        analyze_video,
                        self._spec,
                        self._state.size_bytes,
                    )
                elif self._planned:
                    self._submit_segments(tasks, content)
                elif not tasks.running:
                    break
                self._report(reporter, planner, tasks)
                for task, value in tasks.next_items():
                    if isinstance(value, AnalysisBatch):
                        self._log_analysis(value, log, planner)
                    elif isinstance(value, SegmentProgress):
                        task.progress = value
                    elif task.segment is not None:
                        task.progress = None
                        self._journal(task.segment, value)
            self._report(reporter, planner, tasks)
        reporter.start_after(self._finished.journaled())
        return SegmentsResult(
            facts=self._models,
            damage=SourceDamage(
                damaged_packets=self._state.damaged_packets,
                repaired_timestamps=self._state.repaired_timestamps,
            ),
            notes=tuple(note for note in self._notes if note not in self._setup.notes),
            timing={**self._setup.stopwatch.seconds, **self._seconds},
        )

    def _plan(self, planner: Planner, lines: Iterator[str]) -> None:
        """Plan the segments of the frames in these lines of the log."""
        for line in lines:
            try:
                analysis = FrameAnalysis.from_line(line)
            except ValueError as error:
                raise MediaError(
                    f"{self._job.log_path}: is damaged; start over with --overwrite"
                ) from error
            for segment in planner.add(analysis, len(line)):
                self._add_planned(segment)
        if self._state.is_whole:
            for segment in planner.finish():
                self._add_planned(segment)

    def _add_planned(self, segment: PlannedSegment) -> None:
        entry = self._finished.get(segment.number)
        if entry is None:
            self._planned.append(segment)
        elif (entry.first_frame, entry.end_frame) != (segment.first_frame, segment.end_frame):
            raise MediaError(
                f"{self._job.folder}: holds segments of another plan; start over with --overwrite"
            )

    def _submit_segments(self, tasks: VideoTasks, content: SegmentContent) -> None:
        while self._planned:
            segment = self._planned[0]
            spec = SegmentSpec(
                planned=segment,
                content=content,
                seek=not self._state.repaired_timestamps,
                frames_per_progress=max(_FRAMES_PER_PROGRESS, tasks.workers),
            )
            name = f"frames {segment.first_frame} to {segment.end_frame - 1} of {self._spec.source}"
            if not tasks.submit(RunningTask(name, segment), restore_segment, self._spec, spec):
                return
            self._planned.popleft()

    def _log_analysis(self, batch: AnalysisBatch, log: AnalysisLog, planner: Planner) -> None:
        """Log the analysis of some frames, and plan the segments that they complete."""
        for line in batch.lines:
            log.append(line)
        synced = log.sync()
        self._state = AnalysisState(
            size_bytes=synced.size_bytes,
            crc32=synced.crc32,
            damaged_packets=batch.damaged_packets,
            repaired_timestamps=batch.repaired_timestamps,
            is_whole=batch.is_last,
        )
        self._state.write(self._job.folder)
        self._plan(planner, iter(batch.lines))

    def _journal(self, segment: PlannedSegment, result: SegmentResult) -> None:
        self._finished.add(
            JournalEntry(
                segment=segment.number,
                first_frame=segment.first_frame,
                end_frame=segment.end_frame,
                is_last=segment.is_last,
                files=result.files,
                analysis_bytes=self._state.size_bytes,
                analysis_crc32=self._state.crc32,
                tally=result.tally,
                damaged_packets=self._state.damaged_packets,
                repaired_timestamps=self._state.repaired_timestamps,
                encode_seconds=result.encode_seconds,
            )
        )
        self._models = self._models.merged(result.models)
        self._notes |= dict.fromkeys(result.notes)
        for name, seconds in {**result.seconds, "encode": result.encode_seconds}.items():
            self._seconds[name] = self._seconds.get(name, 0.0) + seconds

    def _report(self, reporter: ProgressReporter, planner: Planner, tasks: VideoTasks) -> None:
        progress = [task.progress for task in tasks.running.values() if task.progress is not None]
        reporter.report_workers(
            frames=self._finished.frames + sum(each.frames for each in progress),
            faces=self._finished.faces + sum(each.faces for each in progress),
            analyzed=planner.frames,
            workers=tasks.busy_workers,
        )
