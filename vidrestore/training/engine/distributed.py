"""The processes of a run, started by torchrun; each trains on a slice of every batch.

Gradients are averaged after the backward pass, bucket by bucket. ``DistributedDataParallel`` does
not support the regularizers, which differentiate twice and call submodules. A config gives the same
run on any number of processes, up to the order of sums: samples and draws depend on the position in
the batch, and statistics of batches are those of all processes (``distributed_layers``).
"""

import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn

from vidrestore.errors import ConfigError

_BUCKET_ELEMENTS = 8 << 20


class _SumOverProcesses(torch.autograd.Function):
    """A sum over all processes, whose gradient is summed over them, too, any number of times."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.contiguous().clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        return _SumOverProcesses.apply(*grad_outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributedContext:
    """Rank of this process, and the number of processes."""

    rank: int = 0
    size: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.size:
            raise ValueError(f"rank {self.rank} is not below the process count {self.size}")

    @property
    def is_main(self) -> bool:
        """Whether this process logs, saves and validates."""
        return self.rank == 0

    def local_indices(self, count: int, *, micro_batches: int = 1) -> list[int]:
        """Return this process's indices into a batch of ``count`` samples.

        The processes divide every micro-batch among them, so that each holds the same samples on
        any number of processes.

        Raises:
            ConfigError: ``count`` is not divisible by the process count and ``micro_batches``.
        """
        if count % (self.size * micro_batches):
            raise ConfigError(
                f"batch size {count} is not divisible by the process count, {self.size}"
                + (f", times {micro_batches} micro-batches" if micro_batches > 1 else "")
            )
        whole = count // micro_batches
        local = whole // self.size
        return [
            first + self.rank * local + index
            for first in range(0, count, whole)
            for index in range(local)
        ]

    def own_part(self, draws: Tensor, *, dim: int = 0) -> Tensor:
        """Return this process's part of what was drawn for a micro-batch of all processes."""
        return draws.chunk(self.size, dim=dim)[self.rank]

    def sum_with_gradient(self, value: Tensor) -> Tensor:
        """Return the sum over all processes; gradients of all of them flow back."""
        return value if self.size == 1 else _SumOverProcesses.apply(value)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Average gradients over all processes; a missing one counts as zero."""
        if self.size == 1:
            return
        for bucket in _buckets(parameters):
            flat = torch.cat([_gradient(parameter).flatten() for parameter in bucket])
            distributed.all_reduce(flat)
            flat /= self.size
            gradients = torch.split(flat, [parameter.numel() for parameter in bucket])
            for parameter, gradient in zip(bucket, gradients, strict=True):
                parameter.grad = gradient.view(parameter.shape).to(parameter.dtype)

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean of a scalar over all processes."""
        if self.size == 1:
            return value
        total = value.detach().clone()
        distributed.all_reduce(total)
        return total / self.size

    def wait(self) -> None:
        """Wait until every process has called this."""
        if self.size > 1:
            distributed.barrier()


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def _buckets(parameters: Iterable[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    bucket: list[nn.Parameter] = []
    for parameter in parameters:
        bucket.append(parameter)
        if sum(member.numel() for member in bucket) >= _BUCKET_ELEMENTS:
            yield bucket
            bucket = []
    if bucket:
        yield bucket


@contextmanager
def init_distributed(device: torch.device) -> Generator[DistributedContext]:
    """Join torchrun's process group until the block ends; alone if torchrun did not start this."""
    if "WORLD_SIZE" not in os.environ or int(os.environ["WORLD_SIZE"]) == 1:
        yield DistributedContext()
        return
    is_cuda = device.type == "cuda"
    distributed.init_process_group(
        "nccl" if is_cuda else "gloo", device_id=device if is_cuda else None
    )
    try:
        yield DistributedContext(rank=distributed.get_rank(), size=distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
