"""A worker process: how it runs a task, and the video that it keeps open for the next one."""

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vidrestore.errors import MediaError, WorkerError
from vidrestore.jobs.open_video import open_setup
from vidrestore.jobs.store.fingerprint import Machine, this_machine
from vidrestore.pipeline.setup import Setup
from vidrestore.pipeline.stages import Stages
from vidrestore.settings import RestoreSettings, only_affecting


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How a worker has to compute."""

    device: str
    precision: str
    threads: int
    """Threads of a network on a CPU. Their number may change the rounding of results."""
    first: Machine | None = None
    """Where the first worker computes; None for that one itself."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TaskItem:
    """An item of a task, and the process that made it."""

    host: str
    process: int
    value: Any
    """None in the first item: the task has started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSpec:
    """Description of a video for a worker."""

    run: str
    """Name of the run; files may change between two runs, and are opened again."""
    source: Path
    """Absolute, and the same on every machine."""
    settings: RestoreSettings
    folder: Path
    """Folder of the job, on storage that all machines share."""


def run_task(
    function: Callable[..., Iterator[Any]], arguments: tuple[Any, ...], worker: WorkerSettings
) -> Iterator[TaskItem]:
    """Run ``function(worker, *arguments)`` in a worker process.

    Raises:
        VidrestoreError: The task failed, or this worker differs from the first one.
    """
    import torch

    from vidrestore.malloc_tuning import keep_freed_memory

    host, process = platform.node(), os.getpid()
    yield TaskItem(host=host, process=process, value=None)
    keep_freed_memory()
    torch.set_num_threads(worker.threads)
    if worker.first is not None:
        check_same_results(_machine(worker), worker.first)
    for value in function(worker, *arguments):
        yield TaskItem(host=host, process=process, value=value)


def describe_machine(worker: WorkerSettings) -> Iterator[Machine]:
    """Yield where this worker computes: the task of the first one."""
    yield _machine(worker)


def _machine(worker: WorkerSettings) -> Machine:
    """Return where this worker computes, as ``cuda:0``: any GPU of a kind gives the same."""
    machine = this_machine(worker.device, worker.precision)
    kind, colon, _ = machine.device.partition(":")
    return replace(machine, device=f"{kind}:0" if colon else kind)


def check_same_results(own: Machine, other: Machine) -> None:
    """Refuse a worker whose results would differ from those of another machine.

    Raises:
        WorkerError: It differs in device, precision, GPU or a version; the message says in which.
    """
    values, others = (
        {
            "device": machine.device,
            "precision": machine.precision,
            "GPU": machine.gpu,
            **machine.versions,
        }
        for machine in (own, other)
    )
    for name in {**values, **others}:
        value, expected = (some.get(name) or "none" for some in (values, others))
        if value != expected:
            raise WorkerError(
                f"a worker on {own.host} has {name} {value}, but {other.host} {expected}; results "
                "would differ: use machines of one kind with the same versions installed, or "
                "choose --device and --precision"
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenVideo:
    """An open source with its networks."""

    spec: VideoSpec
    """With the device of this worker."""
    setup: Setup
    stages: Stages


class VideoCache:
    """Keeps the last video of a worker process open for its next task."""

    def __init__(self) -> None:
        self._last: OpenVideo | None = None
        self._source = ExitStack()

    def open(self, worker: WorkerSettings, spec: VideoSpec) -> OpenVideo:
        """Return an open video; it is opened unless it is the last one, on the same device.

        Raises:
            VidrestoreError: The source cannot be opened, or a network cannot be loaded.
        """
        spec = replace(spec, settings=replace(spec.settings, device=worker.device))
        last = self._last
        if last is not None and last.spec == spec:
            return last
        self._last = None
        self._source.close()
        if not spec.folder.is_dir():
            raise MediaError(
                f"{spec.folder.parent}: a worker does not see this folder; put sources and "
                "outputs on storage that all machines mount under the same path"
            )
        setup = self._source.enter_context(open_setup(spec.source, spec.settings))
        stages = _reused_stages(setup, spec, last) or setup.stages(setup.background())
        self._last = OpenVideo(spec=spec, setup=setup, stages=stages)
        return self._last


def _reused_stages(setup: Setup, spec: VideoSpec, last: OpenVideo | None) -> Stages | None:
    """Return stages with the networks of the last video; None if they are others."""
    # A background is loaded for the geometry of its video.
    if last is None or last.spec.run != spec.run or spec.settings.background is not None:
        return None
    if only_affecting(spec.settings, "bytes") != only_affecting(last.spec.settings, "bytes"):
        return None
    return replace(
        last.stages,
        geometry=setup.source.info.geometry,
        settings=setup.settings,
        stopwatch=setup.stopwatch,
        fields=setup.fields,
        pad_batches=setup.source.info.kind != "picture",
    )


videos = VideoCache()
"""The cache of this process."""
