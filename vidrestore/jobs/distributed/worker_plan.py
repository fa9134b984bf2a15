"""How the resources of a cluster are divided among workers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vidrestore.errors import DeviceError

_CORES_PER_WORKER = 2
"""Cores of a worker without a GPU. More cores are used poorly when it restores one face at a
time."""
_MAX_CORES_BESIDE_GPU = 8
_MAX_WORKERS_PER_GPU = 8
_BYTES_PER_WORKER = 2 << 30
"""Approximate memory of a worker; if memory is short, fewer workers are started."""
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
