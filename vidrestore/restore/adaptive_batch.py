"""Batches that fit into memory: halved when memory runs out."""

from collections.abc import Callable

import torch
from torch import Tensor

from vidrestore.devices import out_of_memory
from vidrestore.errors import DeviceError
from vidrestore.types import RestoredCrops


class AdaptiveBatchRunner:
    """Runs a network on as many crops at once as memory allows.

    A batch that does not fit is halved until it does. Later batches are split to that size. The
    last part is padded to it, because convolutions of another batch size may round differently and
    the result of a crop must not depend on where a batch was split.
    """

    def __init__(self, run: Callable[[Tensor], RestoredCrops], *, device: torch.device) -> None:
        """Create a runner of one network.

        Args:
            run: Takes ``(N, 3, S, S)`` and keeps no state.
            device: Where it runs.
        """
        self._run = run
        self._device = device
        self.reduced_batch_size: int | None = None
        """Number of crops that fitted after memory ran out; None if it never did."""

    def run(self, crops_NCHW: Tensor) -> RestoredCrops:
        """Return the result of ``run`` for ``(N, 3, S, S)``.

        Raises:
            DeviceError: Out of memory with one crop.
        """
        while True:
            restored = self._try_batch(crops_NCHW)
            if restored is not None:
                return restored
            # Only here, because the error kept the tensors of the attempt alive.
            if self._device.type == "cuda":
                torch.cuda.empty_cache()
            size = min(len(crops_NCHW), self.reduced_batch_size or len(crops_NCHW))
            if size == 1:
                raise DeviceError(
                    f"out of memory on {self._device} with one face per batch; free memory, "
                    "or choose another --device, --precision or --model"
                )
            self.reduced_batch_size = size // 2

    def _try_batch(self, crops_NCHW: Tensor) -> RestoredCrops | None:
        """Return the result; None if memory ran out."""
        try:
            return self._run_in_parts(crops_NCHW)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            return None

    def _run_in_parts(self, crops_NCHW: Tensor) -> RestoredCrops:
        size = self.reduced_batch_size
        if size is None or len(crops_NCHW) <= size:
            return self._run(crops_NCHW)
        starts = range(0, len(crops_NCHW), size)
        parts = [self._run_padded(crops_NCHW[start : start + size], size) for start in starts]
        face_masks = [part.face_masks_nhw for part in parts if part.face_masks_nhw is not None]
        head_masks = [part.head_masks_nhw for part in parts if part.head_masks_nhw is not None]
        return RestoredCrops(
            images_nchw=torch.cat([part.images_nchw for part in parts]),
            face_masks_nhw=torch.cat(face_masks) if face_masks else None,
            head_masks_nhw=torch.cat(head_masks) if head_masks else None,
        )

    def _run_padded(self, part_NCHW: Tensor, size: int) -> RestoredCrops:
        count = len(part_NCHW)
        padding = part_NCHW[-1:].expand(size - count, -1, -1, -1)
        padded = torch.cat([part_NCHW, padding]) if count < size else part_NCHW
        return self._run(padded).first(count)
