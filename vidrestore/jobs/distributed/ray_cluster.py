"""A Ray cluster: one that is running, or this whole machine.

The only module that uses Ray. Ray places the tasks on workers, sends their items, and runs the
tasks of a dead worker again. https://docs.ray.io
"""

import logging
import math
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from types import ModuleType
from typing import Any

from vidrestore.errors import ConfigError, DeviceError, WorkerError
from vidrestore.jobs.distributed.worker_process import TaskItem, WorkerSettings, run_task

_CORES_PER_WORKER = 2
"""Cores of a worker without a GPU. More cores are used poorly when it restores one face at a
time."""
_MAX_CORES_BESIDE_GPU = 8
_MAX_WORKERS_PER_GPU = 8
_BYTES_PER_WORKER = 2 << 30
"""Approximate memory of a worker; if memory is short, fewer workers are started."""
_STORE_BYTES = 128 << 20
"""Size of Ray's object store. Items are small; by default Ray takes a third of the memory."""
_RETRIES = 2
"""How often a task is run again if its worker dies."""
_CANCEL_SECONDS = 5.0
"""Time to wait for cancelled tasks to remove their files."""
_CLUSTER_ENVIRONMENT = {"RAY_worker_niceness": "0", "RAY_task_oom_retries": str(_RETRIES)}
"""Environment for starting a cluster: by default its workers have the lowest priority, and a task
whose workers run out of memory is run again for ever."""
_WORKER_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Environment of workers: OpenMP reads it when torch is loaded."""
_GPU_ENVIRONMENT = {"RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1"}
"""A worker sees all GPUs of its machine: its next task may be given another one, but CUDA reads
``CUDA_VISIBLE_DEVICES`` only once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlan:
    """How the resources of a cluster are divided among workers."""

    workers: int
    """Most workers at once."""
    threads: int
    """Number of threads, and cores, of each worker."""
    num_gpus: float = 0.0
    """Share of a GPU that each worker has."""

    def task_options(self) -> dict[str, Any]:
        """Return the options of a task for Ray."""
        environment = _WORKER_ENVIRONMENT | (_GPU_ENVIRONMENT if self.num_gpus else {})
        return {
            "num_cpus": self.threads,
            "num_gpus": self.num_gpus,
            "runtime_env": {"env_vars": environment},
        }


def plan_workers(
    nodes: Sequence[Mapping[str, float]], device: str, workers: int | None
) -> WorkerPlan:
    """Divide the resources of a cluster among workers.

    A worker has a GPU, or a share of one if there are to be more workers than GPUs. Without GPUs it
    has two cores, or all cores divided by the number of workers.

    Args:
        nodes: Ray's resources of each node, by name: ``CPU``, ``GPU``, ``memory`` in bytes.
        device: ``auto``, ``cpu`` or ``cuda``.
        workers: Most workers; None means as many as fit.

    Raises:
        DeviceError: A GPU is requested and there is none.
    """
    cores = [int(node.get("CPU", 0)) for node in nodes]
    smallest = min((count for count in cores if count), default=1)
    gpus = sum(int(node.get("GPU", 0)) for node in nodes)
    if device == "cuda" and not gpus:
        raise DeviceError(
            "device 'cuda' is not available: the Ray cluster has no GPU; use --device cpu"
        )
    if gpus and device != "cpu":
        per_gpu = min(math.ceil((workers or gpus) / gpus), _MAX_WORKERS_PER_GPU)
        count = min(workers or gpus, gpus * per_gpu)
        threads = min(_MAX_CORES_BESIDE_GPU, sum(cores) // (gpus * per_gpu), smallest)
        # Ray counts in steps of 0.0001.
        share = math.floor(10_000 / per_gpu) / 10_000
        return WorkerPlan(workers=count, threads=max(1, threads), num_gpus=share)
    fitting_memory = sum(int(node.get("memory", 0)) // _BYTES_PER_WORKER for node in nodes)
    threads = _CORES_PER_WORKER if workers is None else max(1, sum(cores) // workers)
    threads = min(threads, smallest)
    fitting = sum(count // threads for count in cores)
    return WorkerPlan(
        workers=max(1, min(workers or fitting, fitting, fitting_memory)), threads=threads
    )


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
    if not is_connected:
        _connect(ray)
    try:
        with _quiet(ray):
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            yield RayCluster(ray, plan_workers(nodes, device, workers))
    finally:
        if not is_connected:
            ray.shutdown()


def _import_ray() -> Any:
    # Set before the import: by default Ray sends usage statistics to its makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
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
    log = logging.getLogger("ray")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with _environment(_CLUSTER_ENVIRONMENT):
            ray.init(**options, log_to_driver=False, configure_logging=False)
    except Exception as error:
        where = "on this machine" if address == "local" else f"at {address} (RAY_ADDRESS)"
        line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise WorkerError(f"no Ray cluster {where}: {line}") from error
    finally:
        log.setLevel(level)
        if threading.current_thread() is threading.main_thread():
            # Ray installs handlers that end the process without removing unfinished files.
            for number, handler in handlers.items():
                signal.signal(number, handler)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Generator[None]:
    """Set environment variables inside the block, except those that are set already."""
    added = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def _quiet(ray: Any) -> Generator[None]:
    """Keep Ray from printing messages of its processes on the terminal; they are in its logs."""
    module: ModuleType = import_module("ray._private.worker")
    switch = "_worker_logs_enabled"
    before = getattr(module, switch, None)
    log = logging.getLogger("ray")
    level = log.level
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


class RayStream:
    """The items of a task that Ray runs."""

    def __init__(self, name: str, items: Any) -> None:
        self.name = name
        """Name of the task in messages: ``frames 120 to 399 of film.mkv``."""
        self.items = items
        """Ray's generator of object references."""


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
    ) -> RayStream:
        """Submit a task and return at once.

        Args:
            name: Name of the task in messages.
            function: As for ``run_task``.
            arguments: As for ``run_task``.
            worker: As for ``run_task``.
        """
        task = self._task.options(name=name, **self._options)
        return RayStream(name, task.remote(function, arguments, worker))

    def wait(self, streams: Iterable[RayStream], seconds: float) -> list[RayStream]:
        """Return the streams whose next item or end is there; wait until there is one."""
        by_items = {stream.items: stream for stream in streams}
        ready, _ = self._ray.wait(list(by_items), num_returns=1, timeout=seconds, fetch_local=False)
        return [by_items[items] for items in ready]

    def next_item(self, stream: RayStream) -> TaskItem | None:
        """Return the next item of a stream; None at its end.

        Raises:
            VidrestoreError: The task failed.
            WorkerError: The workers that ran the task died.
        """
        errors = self._ray.exceptions
        try:
            return self._ray.get(next(stream.items))
        except StopIteration:
            return None
        except errors.RayTaskError as error:
            raise error.cause from None
        except errors.RayError as error:
            raise WorkerError(
                f"{stream.name}: {_RETRIES + 1} workers died during this task, the last with: "
                f"{_line_of(error)}"
            ) from error

    def cancel(self, streams: Iterable[RayStream]) -> None:
        """Cancel tasks, and give them a moment to remove their files."""
        streams = list(streams)
        for stream in streams:
            self._ray.cancel(stream.items)
        ends = [stream.items.completed() for stream in streams]
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
    telling = [line for line in lines if "exit type" in line or "Error:" in line]
    return (telling or lines or [type(error).__name__])[-1]
