"""A Ray cluster: one that is running, or this whole machine.

The only module that uses Ray. Ray places the tasks on workers, sends their items, and runs the
tasks of a dead worker again. https://docs.ray.io
"""

import logging
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import Any, TypeAlias

from vidrestore.errors import ConfigError, DeviceError, VidrestoreError, WorkerError
from vidrestore.jobs.distributed.worker import TaskItem, WorkerSettings, run_task
from vidrestore.jobs.distributed.worker_plan import WorkerPlan, plan_workers

Stream: TypeAlias = Any
"""The items of a task: Ray's generator of object references."""
_STORE_BYTES = 128 << 20
"""Size of Ray's object store. Items are small; by default Ray takes a third of the memory."""
_RETRIES = 2
"""How often a task is run again if its worker dies."""
_CANCEL_SECONDS = 5.0
"""Time to wait for canceled tasks to remove their files."""
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "RAY_task_oom_retries": str(_RETRIES),
}
"""What Ray reads when it is imported and when it starts a cluster. By default it sends usage
statistics to its makers, its workers have the lowest priority, and a task whose workers run out of
memory is run again for ever."""


@contextmanager
def open_ray_cluster(device: str, *, workers: int | None) -> Generator["RayCluster"]:
    """Connect to a Ray cluster.

    Tasks run on the cluster that this process is connected to, or else on the one at
    ``RAY_ADDRESS``. Without either, a cluster is started on this machine and ended with the block.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.
        workers: Most workers at once; None means as many as fit.

    Raises:
        ConfigError: Ray is not installed.
        DeviceError: A GPU is requested and there is none, or a GPU is requested by number.
        WorkerError: The cluster cannot be reached or started.
    """
    ray = _import_ray()
    if device.startswith("cuda:"):
        raise DeviceError(f"device {device!r}: Ray chooses the GPU itself; use --device cuda")
    is_connected = ray.is_initialized()
    with _quiet():
        if not is_connected:
            _connect(ray)
        try:
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            yield RayCluster(ray, plan_workers(nodes, device, workers))
        finally:
            if not is_connected:
                ray.shutdown()


def _import_ray() -> Any:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        return import_module("ray")
    except ImportError as error:
        raise ConfigError(
            "--engine ray needs Ray; install it: pip install 'vidrestore[ray]'"
        ) from error


def _connect(ray: Any) -> None:
    address = os.environ.get("RAY_ADDRESS") or "local"
    options: dict[str, Any] = {"address": address}
    if address == "local":
        options |= {"include_dashboard": False, "object_store_memory": _STORE_BYTES}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ray.init(**options, log_to_driver=False, configure_logging=False)
    except Exception as error:
        where = "on this machine" if address == "local" else f"at {address} (RAY_ADDRESS)"
        line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise WorkerError(f"no Ray cluster {where}: {line}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            # Ray installs handlers that end the process without removing unfinished files.
            for number, handler in handlers.items():
                signal.signal(number, handler)


@contextmanager
def _quiet() -> Generator[None]:
    """Keep Ray from printing messages of its processes on the terminal; they are in its logs."""
    module: ModuleType = import_module("ray._private.worker")
    log, switch = logging.getLogger("ray"), "_worker_logs_enabled"
    level, before = log.level, getattr(module, switch, None)
    log.setLevel(logging.CRITICAL)
    # Ray has no public switch for its messages on stdout that a worker has died.
    if before is not None:
        setattr(module, switch, False)
    try:
        yield
    finally:
        log.setLevel(level)
        if before is not None:
            setattr(module, switch, before)


class RayCluster:
    """Runs tasks on a Ray cluster. May be used by several threads, each for its own streams."""

    def __init__(self, ray: Any, plan: WorkerPlan) -> None:
        self.plan = plan
        self._ray = ray
        self._options = plan.task_options()
        # Ray would end a worker with a GPU after each task, and its networks with it.
        self._task = ray.remote(max_calls=0, max_retries=_RETRIES, num_returns="streaming")(
            _run_on_ray
        )

    def submit(
        self,
        name: str,
        function: Callable[..., Iterator[Any]],
        arguments: tuple[Any, ...],
        worker: WorkerSettings,
    ) -> Stream:
        """Submit ``run_task`` of the arguments; return at once.

        ``name`` is the task's in messages: ``frames 120 to 399 of film.mkv``.
        """
        task = self._task.options(name=name, **self._options)
        return task.remote(function, arguments, worker)

    def wait(self, streams: Iterable[Stream], seconds: float) -> list[Stream]:
        """Return the streams whose next item or end is there; wait until there is one."""
        ready, _ = self._ray.wait([*streams], num_returns=1, timeout=seconds, fetch_local=False)
        return ready

    def next_item(self, stream: Stream, name: str) -> TaskItem | None:
        """Return the next item of a stream; None at its end.

        Args:
            stream: Its items.
            name: Name of its task, for messages.

        Raises:
            VidrestoreError: The task failed.
            WorkerError: The workers that ran the task died.
        """
        errors = self._ray.exceptions
        try:
            return self._ray.get(next(stream))
        except StopIteration:
            return None
        except errors.RayTaskError as error:
            if isinstance(error.cause, VidrestoreError | OSError):
                raise error.cause from None
            raise  # a bug; the message holds the traceback of the worker
        except errors.RayError as error:
            raise WorkerError(
                f"{name}: {_RETRIES + 1} workers died during this task, the last with: "
                f"{_line_of(error)}"
            ) from error

    def cancel(self, streams: Iterable[Stream]) -> None:
        """Cancel tasks, and give them a moment to remove their files."""
        streams = [*streams]
        for stream in streams:
            self._ray.cancel(stream)
        ends = [stream.completed() for stream in streams]
        if ends:
            self._ray.wait(ends, num_returns=len(ends), timeout=_CANCEL_SECONDS, fetch_local=False)


def _run_on_ray(
    function: Callable[..., Iterator[Any]], arguments: tuple[Any, ...], worker: WorkerSettings
) -> Iterator[TaskItem]:
    """Run a task on the GPU that Ray has given to it."""
    import torch

    gpu_ids = import_module("ray").get_runtime_context().get_accelerator_ids().get("GPU", [])
    if gpu_ids and torch.cuda.is_available():
        device = assigned_device(str(gpu_ids[0]), os.environ.get("CUDA_VISIBLE_DEVICES"))
        worker = replace(worker, device=device)
    yield from run_task(function, arguments, worker)


def assigned_device(gpu_id: str, visible_gpus: str | None) -> str:
    """Return the device of a GPU, as torch numbers it.

    Args:
        gpu_id: Ray's name of the GPU.
        visible_gpus: ``CUDA_VISIBLE_DEVICES`` of this process; None where it is not set.
    """
    visible = (visible_gpus or "").split(",")
    return f"cuda:{visible.index(gpu_id) if gpu_id in visible else gpu_id}"


def _line_of(error: Exception) -> str:
    """Return the line of a Ray error that says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    informative = [line for line in lines if "exit type" in line or "Error:" in line]
    return (informative or lines or [type(error).__name__])[-1]
