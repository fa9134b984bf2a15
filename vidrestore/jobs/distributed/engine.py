"""The engine ``ray``: connects to a cluster when the first video needs it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event, Lock
from typing import Self
from uuid import uuid4

from vidrestore.errors import WorkerError
from vidrestore.jobs.distributed.coordinator import DistributedVideo
from vidrestore.jobs.distributed.ray_cluster import RayCluster
from vidrestore.jobs.distributed.tasks import load_video
from vidrestore.jobs.distributed.video_cache import VideoSpec
from vidrestore.jobs.distributed.video_tasks import TaskSlots, VideoTasks, Workers
from vidrestore.jobs.distributed.worker_process import WorkerSettings, probe_environment
from vidrestore.jobs.store.fingerprint import Machine
from vidrestore.jobs.store.job_folder import Job
from vidrestore.pipeline.loading.load_models import fetch_networks
from vidrestore.pipeline.report import versions
from vidrestore.pipeline.setup import Setup
from vidrestore.settings import RestoreSettings

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
            device=worker.first.device,
            precision=worker.first.precision,
            gpu=worker.first.gpu,
            threads=worker.threads,
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
