"""A cluster in this process: the tasks of workers, without processes that must be started."""

import itertools
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from vidrestore import JobSettings, RestoreReport, RestoreSettings
from vidrestore.errors import WorkerError
from vidrestore.jobs.distributed import worker as worker_process
from vidrestore.jobs.distributed.coordinator import DistributedEngine
from vidrestore.jobs.distributed.worker import TaskItem, VideoCache, WorkerSettings, run_task
from vidrestore.jobs.distributed.worker_plan import WorkerPlan
from vidrestore.jobs.plan import PlannedSegment
from vidrestore.jobs.run import restore_with_engine
from vidrestore.progress import ProgressCallback, silent

_RETRIES = 2

Dies = Callable[["LocalStream"], bool]
"""Whether the worker of a task dies before it yields the next item."""

_ONE_AT_A_TIME = threading.Lock()


class LocalStream:
    """A task that runs one item at a time, and starts again when its worker dies, as Ray's do."""

    def __init__(
        self,
        function: Callable[..., Iterator[Any]],
        arguments: tuple[Any, ...],
        worker: WorkerSettings,
        processes: Iterator[int],
    ) -> None:
        self.function = function
        self.arguments = arguments
        self.attempts = 0
        self.sent = 0
        """Items that were received."""
        self.has_failed = False
        self._worker = worker
        self._processes = processes
        self.start()

    @property
    def segment(self) -> int | None:
        """Number of the segment that it restores."""
        planned = [argument for argument in self.arguments if isinstance(argument, PlannedSegment)]
        return planned[0].number if planned else None

    def start(self) -> None:
        """Start in a new worker."""
        self.attempts += 1
        self._process = next(self._processes)
        self._videos = VideoCache()
        self._items = run_task(self.function, self.arguments, self._worker)
        self._position = 0
        """Items that this attempt has yielded."""

    def next(self) -> TaskItem | None:
        """Return the next item that was not received before; None at the end."""
        # Runs of several films are threads here, and what a process shares is for one at a time.
        with _ONE_AT_A_TIME:
            shared, worker_process.videos = worker_process.videos, self._videos
            try:
                while self._position < self.sent:  # Ray drops what was sent before
                    next(self._items, None)
                    self._position += 1
                item = next(self._items, None)
                self._position += 1
            finally:
                worker_process.videos = shared
        self.sent += 1
        return None if item is None else replace(item, process=self._process)


class LocalCluster:
    """Runs tasks in this process; the one that was submitted last yields first."""

    def __init__(self, workers: int, dies: Dies) -> None:
        self.plan = WorkerPlan(workers=workers, threads=torch.get_num_threads())
        self.streams: list[LocalStream] = []
        """Every task that was submitted."""
        self.deaths = 0
        self._dies = dies
        self._processes = itertools.count(1)

    @property
    def segments(self) -> list[int]:
        """Numbers of the segments that were started, each as often as it was."""
        numbers = [(stream.segment, stream.attempts) for stream in self.streams]
        return [
            number for number, attempts in numbers if number is not None for _ in range(attempts)
        ]

    def submit(
        self,
        name: str,
        function: Callable[..., Iterator[Any]],
        arguments: tuple[Any, ...],
        worker: WorkerSettings,
    ) -> LocalStream:
        del name
        stream = LocalStream(function, arguments, worker, self._processes)
        self.streams.append(stream)
        return stream

    def wait(self, streams: Iterable[LocalStream], seconds: float) -> list[LocalStream]:
        del seconds
        # A task that starts again waits for a worker, behind the others.
        stream = min(reversed([*streams]), key=lambda stream: stream.attempts)
        if not self._dies(stream):
            return [stream]
        self.deaths += 1
        if stream.attempts > _RETRIES:
            stream.has_failed = True
            return [stream]
        stream.start()
        return []

    def next_item(self, stream: LocalStream, name: str) -> TaskItem | None:
        if stream.has_failed:
            raise WorkerError(
                f"{name}: {stream.attempts} workers died during this task, the last with: "
                "exit code 9"
            )
        return stream.next()

    def cancel(self, streams: Iterable[LocalStream]) -> None:
        del streams


def no_worker_dies(stream: LocalStream) -> bool:
    """Let all workers live."""
    del stream
    return False


@contextmanager
def open_local_engine(
    workers: int = 2, dies: Dies = no_worker_dies, clusters: list[LocalCluster] | None = None
) -> Generator[DistributedEngine]:
    """Open the engine that restores on workers, with workers in this process."""

    @contextmanager
    def open_cluster(device: str) -> Generator[LocalCluster]:
        del device
        cluster = LocalCluster(workers, dies)
        if clusters is not None:
            clusters.append(cluster)
        yield cluster

    with DistributedEngine(open_cluster) as engine:  # type: ignore[arg-type]
        yield engine


def restore_distributed(
    source: Path,
    target: Path,
    settings: RestoreSettings,
    job: JobSettings,
    *,
    workers: int = 2,
    dies: Dies = no_worker_dies,
    on_progress: ProgressCallback = silent,
    clusters: list[LocalCluster] | None = None,
) -> RestoreReport:
    """Restore a film by workers in this process.

    Args:
        source: The film.
        target: The output.
        settings: Settings of the run.
        job: How the run is divided.
        workers: Number of workers.
        dies: Whether the worker of a task dies before it yields the next item.
        on_progress: As for ``restore_video``.
        clusters: Receives the cluster, which knows the tasks that were submitted.
    """
    with open_local_engine(workers, dies, clusters) as engine:
        return restore_with_engine(
            engine, source, target, settings=settings, job=job, on_progress=on_progress
        )
