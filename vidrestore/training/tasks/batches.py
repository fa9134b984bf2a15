"""Micro-batches of faces for every step of a run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vidrestore.errors import ConfigError, VidrestoreError
from vidrestore.training.data.dataset import FaceSample
from vidrestore.training.engine.distributed import DistributedContext

S = TypeVar("S")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchConfig:
    """Batch size, and how batches are read."""

    size: int
    """Faces per step, over all processes."""
    accumulation_steps: int = field(default=1, metadata={"alias": "accumulate"})
    """Number of micro-batches that a batch is split into; each is computed by all processes."""
    num_workers: int = field(default=1, metadata={"alias": "workers"})
    """Processes that read and degrade faces, each on one thread; 0 does it between the steps."""
    prefetch_batches: int = 2
    """Batches that each of them prepares ahead of the steps."""

    def __post_init__(self) -> None:
        if min(self.size, self.accumulation_steps, self.prefetch_batches) < 1:
            raise ConfigError("size, accumulation_steps and prefetch_batches must be >= 1")
        if self.num_workers < 0:
            raise ConfigError(f"num_workers must be >= 0, got {self.num_workers}")
        _check_divisible(self.size, self.accumulation_steps)


def face_batches(
    dataset: Dataset[FaceSample],
    config: BatchConfig,
    *,
    first_step: int,
    context: DistributedContext,
    as_bytes: bool = False,
    pin_memory: bool = False,
) -> Iterator[Sequence[FaceSample]]:
    """Yield the micro-batches of faces, as ``sample_batches`` does.

    Args:
        dataset: The samples.
        config: Batch size, and how batches are read.
        first_step: Of the run.
        context: The processes of the run.
        as_bytes: Whether images and labels come as uint8, a quarter of the memory and of the
            transfers; ``to_device`` converts them. Targets are rounded to 8-bit levels.
        pin_memory: Whether batches are in memory that a GPU copies from while it computes.

    Raises:
        ConfigError: The batch cannot be split evenly.
    """
    samples = _ByteSamples(dataset) if as_bytes else dataset
    return sample_batches(
        samples, config, first_step=first_step, context=context, pin_memory=pin_memory
    )


def sample_batches(
    dataset: Dataset[S],
    config: BatchConfig,
    *,
    first_step: int,
    context: DistributedContext,
    pin_memory: bool = False,
) -> Iterator[Sequence[S]]:
    """Yield the micro-batches of step ``first_step`` and all following steps, endlessly.

    Sample indices depend only on the step and on the position in the batch.

    Args:
        dataset: Samples, named tuples of tensors.
        config: Batch size, and how batches are read.
        first_step: Of the run.
        context: The processes of the run.
        pin_memory: Whether batches are in memory that a GPU copies from while it computes.

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
        prefetch_factor=config.prefetch_batches if config.num_workers else None,
        worker_init_fn=_use_one_thread,
        pin_memory=pin_memory,
    )
    batches = iter(loader)
    while True:
        try:
            batch = next(batches)
        except VidrestoreError as error:
            raise _without_traceback(error) from error
        chunks = [torch.chunk(tensor, config.accumulation_steps) for tensor in batch]
        yield [type(batch)(*fields) for fields in zip(*chunks, strict=True)]


class _ByteSamples(Dataset[FaceSample]):
    """Samples whose images and labels are uint8."""

    def __init__(self, samples: Dataset[FaceSample]) -> None:
        self._samples = samples

    def __getitem__(self, index: int) -> FaceSample:
        sample = self._samples[index]
        return sample._replace(
            degraded=_to_bytes(sample.degraded),
            target=_to_bytes(sample.target),
            labels=sample.labels.to(torch.uint8),
        )


def _to_bytes(image: Tensor) -> Tensor:
    """Return [-1, 1] as levels."""
    return ((image + 1) * 127.5).round_().clamp_(0, 255).to(torch.uint8)


def _use_one_thread(_worker: int) -> None:
    """Let a worker compute on one thread: OpenCV would start one for every core in each."""
    cv2.setNumThreads(0)  # none beside its own; 1 would wait for threads that a fork does not have


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
    """Return a batch on a device, its images in channels-last memory format.

    Bytes become float32 RGB in [-1, 1] and int64 labels there.
    """
    moved = FaceSample(*(field.to(device, non_blocking=True) for field in sample))
    return moved._replace(
        degraded=_to_float(moved.degraded),
        target=_to_float(moved.target),
        labels=moved.labels.long(),
    )


def _to_float(image_NCHW: Tensor) -> Tensor:
    if image_NCHW.dtype is torch.uint8:
        # As the data set scales its levels, to the last bit.
        image_NCHW = (image_NCHW.float() / 255).mul_(2.0).sub_(1.0)
    return image_NCHW.contiguous(memory_format=torch.channels_last)
