"""The temporal loss in a task: it reads pairs of frames, beside the faces of the task."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.training.data.clip_pairs import ClipPairs, ClipsConfig, FramePair
from vidrestore.training.data.dataset import DatasetConfig
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.losses.temporal import temporal_loss
from vidrestore.training.tasks.batches import BatchConfig, sample_batches


class TemporalTerm:
    """Reads the pairs of every step, and measures a restorer on them.

    Args:
        config: The clips.
        data: Size, recipes and colors of the task's faces, which are the pairs' too.
        batch: Of the task: pairs are split into as many micro-batches.
        seed: Of all draws.
        device: The task's device.
    """

    def __init__(
        self,
        config: ClipsConfig,
        data: DatasetConfig,
        batch: BatchConfig,
        *,
        seed: int,
        device: torch.device,
    ) -> None:
        self._config, self._device = config, device
        self._batch = replace(batch, size=config.pairs, num_workers=config.num_workers)
        self._pairs = ClipPairs(config, data, seed=seed)
        self._batches: Iterator[Sequence[FramePair]] = iter(())

    def start(self, *, first_step: int, context: DistributedContext) -> None:
        """Read pairs for ``first_step`` and all following steps.

        Raises:
            ConfigError: The pairs cannot be split evenly.
        """
        self._batches = sample_batches(
            self._pairs,
            self._batch,
            first_step=first_step,
            context=context,
            pin_memory=self._device.type == "cuda",
        )

    def next_step(self) -> list[FramePair]:
        """Return the micro-batches of the next step, on the device."""
        return [
            FramePair(*(field.to(self._device, non_blocking=True) for field in pair))
            for pair in next(self._batches)
        ]

    def loss(self, restore: Callable[[Tensor], Tensor], pair: FramePair) -> Tensor:
        """Return the temporal loss of a micro-batch.

        Args:
            restore: Restores first and second frames, one after the other, ``(2 N, 3, S, S)`` in
                [-1, 1]; the result may be smaller.
            pair: The pairs.
        """
        first, second = restore(_in_a_row(pair.degraded)).chunk(2)
        flow, weight = pair.flow, pair.weight
        side, drawn = flow.shape[1], first.shape[-1]
        target = _in_a_row(pair.target)
        if drawn != side:
            target, weight = (F.adaptive_avg_pool2d(each, drawn) for each in (target, weight))
            small = F.adaptive_avg_pool2d(flow.permute(0, 3, 1, 2), drawn) * (drawn / side)
            flow = small.permute(0, 2, 3, 1)
        if self._config.subtracts_target:
            true_first, true_second = target.chunk(2)
            first, second = first - true_first, second - true_second
        return temporal_loss(first, second, flow, weight)


def crop_pair(pair: FramePair, *, y: int, x: int, side: int) -> FramePair:
    """Return a window of every frame; motion that leaves it is not trusted by the loss."""
    rows, columns = slice(y, y + side), slice(x, x + side)
    return FramePair(
        degraded=pair.degraded[..., rows, columns],
        target=pair.target[..., rows, columns],
        flow=pair.flow[:, rows, columns],
        weight=pair.weight[:, rows, columns],
    )


def _in_a_row(frames_N23SS: Tensor) -> Tensor:
    """Return all first frames, then all second ones."""
    return frames_N23SS.transpose(0, 1).flatten(0, 1).contiguous()
