"""The running tasks of a video, and how videos share the workers."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Any, Self

from vidrestore.errors import WorkerError
from vidrestore.jobs.distributed.ray_cluster import RayCluster, Stream
from vidrestore.jobs.distributed.worker_process import TaskItem, WorkerSettings

_LOG = logging.getLogger(__name__)
_WAIT_SECONDS = 0.1


@dataclass(slots=True, kw_only=True, eq=False)
class Workers:
    """The workers of a run, which its videos share: each runs one task, earlier videos go first."""

    cluster: RayCluster
    settings: WorkerSettings
    free: int
    """Number of workers without a task."""
    is_stopped: Event = field(default_factory=Event)
    """Set when all videos have to stop."""
    waiting: set[int] = field(default_factory=set[int])
    """Videos that wait for a worker."""
    lock: Lock = field(default_factory=Lock)

    def take(self, video: int) -> bool:
        """Take a worker; False if all have a task, or an earlier video waits for one."""
        with self.lock:
            self.waiting.add(video)
            if self.free <= 0 or min(self.waiting) < video:
                return False
            self.waiting.discard(video)
            self.free -= 1
            return True

    def give_back(self, count: int) -> None:
        """Give workers back."""
        with self.lock:
            self.free += count

    def leave(self, video: int) -> None:
        """Wait for no worker any longer."""
        with self.lock:
            self.waiting.discard(video)


@dataclass(slots=True, eq=False)
class RunningTask:
    """A task that is submitted."""

    name: str
    progress: tuple[int, int] = (0, 0)
    """Frames and faces that it has restored."""
    worker: tuple[str, int] | None = None
    """Host and process; None until it has started."""


class VideoTasks:
    """The tasks of one video that are submitted and not done."""

    def __init__(self, workers: Workers, number: int) -> None:
        """Begin without a task.

        Args:
            workers: Run the tasks.
            number: Number of the video in a batch; earlier videos have priority.
        """
        self.running: dict[Stream, RunningTask] = {}
        self._workers = workers
        self._number = number

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._workers.leave(self._number)
        self._workers.cluster.cancel(self.running)
        self._workers.give_back(len(self.running))

    def submit(self, name: str, function: Callable[..., Iterator[Any]], *arguments: object) -> bool:
        """Submit a task; False if all workers have one."""
        if not self._workers.take(self._number):
            return False
        workers = self._workers
        stream = workers.cluster.submit(name, function, arguments, workers.settings)
        self.running[stream] = RunningTask(name)
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
            item = self._workers.cluster.next_item(stream, task.name)
            if item is None:
                del self.running[stream]
                self._workers.give_back(1)
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
        values: list[Any] = []
        while not self.submit(name, function, *arguments):
            values += self.next_items()
        while self.running:
            values += (value for _, value in self.next_items())
        return values[-1]
