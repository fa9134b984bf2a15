"""Restores videos with Ray tasks: submits them, logs the analysis, and journals the segments.

One task analyses a video, others restore its segments behind it. Ray decides where tasks run and
runs those of dead workers again. A video is coordinated on the thread that restores it.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event, Lock
from types import TracebackType
from typing import Self
from uuid import uuid4

from vidrestore.errors import MediaError, WorkerError
from vidrestore.jobs.distributed.ray_cluster import RayCluster
from vidrestore.jobs.distributed.tasks import (
    AnalysisBatch,
    SegmentProgress,
    SegmentResult,
    SegmentSpec,
    VideoFacts,
    analyse_video,
    load_video,
    restore_segment,
)
from vidrestore.jobs.distributed.video_cache import VideoSpec
from vidrestore.jobs.distributed.video_tasks import RunningTask, TaskSlots, VideoTasks, Workers
from vidrestore.jobs.distributed.worker_process import WorkerSettings, probe_environment
from vidrestore.jobs.engine import SegmentsResult
from vidrestore.jobs.plan import PlannedSegment, Planner, SegmentRule
from vidrestore.jobs.progress_reporter import ProgressReporter
from vidrestore.jobs.store.analysis_log import AnalysisLog, AnalysisState, FrameAnalysis, read_lines
from vidrestore.jobs.store.fingerprint import Machine
from vidrestore.jobs.store.job_folder import Job
from vidrestore.jobs.store.journal import JournalEntry
from vidrestore.jobs.store.pending_segments import PendingSegments
from vidrestore.jobs.store.segment_files import SegmentContent, SourceDamage
from vidrestore.pipeline.background.upscale_frames import BackgroundCost
from vidrestore.pipeline.loading.load_models import fetch_networks
from vidrestore.pipeline.report import versions
from vidrestore.pipeline.setup import Setup
from vidrestore.settings import RestoreSettings

_FRAMES_PER_PROGRESS = 10
"""Frames after which a worker sends its progress; more if there are more workers than that."""

OpenCluster = Callable[[str], AbstractContextManager[RayCluster]]
"""Connects to a cluster whose workers use the given device."""


class DistributedEngine:
    """Restores on workers; a cluster is connected when the first video needs it."""

    finishes_out_of_order = True

    def __init__(self, open_cluster: OpenCluster) -> None:
        self._open_cluster = open_cluster
        self._run_name = uuid4().hex
        self._is_stopped = Event()
        self._stack = ExitStack()
        self._lock = Lock()
        self._workers: Workers | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def connect(self, settings: RestoreSettings) -> Workers:
        """Return the workers; the first call connects to the cluster and starts one.

        Raises:
            WorkerError: No worker can be started.
        """
        with self._lock:
            if self._workers is None:
                cluster = self._stack.enter_context(self._open_cluster(settings.device))
                workers = Workers(
                    cluster=cluster,
                    slots=TaskSlots(cluster.plan.workers),
                    settings=WorkerSettings(
                        device=settings.device,
                        precision=settings.precision,
                        threads=cluster.plan.threads,
                        versions=versions(),
                    ),
                    is_stopped=self._is_stopped,
                )
                with VideoTasks(workers, 0) as tasks:
                    first = tasks.run("starting a worker", probe_environment)
                self._workers = replace(workers, settings=replace(workers.settings, first=first))
            return self._workers

    def count_workers(self, settings: RestoreSettings) -> int:
        """Return the most workers at once; the first call starts one."""
        return self.connect(settings).cluster.plan.workers

    def stop(self) -> None:
        """Stop all videos; may be called from any thread."""
        self._is_stopped.set()

    def environment(self, settings: RestoreSettings) -> Machine:
        """Return where the workers' networks run."""
        worker = self.connect(settings).settings
        if worker.first is None:
            raise WorkerError("no worker has started; run again")
        return Machine(
            device=worker.first.device, precision=worker.first.precision, threads=worker.threads
        )

    def prepare(self, setup: Setup, job: Job, *, number: int) -> "DistributedVideo":
        """Let a worker load the networks."""
        settings = setup.settings
        # This process downloads them, once, because it can show the progress.
        fetch_networks(settings.model, detector=settings.detector, on_download=setup.on_download)
        workers = self.connect(settings)
        spec = _video_spec(setup, job.folder, self._run_name)
        with VideoTasks(workers, number) as tasks:
            facts = tasks.run(f"loading the networks for {spec.source}", load_video, spec)
        return DistributedVideo(setup, job, spec, facts, partial(VideoTasks, workers, number))


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
            is_analysing = self._state.is_whole
            while True:
                if not is_analysing:
                    is_analysing = tasks.submit(
                        RunningTask(f"finding the faces of {self._spec.source}"),
                        analyse_video,
                        self._spec,
                        log.size_bytes,
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
        log.sync()
        self._state = AnalysisState(
            size_bytes=log.size_bytes,
            crc32=log.crc32,
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
            analysed=planner.frames,
            workers=tasks.busy_workers,
        )


def _video_spec(setup: Setup, folder: Path, run_name: str) -> VideoSpec:
    """Return the description of a video for workers, with absolute paths."""
    settings = setup.settings
    model, background = Path(settings.model).expanduser(), settings.background
    return VideoSpec(
        run=run_name,
        source=setup.source.info.path.absolute(),
        settings=replace(
            settings,
            model=str(model.absolute()) if model.is_file() else settings.model,
            background=background.absolute() if isinstance(background, Path) else background,
        ),
        folder=folder.absolute(),
    )
