"""What a training run costs, measured on a few steps of which nothing is kept."""

import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.engine.run import RunConfig, own_device
from vidrestore.training.engine.run_state import RunState

_TIMED_STEPS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """Costs of a run."""

    parameters: dict[str, tuple[int, int]]
    """Network -> its parameters, and those that are trained."""
    step_flops: int
    """Of convolutions and matrix products in a step with all its terms, forward and backward; terms
    that are computed every few steps are among them."""
    peak_bytes: int
    """Of the GPU's memory, or of the process on a CPU."""
    batch_seconds: float
    """Waiting for a batch, after the first one."""
    step_seconds: float
    """Of a step without the terms that are computed every few steps, and without the wait."""
    steps: int

    def lines(self) -> Iterator[str]:
        """Yield the costs as text."""
        for name, (count, trained) in self.parameters.items():
            yield f"{name}: {count / 1e6:.2f} million parameters, {trained / 1e6:.2f} trained"
        yield f"step: {self.step_flops / 1e9:.1f} GFLOP with all terms, {self.step_seconds:.3f} s"
        yield f"batch: {self.batch_seconds:.3f} s more to wait for"
        yield f"memory: {self.peak_bytes / 2**20:.0f} MiB at most"
        hours = self.steps * (self.step_seconds + self.batch_seconds) / 3600
        yield f"{self.steps} steps: {hours:.1f} h"


class _FlopCounter(TorchDispatchMode):
    """Counts operations by torch's formulas.

    ``FlopCounterMode`` follows modules by hooks, which fail where a penalty differentiates twice.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count it."""
        del types
        options: dict[str, Any] = kwargs or {}
        result = func(*args, **options)
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            self.total += count(*args, **options, out_val=result)
        return result


def dry_run(config: RunConfig, *, device: str = "auto") -> DryRun:
    """Train four steps of ``config`` on one device; nothing is read from a run or written.

    Args:
        config: The run's settings.
        device: See ``resolve_device``.

    Raises:
        VidrestoreError: A file or a setting is invalid, or a loss is not finite.
    """
    torch_device = own_device(device)
    torch.manual_seed(config.seed)
    task = config.build_task(device=torch_device)
    optimizer_step = config.optimizer_step(torch_device)
    batches = task.batches(first_step=0, context=DistributedContext())
    is_cuda = torch_device.type == "cuda"

    def step(number: int) -> tuple[float, float]:
        """Train one step; return the seconds of the wait and of the step."""
        state = RunState(step=number, steps=config.steps, seed=config.seed, device=torch_device)
        began = time.perf_counter()
        batch = next(batches)
        read = time.perf_counter()
        task.step(batch, state, optimizer_step)
        if is_cuda:
            torch.cuda.synchronize(torch_device)
        return read - began, time.perf_counter() - read

    with _FlopCounter() as counter:
        step(0)
    optimizer_step.check(1)
    config.compile(task)
    if config.compile_backend is not None:
        step(1)
    first = 2 if config.compile_backend is not None else 1
    waits, seconds = zip(*(step(first + index) for index in range(_TIMED_STEPS)), strict=True)
    peak = (
        torch.cuda.max_memory_allocated(torch_device)
        if is_cuda
        else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    )
    return DryRun(
        parameters={
            name: (
                sum(parameter.numel() for parameter in state.network.parameters()),
                sum(parameter.numel() for _, parameter in state.trained_parameters()),
            )
            for name, state in task.train_states.items()
        },
        step_flops=counter.total,
        peak_bytes=peak,
        batch_seconds=median(waits),
        step_seconds=median(seconds),
        steps=config.steps,
    )
