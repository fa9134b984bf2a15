"""How a worker process runs a task: prepares itself, and sends items and errors."""

import os
import pickle
import platform
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from vidrestore.errors import VidrestoreError, WorkerError
from vidrestore.jobs.store.fingerprint import Machine, this_machine
from vidrestore.pipeline.report import versions


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How a worker has to compute."""

    device: str
    precision: str
    threads: int
    """Threads of a network on a CPU. Their number may change the rounding of results."""
    versions: Mapping[str, str]
    """Versions of the packages that results depend on, in the main process."""
    first: Machine | None = None
    """Where the first worker computes; None for that one itself."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TaskItem:
    """An item of a task, and the process that made it."""

    host: str
    process: int
    value: Any
    """None in the first item: the task has started."""


def run_task(
    function: Callable[..., Iterator[Any]], arguments: tuple[Any, ...], worker: WorkerSettings
) -> Iterator[TaskItem]:
    """Run a task in a worker process.

    Args:
        function: Called with ``worker`` and ``arguments``.
        arguments: Its other arguments.
        worker: How this process has to compute.

    Raises:
        VidrestoreError: The task failed, or this worker differs from the first one.
        RuntimeError: A bug; the message holds the traceback.
    """
    item = partial(TaskItem, host=platform.node(), process=os.getpid())
    yield item(value=None)
    try:
        _prepare_process(worker)
        for value in function(worker, *arguments):
            yield item(value=value)
    except Exception as error:  # noqa: BLE001  (raised again where the task came from)
        raise _sendable(error) from None


def _sendable(error: Exception) -> Exception:
    """Return an error that can be sent to another process."""
    if isinstance(error, VidrestoreError | OSError):
        with suppress(Exception):  # an error class may raise anything when unpickled
            if str(pickle.loads(pickle.dumps(error))) == str(error):
                return error
        return WorkerError(str(error))
    # A bug: the traceback is worth more than the class.
    return RuntimeError("".join(traceback.format_exception(error)))


def _prepare_process(worker: WorkerSettings) -> None:
    import torch

    from vidrestore.malloc_tuning import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(worker.threads)
    _check_versions(worker.versions)
    if worker.first is not None:
        _check_same_results(_machine(worker), worker.first)


def _check_same_results(own: Machine, first: Machine) -> None:
    """Refuse a worker whose results would differ from those of the first one."""
    for name in ("device", "precision"):
        value, other = getattr(own, name), getattr(first, name)
        if value != other:
            raise WorkerError(
                f"a worker on {own.host} computes with {name} {value}, but one on {first.host} "
                f"with {other}; choose one with --{name}"
            )
    if own.gpu != first.gpu:
        raise WorkerError(
            f"a worker on {own.host} has {own.gpu or 'no GPU'}, but one on {first.host} "
            f"{first.gpu or 'no GPU'}; results would differ: use machines of one kind"
        )


def _check_versions(expected: Mapping[str, str]) -> None:
    installed = versions()
    for name in sorted({*installed, *expected}):
        own, other = installed.get(name, "missing"), expected.get(name, "missing")
        if own != other:
            raise WorkerError(
                f"a worker on {platform.node()} has {name} {own}, but the main process {other}; "
                "install the same versions on all machines"
            )


def device_kind(device: str) -> str:
    """Return ``cuda:0`` of every ``cuda:N``: any GPU of a kind gives the same results."""
    kind, colon, _ = device.partition(":")
    return f"{kind}:0" if colon else kind


def _machine(worker: WorkerSettings) -> Machine:
    machine = this_machine(worker.device, worker.precision)
    return replace(machine, device=device_kind(machine.device))


def describe_machine(worker: WorkerSettings) -> Iterator[Machine]:
    """Yield where this worker computes: the task of the first one."""
    yield _machine(worker)
