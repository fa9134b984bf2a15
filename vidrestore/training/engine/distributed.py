"""One process or many: torchrun's processes, each with a share of every batch.

Gradients are averaged after the backward pass, bucket by bucket, instead of by a wrapper around the
network: the regularisers differentiate twice and call parts of networks, which
``DistributedDataParallel`` does not follow. The same config gives the same run on any number of
processes, up to the order of sums.
"""

import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from vidrestore.errors import ConfigError

_BUCKET_ELEMENTS = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributedContext:
    """This process among those of a run."""

    rank: int = 0
    size: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.size:
            raise ValueError(f"rank {self.rank} of {self.size}")

    @property
    def is_first(self) -> bool:
        """Whether this process logs, saves and validates."""
        return self.rank == 0

    def share(self, count: int) -> range:
        """Return which of ``count`` samples of a batch are this process's.

        Raises:
            ConfigError: They cannot be dealt out evenly.
        """
        if count % self.size:
            raise ConfigError(f"a batch of {count} cannot be split among {self.size} processes")
        own = count // self.size
        return range(self.rank * own, (self.rank + 1) * own)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Make gradients the mean over all processes; where one has none, it counts as zero."""
        if self.size == 1:
            return
        for bucket in _buckets(parameters):
            flat = torch.cat([_grad_of(each).flatten() for each in bucket])
            distributed.all_reduce(flat)
            flat /= self.size
            first = 0
            for parameter in bucket:
                own = flat[first : first + parameter.numel()]
                first += parameter.numel()
                parameter.grad = own.view(parameter.shape).to(parameter.dtype)

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean of a scalar over all processes."""
        if self.size == 1:
            return value
        total = value.detach().clone()
        distributed.all_reduce(total)
        return total / self.size

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            distributed.barrier()


def _grad_of(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def _buckets(parameters: Iterable[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    bucket: list[nn.Parameter] = []
    for parameter in parameters:
        bucket.append(parameter)
        if sum(each.numel() for each in bucket) >= _BUCKET_ELEMENTS:
            yield bucket
            bucket = []
    if bucket:
        yield bucket


@contextmanager
def init_distributed(device: torch.device) -> Generator[DistributedContext]:
    """Join the processes that torchrun started, if it did, until the block ends."""
    if "WORLD_SIZE" not in os.environ or int(os.environ["WORLD_SIZE"]) == 1:
        yield DistributedContext()
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield DistributedContext(rank=distributed.get_rank(), size=distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
