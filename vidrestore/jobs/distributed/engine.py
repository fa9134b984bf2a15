"""The engine ``ray``: connects to a cluster when the first video needs it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from threading import Event, Lock
from typing import Self
from uuid import uuid4

from vidrestore.errors import WorkerError
from vidrestore.jobs.distributed.coordinator import DistributedVideo
from vidrestore.jobs.distributed.ray_cluster import RayCluster
from vidrestore.jobs.distributed.video_tasks import VideoTasks, Workers
from vidrestore.jobs.distributed.worker_process import WorkerSettings, describe_machine
from vidrestore.jobs.engine import Engine
from vidrestore.jobs.store.fingerprint import Machine
from vidrestore.jobs.store.journal import Job
from vidrestore.pipeline.loading.load_models import fetch_networks
from vidrestore.pipeline.report import versions
from vidrestore.pipeline.setup import Setup
from vidrestore.settings import RestoreSettings

OpenCluster = Callable[[str], AbstractContextManager[RayCluster]]
"""Connects to a cluster whose workers use the given device."""


class DistributedEngine(Engine):
    """Restores on workers; a cluster is connected when the first video needs it."""

    out_of_order = True

    def __init__(self, open_cluster: OpenCluster) -> None:
        self._open_cluster = open_cluster
        self._run_name = uuid4().hex
        self._is_stopped = Event()
        self._stack = ExitStack()
        self._lock = Lock()
        self._workers: Workers | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

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
                    settings=WorkerSettings(
                        device=settings.device,
                        precision=settings.precision,
                        threads=cluster.plan.threads,
                        versions=versions(),
                    ),
                    free=cluster.plan.workers,
                    is_stopped=self._is_stopped,
                )
                with VideoTasks(workers, 0) as tasks:
                    first = tasks.run("starting a worker", describe_machine)
                workers.settings = replace(workers.settings, first=first)
                self._workers = workers
            return self._workers

    def count_workers(self, settings: RestoreSettings) -> int:
        """Return the most workers at once; the first call starts one."""
        return self.connect(settings).cluster.plan.workers

    def stop(self) -> None:
        """Stop all videos; may be called from any thread."""
        self._is_stopped.set()

    def environment(self, settings: RestoreSettings) -> Machine:
        """Return where the workers' networks run."""
        first = self.connect(settings).settings.first
        if first is None:
            raise WorkerError("no worker has started; run again")
        return first

    def prepare(self, setup: Setup, job: Job, *, number: int) -> DistributedVideo:
        """Let a worker load the networks."""
        settings = setup.settings
        # This process downloads them, once, because it can show the progress.
        fetch_networks(settings.model, detector=settings.detector, on_download=setup.on_download)
        return DistributedVideo(setup, job, self.connect(settings), self._run_name, number)
