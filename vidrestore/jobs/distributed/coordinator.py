"""Restores a video with Ray tasks: submits them, logs the analysis, and journals the segments.

One task analyzes a video, others restore its segments behind it. Ray decides where tasks run and
runs those of dead workers again. A video is coordinated on the thread that restores it.
"""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from vidrestore.errors import MediaError
from vidrestore.jobs.distributed.tasks import (
    AnalysisBatch,
    SegmentResult,
    VideoFacts,
    analyze_video,
    load_video,
    restore_segment,
)
from vidrestore.jobs.distributed.video_cache import VideoSpec
from vidrestore.jobs.distributed.video_tasks import VideoTasks, Workers
from vidrestore.jobs.engine import SegmentsResult
from vidrestore.jobs.plan import PlannedSegment, Planner, SegmentRule
from vidrestore.jobs.progress_reporter import ProgressReporter
from vidrestore.jobs.store.job_folder import consecutive
from vidrestore.jobs.store.journal import Job, read_frames
from vidrestore.jobs.store.segment_files import SegmentContent
from vidrestore.pipeline.background.upscale_frames import BackgroundCost
from vidrestore.pipeline.setup import Setup

_FRAMES_PER_PROGRESS = 10
"""Frames after which a worker sends its progress; more if there are more workers than that."""


class DistributedVideo:
    """A video whose segments are restored by workers; planned and journaled here."""

    def __init__(self, setup: Setup, job: Job, workers: Workers, run: str, number: int) -> None:
        """Let a worker load the networks.

        Args:
            setup: The source and the settings; its networks are not loaded here.
            job: The open job, with the segments that are done, also those out of order.
            workers: Run the tasks.
            run: Name of the run.
            number: Number of the video in a batch; earlier videos have priority.

        Raises:
            VidrestoreError: A network cannot be loaded.
        """
        self._setup = setup
        self._job = job
        self._workers = workers
        self._number = number
        self._spec = _video_spec(setup, job.folder, run)
        with VideoTasks(workers, number) as tasks:
            name = f"loading the networks for {self._spec.source}"
            self._facts: VideoFacts = tasks.run(name, load_video, self._spec)
        self._models = self._facts.models
        self.scale = self._models.scale
        self._planned: deque[PlannedSegment] = deque()
        """Segments that are not submitted yet."""
        self._notes: dict[str, None] = {}
        self._seconds: Counter[str] = Counter()

    def background_cost(self, frames: int | None) -> BackgroundCost | None:
        """Return what the network for the whole picture costs; None without one."""
        del frames  # it was measured while the networks were loaded
        return self._facts.background_cost

    def restore(
        self, content: SegmentContent, *, rule: SegmentRule, reporter: ProgressReporter
    ) -> SegmentsResult:
        """Restore and journal every segment that is not done yet; see ``LocalVideo``."""
        planner = Planner(
            rule,
            context_frames=self._facts.context_frames,
            index_step=self._facts.index_step,
            time_base=self._setup.source.info.time_base,
        )
        job = self._job
        with VideoTasks(self._workers, self._number) as tasks:
            for analysis, end_byte in read_frames(job.folder, 0, job.state.journal_bytes):
                self._add_planned(planner.add(analysis, end_byte))
            if job.state.is_analyzed:
                self._add_planned(planner.finish())
            is_analyzing = job.state.is_analyzed
            while True:
                if not is_analyzing:
                    is_analyzing = tasks.submit(
                        f"finding the faces of {self._spec.source}",
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
                        self._journal_analysis(value, planner)
                    elif isinstance(value, SegmentResult):
                        task.progress = (0, 0)  # its entry counts from here on
                        self._journal_segment(value)
                    else:
                        task.progress = value
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
        frames_per_progress = max(_FRAMES_PER_PROGRESS, self._workers.cluster.plan.workers)
        seek = not self._job.state.repaired_timestamps
        while self._planned:
            segment = self._planned[0]
            name = f"frames {segment.first_frame} to {segment.end_frame - 1} of {self._spec.source}"
            arguments = (self._spec, segment, content, frames_per_progress, seek)
            if not tasks.submit(name, restore_segment, *arguments):
                return
            self._planned.popleft()

    def _journal_analysis(self, batch: AnalysisBatch, planner: Planner) -> None:
        """Journal the analysis of some frames, and plan the segments that it completes."""
        planned: list[PlannedSegment] = []
        for analysis in batch.frames:
            planned += planner.add(analysis, self._job.add_frame(analysis))
        if batch.state.is_analyzed:
            planned += planner.finish()
        self._job.add_state(batch.state)
        self._add_planned(planned)

    def _journal_segment(self, result: SegmentResult) -> None:
        self._job.add_state(self._job.state, result.entry)
        self._models = self._models.merged(result.models)
        self._notes |= dict.fromkeys(result.notes)
        self._seconds.update(result.seconds)

    def _report(self, reporter: ProgressReporter, planner: Planner, tasks: VideoTasks) -> None:
        running = tasks.running.values()
        tallies = [entry.tally for entry in self._job.entries.values()]
        counts = [(tally["frames"], tally["faces"]) for tally in tallies]
        counts += [task.progress for task in running]
        reporter.report(
            "restoring",
            frames_done=sum(frames for frames, _ in counts),
            faces_done=sum(faces for _, faces in counts),
            frames_searched=planner.frames,
            workers=sum(task.worker is not None for task in running),
        )


def _video_spec(setup: Setup, folder: Path, run: str) -> VideoSpec:
    """Return the description of a video for workers, with absolute paths."""
    settings = setup.settings
    model, background = Path(settings.model).expanduser(), settings.background
    return VideoSpec(
        run=run,
        source=setup.source.info.path.absolute(),
        settings=replace(
            settings,
            model=str(model.absolute()) if model.is_file() else settings.model,
            background=background.absolute() if isinstance(background, Path) else background,
        ),
        folder=folder.absolute(),
    )
