"""The engine ``ray``: submits the tasks of videos, logs their analysis, journals their segments.

One task analyzes a video, others restore its segments behind it. Ray decides where tasks run and
runs those of dead workers again. A video is coordinated on the thread that restores it.
"""

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from threading import RLock
from typing import Any, Self
from uuid import uuid4

from vidrestore.errors import MediaError
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
    VideoSpec,
    WorkerSettings,
    check_same_results,
    describe_machine,
)
from vidrestore.jobs.engine import Engine, SegmentsResult, VideoRun
from vidrestore.jobs.plan import PlannedSegment, Planner
from vidrestore.jobs.store.fingerprint import Machine
from vidrestore.jobs.store.job_folder import consecutive
from vidrestore.jobs.store.journal import read_frames
from vidrestore.jobs.store.segment_files import SegmentContent
from vidrestore.pipeline.loading.load_models import fetch_networks
from vidrestore.pipeline.report import versions
from vidrestore.pipeline.setup import Setup
from vidrestore.progress import Stage
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
        self.worker: WorkerSettings
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

    def environment(self, settings: RestoreSettings) -> Machine:
        """Return where the first worker computes; the first call connects and starts it.

        Raises:
            WorkerError: No worker can be started, or its packages are others than here.
        """
        with self._lock:
            if self._first is None:
                self.cluster = self._stack.enter_context(self._open_cluster(settings.device))
                self._free = self.cluster.plan.workers
                self.worker = WorkerSettings(
                    device=settings.device,
                    precision=settings.precision,
                    threads=self.cluster.plan.threads,
                )
                first: Machine = _Tasks(self, 0).run("starting a worker", describe_machine)
                here = replace(first, host="the main process", versions=versions())
                check_same_results(first, here)
                self.worker = replace(self.worker, first=first)
                self._first = first
            return self._first

    def count_workers(self, settings: RestoreSettings) -> int:
        """Return the most workers at once; the first call starts one."""
        self.environment(settings)
        return self.cluster.plan.workers

    def restore(self, video: VideoRun) -> SegmentsResult:
        """Restore the segments on workers, of which the first one loads the networks."""
        settings = video.setup.settings
        # This process downloads them, once, because it can show the progress.
        fetch_networks(
            settings.model, detector=settings.detector, on_download=video.setup.on_download
        )
        device = self.environment(settings).device
        spec = _video_spec(video.setup, video.job.folder, self._run_name)
        name = f"loading the networks for {spec.source}"
        tasks = _Tasks(self, video.number)
        facts: VideoFacts = tasks.run(name, load_video, spec, on_wait=video.reporter.report)
        facts = replace(facts, models=replace(facts.models, device=device))
        content = video.open_outputs(facts.models.scale, lambda _frames: facts.background_cost)
        with tasks:
            return _Coordinator(tasks, video, spec, facts, content).restore()

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


class _Tasks:
    """The tasks of a video; what still runs at the end of a block is canceled."""

    def __init__(self, engine: DistributedEngine, video: int) -> None:
        self.engine = engine
        self.running: dict[Stream, _RunningTask] = {}
        self._video = video

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.engine.cluster.cancel(self.running)
        self.engine.return_workers(len(self.running), leaving=self._video)
        self.running.clear()

    def run(
        self,
        name: str,
        function: Callable[..., Iterator[Any]],
        *arguments: object,
        on_wait: Callable[[Stage], None] = lambda _stage: None,
    ) -> Any:
        """Run a task that yields one value, and return it; ``on_wait`` may stop that."""
        values: list[Any] = []
        with self:
            is_submitted = False
            while self.running or not is_submitted:
                on_wait("starting")
                is_submitted = is_submitted or self.submit(name, function, *arguments)
                values += [value for _, value in self.next_values()]
        return values[0]

    def submit(self, name: str, function: Callable[..., Iterator[Any]], *arguments: object) -> bool:
        """Submit a task, named for messages; False if no worker is free for it."""
        if not self.engine.take_worker(self._video):
            return False
        stream = self.engine.cluster.submit(name, function, arguments, self.engine.worker)
        self.running[stream] = _RunningTask(name)
        return True

    def next_values(self) -> Iterator[tuple[_RunningTask, Any]]:
        """Wait a moment for items of the tasks, and yield those that are there.

        Raises:
            VidrestoreError: A task failed.
        """
        cluster = self.engine.cluster
        if not self.running:
            time.sleep(_WAIT_SECONDS)
            return
        for stream in cluster.wait(self.running, _WAIT_SECONDS):
            task = self.running[stream]
            item = cluster.next_item(stream, task.name)
            if item is None:
                del self.running[stream]
                self.engine.return_workers(1)
                continue
            worker = (item.host, item.process)
            if task.worker not in (None, worker):
                _LOG.warning("a worker died; another one restarts its task: %s", task.name)
            if task.worker != worker:
                _LOG.info("process %d on %s: %s", item.process, item.host, task.name)
            task.worker = worker
            if item.value is not None:
                yield task, item.value


class _Coordinator:
    """Plans and journals the segments of a video, which workers restore."""

    def __init__(
        self,
        tasks: _Tasks,
        video: VideoRun,
        spec: VideoSpec,
        facts: VideoFacts,
        content: SegmentContent,
    ) -> None:
        self._tasks = tasks
        self._job = video.job
        self._reporter = video.reporter
        self._spec = spec
        self._content = content
        self._models = facts.models
        self._planned: deque[PlannedSegment] = deque()
        """Segments that are not submitted yet."""
        self._notes: list[str] = []
        self._seconds: Counter[str] = Counter()
        self._planner = Planner(
            video.rule,
            context_frames=facts.context_frames,
            index_step=facts.index_step,
            time_base=video.setup.source.info.time_base,
        )

    def restore(self) -> SegmentsResult:
        """Restore and journal every segment that is not done yet."""
        job, running = self._job, self._tasks.running
        for analysis, end_byte in read_frames(job.folder, 0, job.state.journal_bytes):
            self._add_planned(self._planner.add(analysis, end_byte))
        is_analyzing = job.state.is_analyzed
        if is_analyzing:
            self._add_planned(self._planner.finish())
        while not is_analyzing or self._planned or running:
            if not is_analyzing:
                name = f"finding the faces of {self._spec.source}"
                first_byte = job.state.journal_bytes
                is_analyzing = self._tasks.submit(name, analyze_video, self._spec, first_byte)
            while self._planned and self._submit_segment(self._planned[0]):
                self._planned.popleft()
            self._report()
            for task, value in self._tasks.next_values():
                if isinstance(value, AnalysisBatch):
                    self._journal_analysis(value)
                elif isinstance(value, SegmentResult):
                    task.progress = (0, 0)  # its entry counts from here on
                    self._journal_segment(value)
                else:
                    task.progress = value
        self._report()
        self._reporter.start_after(consecutive(job.entries))
        return SegmentsResult(
            facts=self._models, notes=tuple(self._notes), timing=dict(self._seconds)
        )

    def _submit_segment(self, segment: PlannedSegment) -> bool:
        name = f"frames {segment.first_frame} to {segment.end_frame - 1} of {self._spec.source}"
        frames_per_progress = max(_FRAMES_PER_PROGRESS, self._tasks.engine.cluster.plan.workers)
        seek = not self._job.state.repaired_timestamps
        arguments = (self._spec, segment, self._content, frames_per_progress, seek)
        return self._tasks.submit(name, restore_segment, *arguments)

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
        self._notes += result.notes
        self._seconds.update(result.seconds)

    def _report(self) -> None:
        running = self._tasks.running.values()
        tallies = [entry.tally for entry in self._job.entries.values()]
        counts = [(tally["frames"], tally["faces"]) for tally in tallies]
        counts += [task.progress for task in running]
        self._reporter.report(
            "restoring",
            frames_done=sum(frames for frames, _ in counts),
            faces_done=sum(faces for _, faces in counts),
            frames_searched=self._planner.frames,
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
