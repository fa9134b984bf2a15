"""Base class of the training tasks: dataset, batches, previews."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from vidrestore.training.data.clip_pairs import ClipsConfig
from vidrestore.training.data.dataset import DatasetConfig, FaceDataset, FaceSample
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.engine.distributed_layers import synchronize_batches
from vidrestore.training.engine.loop import Preview
from vidrestore.training.engine.train_state import TrainState
from vidrestore.training.tasks.batches import BatchConfig, face_batches, to_device
from vidrestore.training.tasks.temporal import TemporalTerm


class FaceTask:
    """A task on batches of faces; a subclass sets ``train_states``."""

    train_states: Mapping[str, TrainState]

    def __init__(
        self,
        data: DatasetConfig,
        batch: BatchConfig,
        *,
        seed: int,
        device: torch.device,
        clips: ClipsConfig | None = None,
    ) -> None:
        """Read the tables of the dataset, and of clips for a temporal loss.

        Raises:
            ConfigError: See ``FaceDataset`` and ``ClipPairs``.
        """
        self._device = device
        self._batch = batch
        self._context = DistributedContext()
        self._dataset = FaceDataset(data, seed=seed)
        self._temporal = (
            None if clips is None else TemporalTerm(clips, data, batch, seed=seed, device=device)
        )

    def batches(
        self, *, first_step: int, context: DistributedContext
    ) -> Iterator[Sequence[FaceSample]]:
        """Yield the micro-batches of every step from ``first_step`` on, on the CPU.

        Also synchronizes the task's networks between the processes of ``context``, and lets pairs
        of frames be read from that step on.
        """
        self._context = context
        for train_state in self.train_states.values():
            synchronize_batches(train_state.network, context)
        if self._temporal is not None:
            self._temporal.start(first_step=first_step, context=context)
        return face_batches(
            self._dataset,
            self._batch,
            first_step=first_step,
            context=context,
            as_bytes=True,
            pin_memory=self._device.type == "cuda",
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the task besides its networks; by default there is none."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what ``state_dict`` returned."""

    def _preview_batch(self, *, count: int, dataset: FaceDataset | None = None) -> FaceSample:
        """Return the first samples of a dataset, by default of the task's."""
        dataset = self._dataset if dataset is None else dataset
        samples = [dataset[index] for index in range(count)]
        batch = FaceSample(*[torch.stack(field) for field in zip(*samples, strict=True)])
        return to_device(batch, self._device)


def make_preview(*columns: Tensor) -> Preview:
    """Return a preview whose rows are samples; columns are ``(N, 3, H, W)`` in [-1, 1]."""
    return Preview(torch.stack(columns, dim=1).flatten(0, 1), len(columns))
