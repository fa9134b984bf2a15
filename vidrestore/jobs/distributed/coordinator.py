"""Restores a video with Ray tasks: submits them, logs the analysis, and journals the segments.

One task analyses a video, others restore its segments behind it. Ray decides where tasks run and
runs those of dead workers again. A video is coordinated on the thread that restores it.
"""

from collections import deque
from collections.abc import Callable, Iterable

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
from vidrestore.jobs.store.job_folder import Job, consecutive
from vidrestore.jobs.store.journal import read_frames
from vidrestore.jobs.store.segment_files import SegmentContent
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
        job = self._job
        with self._open_tasks() as tasks:
            for analysis, end_byte in read_frames(job.folder, 0, job.state.journal_bytes):
                self._add_planned(planner.add(analysis, end_byte))
            if job.state.is_analyzed:
                self._add_planned(planner.finish())
            is_analyzing = job.state.is_analyzed
            while True:
                if not is_analyzing:
                    is_analyzing = tasks.submit(
                        RunningTask(f"finding the faces of {self._spec.source}"),
                        analyze_video,
                        self._spec,
                        job.state.journal_bytes,
                    )
                elif self._planned:
                    self._submit_segments(tasks, content)
                elif not tasks.running:
                    break
                self._report(reporter, planner, tasks)
                for task, value in tasks.next_items():
                    if isinstance(value, AnalysisBatch):
                        self._log_analysis(value, planner)
                    elif isinstance(value, SegmentProgress):
                        task.progress = value
                    elif task.segment is not None:
                        task.progress = None
                        self._journal(value)
            self._report(reporter, planner, tasks)
        reporter.start_after(consecutive(job.entries))
        return SegmentsResult(
            facts=self._models,
            state=job.state,
            notes=tuple(note for note in self._notes if note not in self._setup.notes),
            timing={**self._setup.stopwatch.seconds, **self._seconds},
        )

    def _add_planned(self, segments: Iterable[PlannedSegment]) -> None:
        for segment in segments:
            entry = self._job.entries.get(segment.number)
            if entry is None:
                self._planned.append(segment)
            elif (entry.first_frame, entry.end_frame) != (segment.first_frame, segment.end_frame):
                raise MediaError(
                    f"{self._job.folder}: holds segments of another plan; start over with "
                    "--overwrite"
                )

    def _submit_segments(self, tasks: VideoTasks, content: SegmentContent) -> None:
        while self._planned:
            segment = self._planned[0]
            spec = SegmentSpec(
                planned=segment,
                content=content,
                seek=not self._job.state.repaired_timestamps,
                frames_per_progress=max(_FRAMES_PER_PROGRESS, tasks.workers),
            )
            name = f"frames {segment.first_frame} to {segment.end_frame - 1} of {self._spec.source}"
            if not tasks.submit(RunningTask(name, segment), restore_segment, self._spec, spec):
                return
            self._planned.popleft()

    def _log_analysis(self, batch: AnalysisBatch, planner: Planner) -> None:
        """Journal the analysis of some frames, and plan the segments that they complete."""
        planned: list[PlannedSegment] = []
        for analysis in batch.frames:
            planned += planner.add(analysis, self._job.journal.add_frame(analysis))
        if batch.state.is_analyzed:
            planned += planner.finish()
        self._job.state = self._job.journal.add_state(batch.state)
        self._add_planned(planned)

    def _journal(self, result: SegmentResult) -> None:
        self._job.finish_segment(result.entry)
        self._models = self._models.merged(result.models)
        self._notes |= dict.fromkeys(result.notes)
        for name, seconds in {**result.seconds, "encode": result.encode_seconds}.items():
            self._seconds[name] = self._seconds.get(name, 0.0) + seconds

    def _report(self, reporter: ProgressReporter, planner: Planner, tasks: VideoTasks) -> None:
        progress = [task.progress for task in tasks.running.values() if task.progress is not None]
        tallies = [entry.tally for entry in self._job.entries.values()]
        reporter.report_workers(
            frames=sum(
                [*(each["frames"] for each in tallies), *(each.frames for each in progress)]
            ),
            faces=sum([*(each["faces"] for each in tallies), *(each.faces for each in progress)]),
            analyzed=planner.frames,
            workers=tasks.busy_workers,
        )
