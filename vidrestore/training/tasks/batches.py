"""Micro-batches of whole faces for every step of a run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader, Dataset

from vidrestore.errors import ConfigError, VidrestoreError
from vidrestore.training.data.dataset import FaceSample
from vidrestore.training.engine.distributed import DistributedContext


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchConfig:
    """How many faces a step sees, and how they are read."""

    size: int
    """Of a step, over all processes."""
    accumulate: int = 1
    """Micro-batches that a process makes of its share, one after another."""
    workers: int = 1

    def __post_init__(self) -> None:
        if self.size < 1 or self.accumulate < 1 or self.workers < 0:
            raise ConfigError("size and accumulate must be >= 1 and workers >= 0")
        if self.size % self.accumulate:
            raise ConfigError(f"a batch of {self.size} makes no {self.accumulate} equal parts")


def face_batches(
    dataset: Dataset[FaceSample], config: BatchConfig, *, first_step: int, world: DistributedContext
) -> Iterator[Sequence[FaceSample]]:
    """Yield the micro-batches of steps ``first_step``, ``first_step + 1``, ... without end.

    Sample numbers are a function of step and process alone.

    Raises:
        ConfigError: The batch cannot be dealt out evenly.
    """
    own = world.share(config.size)
    if len(own) % config.accumulate:
        raise ConfigError(f"{len(own)} faces a process make no {config.accumulate} equal parts")

    def numbers() -> Iterator[list[int]]:
        step = first_step
        while True:
            yield [step * config.size + at for at in own]
            step += 1

    loader = DataLoader(
        dataset,
        batch_sampler=numbers(),  # pyright: ignore[reportArgumentType]  (endless, so unsized)
        num_workers=config.workers,
        prefetch_factor=2 if config.workers else None,
    )
    batches = iter(loader)
    while True:
        try:
            batch = next(batches)
        except VidrestoreError as error:
            raise _as_raised(error) from error
        parts = [torch.chunk(each, config.accumulate) for each in batch]
        yield [FaceSample(*fields) for fields in zip(*parts, strict=True)]


def _as_raised(error: VidrestoreError) -> VidrestoreError:
    """Return an error as a reading process raised it: PyTorch puts its traceback in the message."""
    kind = type(error)
    told = str(error).rpartition(f"{kind.__name__}: ")[2].strip()
    return kind(told) if "Original Traceback" in str(error) else error


def moved(sample: FaceSample, device: torch.device) -> FaceSample:
    """Return a batch on a device, its pictures laid out for fast convolution."""
    fields = [
        each.to(device, memory_format=torch.channels_last) if each.ndim == 4 else each.to(device)
        for each in sample
    ]
    return FaceSample(*fields)
