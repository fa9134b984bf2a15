"""The engine ``ray``: submits the tasks of videos, logs their analysis, journals their segments.

One task analyzes a video, others restore its segments behind it. Ray decides where tasks run and
runs those of dead workers again. A video is coordinated on the thread that restores it.
"""

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, RLock
from typing import Any, Self
from uuid import uuid4

from vidrestore.errors import MediaError, WorkerError
from vidrestore.jobs.distributed.ray_cluster import RayCluster, Stream
from vidrestore.jobs.distributed.tasks import (
    AnalysisBatch,
    SegmentResult,
    VideoFacts,
    analyze_video,
    load_video,
    restore_segment,
)
from vidrestore.jobs.distributed.worker import (
    TaskItem,
    VideoSpec,
    WorkerSettings,
    check_same_results,
    describe_machine,
)
from vidrestore.jobs.engine import Engine, OpenContent, SegmentsResult, VideoRun
from vidrestore.jobs.plan import PlannedSegment, Planner
from vidrestore.jobs.store.fingerprint import Machine
from vidrestore.jobs.store.job_folder import consecutive
from vidrestore.jobs.store.journal import read_frames
from vidrestore.jobs.store.segment_files import SegmentContent
from vidrestore.pipeline.loading.load_models import fetch_networks
from vidrestore.pipeline.report import versions
from vidrestore.pipeline.setup import Setup
from vidrestore.settings import RestoreSettings

_LOG = logging.getLogger(__name__)
_WAIT_SECONDS = 0.1
_FRAMES_PER_PROGRESS = 10
"""Frames after which a worker sends its progress; more if there are more workers than that."""


class DistributedEngine(Engine):
    """Restores on workers, which its videos share; connects when the first video needs it."""

    out_of_order = True

    def __init__(self, open_cluster: Callable[[str], AbstractContextManager[RayCluster]]) -> None:
        """Take what connects to a cluster whose workers use the given device."""
        self.cluster: RayCluster
        self._worker: WorkerSettings
        self._is_stopped = Event()
        self._open_cluster = open_cluster
        self._run_name = uuid4().hex
        self._stack = ExitStack()
        self._lock = RLock()
        self._first: Machine | None = None
        self._free = 0
        """Number of workers without a task."""
        self._waiting: set[int] = set()
        """Numbers of the videos that wait for a worker."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def connect(self, settings: RestoreSettings) -> Machine:
        """Return where the first worker computes; the first call starts it.

        Raises:
            WorkerError: No worker can be started, or its packages are others than here.
        """
        with self._lock:
            if self._first is None:
                self.cluster = self._stack.enter_context(self._open_cluster(settings.device))
                self._free = self.cluster.plan.workers
                self._worker = WorkerSettings(
                    device=settings.device,
                    precision=settings.precision,
                    threads=self.cluster.plan.threads,
                )
                first: Machine = self._run(0, "starting a worker", describe_machine)
                here = replace(first, host="the main process", versions=versions())
                check_same_results(first, here)
                self._worker = replace(self._worker, first=first)
                self._first = first
            return self._first

    environment = connect

    def count_workers(self, settings: RestoreSettings) -> int:
        """Return the most workers at once; the first call starts one."""
        self.connect(settings)
        return self.cluster.plan.workers

    def stop(self) -> None:
        """Stop all videos; may be called from any thread."""
        self._is_stopped.set()

    def check_running(self, wait_seconds: float = 0.0) -> None:
        """Raise ``WorkerError`` if the videos have to stop, or if that is so within some time."""
        if self._is_stopped.wait(wait_seconds):
            raise WorkerError("the run was stopped")

    def restore(self, video: VideoRun, open_content: OpenContent) -> SegmentsResult:
        """Restore the segments on workers, of which the first one loads the networks."""
        settings = video.setup.settings
        # This process downloads them, once, because it can show the progress.
        fetch_networks(
            settings.model, detector=settings.detector, on_download=video.setup.on_download
        )
        self.connect(settings)
        spec = _video_spec(video.setup, video.job.folder, self._run_name)
        name = f"loading the networks for {spec.source}"
        facts: VideoFacts = self._run(video.number, name, load_video, spec)
        content = open_content(facts.models.scale, lambda _frames: facts.background_cost)
        return _Coordinator(self, video, spec, facts, content).restore()

    def _run(
        self, video: int, name: str, function: Callable[..., Iterator[Any]], *arguments: object
    ) -> Any:
        """Run a task that yields one value, and return it."""
        while not self.take_worker(video):
            self.check_running(_WAIT_SECONDS)
        stream, value = self.submit(name, function, *arguments), None
        try:
            while True:
                self.check_running()
                if self.cluster.wait([stream], _WAIT_SECONDS):
                    item = self.cluster.next_item(stream, name)
                    if item is None:
                        return value
                    value = item.value
        except BaseException:
            self.cluster.cancel([stream])
            raise
        finally:
            self.return_workers(1, leaving=video)

    def submit(
        self, name: str, function: Callable[..., Iterator[Any]], *arguments: object
    ) -> Stream:
        """Submit a task; see ``RayCluster.submit``."""
        return self.cluster.submit(name, function, arguments, self._worker)

    def take_worker(self, video: int) -> bool:
        """Take a worker; False if all have a task, or an earlier video waits for one."""
        with self._lock:
            self._waiting.add(video)
            if self._free <= 0 or min(self._waiting) < video:
                return False
            self._waiting.discard(video)
            self._free -= 1
            return True

    def return_workers(self, count: int, *, leaving: int | None = None) -> None:
        """Return workers; the video ``leaving`` waits for none any longer."""
        with self._lock:
            self._free += count
            self._waiting -= {leaving}


@dataclass(slots=True, eq=False)
class _RunningTask:
    """A task that is submitted."""

    name: str
    progress: tuple[int, int] = (0, 0)
    """Frames and faces that it has restored."""
    worker: tuple[str, int] | None = None
    """Host and process; None until it has started."""


class _Coordinator:
    """Plans and journals the segments of a video, which workers restore."""

    def __init__(
        self,
        engine: DistributedEngine,
        video: VideoRun,
        spec: VideoSpec,
        facts: VideoFacts,
        content: SegmentContent,
    ) -> None:
        self._engine = engine
        self._video = video
        self._job = video.job
        self._spec = spec
        self._content = content
        self._models = facts.models
        self._running: dict[Stream, _RunningTask] = {}
        self._planned: deque[PlannedSegment] = deque()
        """Segments that are not submitted yet."""
        self._notes: dict[str, None] = {}
        self._seconds: Counter[str] = Counter()
        self._planner = Planner(
            video.rule,
            context_frames=facts.context_frames,
            index_step=facts.index_step,
            time_base=video.setup.source.info.time_base,
        )

    def restore(self) -> SegmentsResult:
        """Restore and journal every segment that is not done yet."""
        job, setup = self._job, self._video.setup
        for analysis, end_byte in read_frames(job.folder, 0, job.state.journal_bytes):
            self._add_planned(self._planner.add(analysis, end_byte))
        if job.state.is_analyzed:
            self._add_planned(self._planner.finish())
        try:
            self._run_tasks()
        finally:
            self._engine.cluster.cancel(self._running)
            self._engine.return_workers(len(self._running), leaving=self._video.number)
        self._video.reporter.start_after(consecutive(job.entries))
        return SegmentsResult(
            facts=self._models,
            state=job.state,
            notes=tuple(note for note in self._notes if note not in setup.notes),
            timing={**setup.stopwatch.seconds, **self._seconds},
        )

    def _run_tasks(self) -> None:
        is_analyzing = self._job.state.is_analyzed
        while not is_analyzing or self._planned or self._running:
            if not is_analyzing:
                name = f"finding the faces of {self._spec.source}"
                is_analyzing = self._submit(name, analyze_video, self._job.state.journal_bytes)
            while self._planned and self._submit_segment(self._planned[0]):
                self._planned.popleft()
            self._report()
            for task, value in self._next_values():
                if isinstance(value, AnalysisBatch):
                    self._journal_analysis(value)
                elif isinstance(value, SegmentResult):
                    task.progress = (0, 0)  # its entry counts from here on
                    self._journal_segment(value)
                else:
                    task.progress = value
        self._report()

    def _submit_segment(self, segment: PlannedSegment) -> bool:
        name = f"frames {segment.first_frame} to {segment.end_frame - 1} of {self._spec.source}"
        frames_per_progress = max(_FRAMES_PER_PROGRESS, self._engine.cluster.plan.workers)
        seek = not self._job.state.repaired_timestamps
        arguments = (segment, self._content, frames_per_progress, seek)
        return self._submit(name, restore_segment, *arguments)

    def _submit(
        self, name: str, function: Callable[..., Iterator[Any]], *arguments: object
    ) -> bool:
        """Submit a task for this video; False if no worker is free for it."""
        if not self._engine.take_worker(self._video.number):
            return False
        stream = self._engine.submit(name, function, self._spec, *arguments)
        self._running[stream] = _RunningTask(name)
        return True

    def _next_values(self) -> Iterator[tuple[_RunningTask, Any]]:
        """Wait a moment for items of the tasks, and yield those that are there.

        Raises:
            VidrestoreError: A task failed.
        """
        engine = self._engine
        engine.check_running(0.0 if self._running else _WAIT_SECONDS)
        if not self._running:
            return
        for stream in engine.cluster.wait(self._running, _WAIT_SECONDS):
            task = self._running[stream]
            item = engine.cluster.next_item(stream, task.name)
            if item is None:
                del self._running[stream]
                engine.return_workers(1)
                continue
            _note_worker(task, item)
            if item.value is not None:
                yield task, item.value

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

    def _journal_analysis(self, batch: AnalysisBatch) -> None:
        """Journal the analysis of some frames, and plan the segments that it completes."""
        planned: list[PlannedSegment] = []
        for analysis in batch.frames:
            planned += self._planner.add(analysis, self._job.add_frame(analysis))
        if batch.state.is_analyzed:
            planned += self._planner.finish()
        self._job.add_state(batch.state)
        self._add_planned(planned)

    def _journal_segment(self, result: SegmentResult) -> None:
        self._job.add_state(self._job.state, result.entry)
        self._models = self._models.merged(result.models)
        self._notes |= dict.fromkeys(result.notes)
        self._seconds.update(result.seconds)

    def _report(self) -> None:
        running = self._running.values()
        tallies = [entry.tally for entry in self._job.entries.values()]
        counts = [(tally["frames"], tally["faces"]) for tally in tallies]
        counts += [task.progress for task in running]
        self._video.reporter.report(
            "restoring",
            frames_done=sum(frames for frames, _ in counts),
            faces_done=sum(faces for _, faces in counts),
            frames_searched=self._planner.frames,
            workers=sum(task.worker is not None for task in running),
        )


def _note_worker(task: _RunningTask, item: TaskItem) -> None:
    worker = (item.host, item.process)
    if task.worker not in (None, worker):
        _LOG.warning("a worker died; another one restarts its task: %s", task.name)
    if task.worker != worker:
        _LOG.info("process %d on %s: %s", item.process, item.host, task.name)
    task.worker = worker


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
