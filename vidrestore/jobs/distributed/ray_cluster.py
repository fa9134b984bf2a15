"""Workers as Ray actors: on a running cluster, or on this whole machine.

The only module that uses Ray. https://docs.ray.io
"""

import logging
import os
import signal
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

from vidrestore.errors import ConfigError, DeviceError, WorkerError
from vidrestore.jobs.distributed.crew import Crew, Hand, LostError
from vidrestore.jobs.distributed.orders import Answer, Order
from vidrestore.jobs.distributed.worker import Worker

_CORES_EACH = 2
"""Cores of a worker without a GPU. More cores are used poorly when it restores one face at a
time."""
_MOST_CORES_BESIDE_GPU = 8
_BYTES_EACH = 2 << 30
"""Approximate memory of a worker; if memory is short, fewer workers are started."""
_STORE_BYTES = 128 << 20
"""Size of Ray's object store. Messages are small; by default Ray takes a third of the memory."""
_OF_A_CLUSTER = {"RAY_worker_niceness": "0"}
"""Environment for starting a cluster: by default its workers have the lowest priority."""
_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Environment of workers: OpenMP reads it when torch is loaded."""


@contextmanager
def open_ray_crew(device: str, *, workers: int | None) -> Generator[Crew]:
    """Open a crew of Ray actors.

    They run on the cluster that this process is connected to, or else on the one at
    ``RAY_ADDRESS``. Without either, a cluster is started on this machine and ended with the block.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.
        workers: Most workers to start; None means as many as fit.

    Raises:
        ConfigError: Ray is not installed.
        DeviceError: A GPU is requested and there is none, or a GPU is requested by number.
        WorkerError: The cluster cannot be reached or started.
    """
    ray = _imported()
    if device.startswith("cuda:"):
        raise DeviceError(f"device {device!r}: Ray chooses the GPU itself; use --device cuda")
    ours = not ray.is_initialized()
    if ours:
        _connect(ray)
    try:
        with _quiet(ray):
            yield RayCrew(ray, device, workers)
    finally:
        if ours:
            ray.shutdown()


def _imported() -> Any:
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
        with _environment(_OF_A_CLUSTER):
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


class RayCrew:
    """Starts Ray actors."""

    def __init__(self, ray: Any, device: str, workers: int | None) -> None:
        """Count the resources of the cluster.

        Raises:
            DeviceError: A GPU is requested and there is none.
        """
        self._ray = ray
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        cores = [int(node.get("CPU", 0)) for node in nodes]
        gpus = sum(int(node.get("GPU", 0)) for node in nodes)
        if device == "cuda" and not gpus:
            raise DeviceError(
                "device 'cuda' is not available: the Ray cluster has no GPU; use --device cpu"
            )
        self._gpus = 1 if gpus and device != "cpu" else 0
        if self._gpus:
            self.size = min(workers or gpus, gpus)
            beside = min(_MOST_CORES_BESIDE_GPU, sum(cores) // gpus)
            self.threads = max(1, min([beside, *(each for each in cores if each)]))
            return
        most = sum(int(node.get("memory", 0)) // _BYTES_EACH for node in nodes)
        smallest = min((each for each in cores if each), default=1)
        each = _CORES_EACH if workers is None else max(1, sum(cores) // workers)
        self.threads = min(each, smallest)
        fitting = sum(node // self.threads for node in cores)
        self.size = max(1, min(workers or fitting, fitting, most))

    def hire(self) -> Hand:
        """Start an actor, which may have to wait for resources."""
        actor = (
            self._ray.remote(Worker)
            .options(
                num_cpus=self.threads,
                num_gpus=self._gpus,
                max_restarts=0,
                max_task_retries=0,
                runtime_env={"env_vars": _ENVIRONMENT},
            )
            .remote()
        )
        return RayHand(self._ray, actor)

    def first_to_answer(self, hands: Sequence[Hand], seconds: float) -> Hand | None:
        """Return a worker that has answered; None if none has within ``seconds``."""
        asked = {hand.reply: hand for hand in hands if isinstance(hand, RayHand)}
        ready, _ = self._ray.wait(list(asked), num_returns=1, timeout=seconds)
        return asked[ready[0]] if ready else None


class RayHand:
    """A Ray actor."""

    def __init__(self, ray: Any, actor: Any) -> None:
        self.reply: Any = None
        """Object reference of the latest answer."""
        self._ray = ray
        self._actor = actor

    def begin(self, order: Order) -> None:
        """Send an order."""
        self.reply = self._actor.begin.remote(order)

    def go_on(self) -> None:
        """Ask for the next answer."""
        self.reply = self._actor.go_on.remote()

    def answer(self) -> Answer:
        """Return the answer.

        Raises:
            LostError: The actor has died.
        """
        try:
            return self._ray.get(self.reply)
        except self._ray.exceptions.RayError as error:
            raise LostError(_line_of(error)) from error

    def dismiss(self) -> None:
        """End the actor's process."""
        self._ray.kill(self._actor)


def _line_of(error: Exception) -> str:
    """Return the line of a Ray error that says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "exit type" in line or "Error:" in line]
    return (telling or lines or [type(error).__name__])[-1]
