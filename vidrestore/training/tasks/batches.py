"""Micro-batches of faces for every step of a run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch.utils.data import DataLoader, Dataset

from vidrestore.errors import ConfigError, VidrestoreError
from vidrestore.training.data.dataset import FaceSample
from vidrestore.training.engine.distributed import DistributedContext


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchConfig:
    """Batch size, and how batches are read."""

    size: int
    """Faces per step, over all processes."""
    accumulation_steps: int = field(default=1, metadata={"alias": "accumulate"})
    """Number of micro-batches that a batch is split into; each is computed by all processes."""
    num_workers: int = field(default=1, metadata={"alias": "workers"})

    def __post_init__(self) -> None:
        if self.size < 1 or self.accumulation_steps < 1 or self.num_workers < 0:
            raise ConfigError("size and accumulation_steps must be >= 1 and num_workers >= 0")
        _check_divisible(self.size, self.accumulation_steps)


def face_batches(
    dataset: Dataset[FaceSample],
    config: BatchConfig,
    *,
    first_step: int,
    context: DistributedContext,
) -> Iterator[Sequence[FaceSample]]:
    """Yield the micro-batches of step ``first_step`` and all following steps, endlessly.

    Sample indices depend only on the step and on the position in the batch.

    Raises:
        ConfigError: The batch cannot be split evenly.
    """
    local = context.local_indices(config.size, micro_batches=config.accumulation_steps)

    def indices() -> Iterator[list[int]]:
        step = first_step
        while True:
            yield [step * config.size + index for index in local]
            step += 1

    loader = DataLoader(
        dataset,
        batch_sampler=indices(),  # pyright: ignore[reportArgumentType]  (endless, so unsized)
        num_workers=config.num_workers,
        prefetch_factor=2 if config.num_workers else None,
    )
    batches = iter(loader)
    while True:
        try:
            batch = next(batches)
        except VidrestoreError as error:
            raise _without_traceback(error) from error
        chunks = [torch.chunk(tensor, config.accumulation_steps) for tensor in batch]
        yield [FaceSample(*fields) for fields in zip(*chunks, strict=True)]


def _check_divisible(size: int, accumulation_steps: int) -> None:
    if size % accumulation_steps:
        raise ConfigError(
            f"batch size {size} is not divisible by accumulation_steps, {accumulation_steps}"
        )


def _without_traceback(error: VidrestoreError) -> VidrestoreError:
    """Return a loader worker's error without the traceback that PyTorch adds to its message."""
    kind = type(error)
    message = str(error).rpartition(f"{kind.__name__}: ")[2].strip()
    return kind(message) if "Original Traceback" in str(error) else error


def to_device(sample: FaceSample, device: torch.device) -> FaceSample:
    """Return a batch on a device, its images in channels-last memory format."""
    return FaceSample(
        *(
            field.to(device, memory_format=torch.channels_last)
            if field.ndim == 4
            else field.to(device)
            for field in sample
        )
    )
