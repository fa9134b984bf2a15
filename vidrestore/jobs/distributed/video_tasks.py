"""The running tasks of a video, and how videos share the workers."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event, Lock
from typing import Any, Self

from vidrestore.errors import WorkerError
from vidrestore.jobs.distributed.ray_cluster import RayCluster, RayStream
from vidrestore.jobs.distributed.tasks import SegmentProgress
from vidrestore.jobs.distributed.worker_process import TaskItem, WorkerSettings
from vidrestore.jobs.plan import PlannedSegment

_LOG = logging.getLogger(__name__)
_WAIT_SECONDS = 0.1


class TaskSlots:
    """Limits the tasks of all videos to the number of workers; earlier videos go first."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: set[int] = set()
        self._lock = Lock()

    def take(self, video: int) -> bool:
        """Take a slot; False if there is none, or an earlier video waits for it."""
        with self._lock:
            self._waiting.add(video)
            if self._free <= 0 or min(self._waiting) < video:
                return False
            self._waiting.discard(video)
            self._free -= 1
            return True

    def give_back(self, count: int = 1) -> None:
        """Give slots back."""
        with self._lock:
            self._free += count

    def leave(self, video: int) -> None:
        """Wait for no slot any longer."""
        with self._lock:
            self._waiting.discard(video)


@dataclass(slots=True, eq=False)
class RunningTask:
    """A task that is submitted."""

    name: str
    segment: PlannedSegment | None = None
    """The segment that it restores; None if it does something else."""
    progress: SegmentProgress | None = None
    worker: tuple[str, int] | None = None
    """Host and process; None until it has started."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Workers:
    """The workers of a run, which its videos share."""

    cluster: RayCluster
    slots: TaskSlots
    settings: WorkerSettings
    is_stopped: Event
    """Set when all videos have to stop."""


class VideoTasks:
    """The tasks of one video that are submitted and not done."""

    def __init__(self, workers: Workers, number: int) -> None:
        """Begin without a task.

        Args:
            workers: Run the tasks.
            number: Number of the video in a batch; earlier videos have priority.
        """
        self.running: dict[RayStream, RunningTask] = {}
        self._workers = workers
        self._number = number

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._workers.slots.leave(self._number)
        self._workers.cluster.cancel(self.running)
        self._workers.slots.give_back(len(self.running))

    @property
    def workers(self) -> int:
        """Most workers that all videos have."""
        return self._workers.cluster.plan.workers

    @property
    def busy_workers(self) -> int:
        """Number of workers that run one of these tasks."""
        return sum(task.worker is not None for task in self.running.values())

    def submit(
        self, task: RunningTask, function: Callable[..., Iterator[Any]], *arguments: object
    ) -> bool:
        """Submit a task; False if all workers have one."""
        if not self._workers.slots.take(self._number):
            return False
        workers = self._workers
        stream = workers.cluster.submit(task.name, function, arguments, workers.settings)
        self.running[stream] = task
        return True

    def next_items(self) -> Iterator[tuple[RunningTask, Any]]:
        """Wait a moment for items of the tasks, and yield those that are there.

        Raises:
            VidrestoreError: A task failed.
        """
        if self._workers.is_stopped.is_set():
            raise WorkerError("the run was stopped")
        if not self.running:
            self._workers.is_stopped.wait(_WAIT_SECONDS)
            return
        for stream in self._workers.cluster.wait(self.running, _WAIT_SECONDS):
            task = self.running[stream]
            item = self._workers.cluster.next_item(stream)
            if item is None:
                del self.running[stream]
                self._workers.slots.give_back()
                continue
            self._note_worker(task, item)
            if item.value is not None:
                yield task, item.value

    def _note_worker(self, task: RunningTask, item: TaskItem) -> None:
        worker = (item.host, item.process)
        if task.worker not in (None, worker):
            _LOG.warning("a worker died; another one restarts its task: %s", task.name)
        if task.worker != worker:
            _LOG.info("process %d on %s: %s", item.process, item.host, task.name)
        task.worker = worker

    def run(self, name: str, function: Callable[..., Iterator[Any]], *arguments: object) -> Any:
        """Run a task that yields one value, and return it."""
        task, values = RunningTask(name), list[Any]()
        while not self.submit(task, function, *arguments):
            values += self.next_items()
        while self.running:
            values += (value for _, value in self.next_items())
        return values[-1]
