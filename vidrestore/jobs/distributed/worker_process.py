"""How a worker process runs a task: prepares itself, and sends items and errors."""

import os
import pickle
import platform
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from vidrestore.devices import describe_device, resolve_device, resolve_precision
from vidrestore.errors import VidrestoreError, WorkerError
from vidrestore.pipeline.report import versions


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerEnvironment:
    """Where a worker runs its networks."""

    host: str
    device: str
    """Kind of device with the number 0, whichever GPU the worker has."""
    precision: str
    gpu: str
    """Its model and the version of cuDNN; empty for a CPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How a worker has to compute."""

    device: str
    precision: str
    threads: int
    """Threads of a network on a CPU. Their number may change the rounding of results."""
    versions: Mapping[str, str]
    """Of the packages that results depend on, in the main process."""
    first: WorkerEnvironment | None = None
    """Environment of the first worker; None for the first one."""


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
        try:
            if str(pickle.loads(pickle.dumps(error))) == str(error):
                return error
        except Exception:  # noqa: BLE001  (an error class may raise anything when unpickled)
            return WorkerError(str(error))
        return WorkerError(str(error))
    # A bug: the traceback is worth more than the class.
    return RuntimeError("".join(traceback.format_exception(error)))


def _prepare_process(worker: WorkerSettings) -> None:
    import torch

    from vidrestore.malloc_tuning import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(worker.threads)
    _check_versions(worker.versions)
    if worker.first is None:
        return
    own, first = _environment(worker), worker.first
    for name, value, other in (
        ("device", own.device, first.device),
        ("precision", own.precision, first.precision),
    ):
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
    found = versions()
    for name in sorted({*found, *expected}):
        own, other = found.get(name, "missing"), expected.get(name, "missing")
        if own != other:
            raise WorkerError(
                f"a worker on {platform.node()} has {name} {own}, but the main process {other}; "
                "install the same versions on all machines"
            )


def _environment(worker: WorkerSettings) -> WorkerEnvironment:
    device = resolve_device(worker.device)
    return WorkerEnvironment(
        host=platform.node(),
        device=device_kind(str(device)),
        precision=str(resolve_precision(worker.precision, device)),
        gpu=describe_device(device),
    )


def device_kind(device: str) -> str:
    """Return ``cuda:0`` of every ``cuda:N``: any GPU of a kind gives the same results."""
    kind, colon, _ = device.partition(":")
    return f"{kind}:0" if colon else kind


def probe_environment(worker: WorkerSettings) -> Iterator[WorkerEnvironment]:
    """Yield the environment of this worker: the task of the first one."""
    yield _environment(worker)
