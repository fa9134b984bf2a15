"""A network of the model table as a function from crops to restored crops."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.face_parser import FACE_CLASSES, HEAD_CLASSES, class_probability
from vidrestore.models.registry import RestorerSpec
from vidrestore.restore.adaptive_batch import AdaptiveBatchRunner
from vidrestore.restore.crops import RestoredCrops
from vidrestore.types import CROP_SIZE_PX

_REGION_CELLS = 128
"""Cells along a crop's side in which the face's region is stored: finer than its soft border."""


class Restorer:
    """Runs one network in one precision on one device.

    Nothing is drawn at random and nothing is kept but how many crops fit into memory: a crop gives
    the same result whenever it comes. Alone or in a batch the result is the same up to the rounding
    of the device's convolutions.
    """

    def __init__(
        self,
        network: nn.Module,
        spec: RestorerSpec,
        *,
        device: torch.device,
        dtype: torch.dtype,
        detail: float | None = None,
    ) -> None:
        """Take over ``network``, with its weights loaded.

        Args:
            network: Built by ``spec``; its forward returns ``RestorerOutput``.
            spec: What it accepts.
            device: Where it runs.
            dtype: float32, bfloat16 or float16, for weights and features.
            detail: Position of its weights between two ends, 0 (fidelity) to 1 (detail);
                None where there is one. Only reported, never used.
        """
        self.spec = spec
        self.device = device
        self.dtype = dtype
        self.detail = detail
        prepared = network.eval().requires_grad_(False).to(device=device, dtype=dtype)
        self.network = prepared.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self._batches = AdaptiveBatchRunner(self._restored, device=device)

    @property
    def reduced_batch_size(self) -> int | None:
        """Crops that fitted at once after memory ran out; None where it never did."""
        return self._batches.reduced_batch_size

    def restore(self, crops_NCHW: Tensor) -> Tensor:
        """Return the pictures of ``restored`` alone."""
        return self.restored(crops_NCHW).images_nchw

    def restored(self, crops_NCHW: Tensor) -> RestoredCrops:
        """Return restored crops in the size given, clipped to [0, 1], on the device.

        Where memory does not suffice for all of them, they are restored in smaller batches, now
        and later.

        Args:
            crops_NCHW: ``(N, 3, S, S)`` float32 RGB in [0, 1], S the network's crop size or
                ``CROP_SIZE_PX``: such crops are resized for the network and back.

        Raises:
            ValueError: The crops have another shape.
            DeviceError: Memory does not suffice for one crop.
        """
        own = self.spec.crop_size_px
        if tuple(crops_NCHW.shape[1:]) not in {(3, side, side) for side in (own, CROP_SIZE_PX)}:
            sides = " or ".join(f"(N, 3, {s}, {s})" for s in sorted({own, CROP_SIZE_PX}))
            raise ValueError(f"crops must be {sides}, got {tuple(crops_NCHW.shape)}")
        return self._batches.restored(crops_NCHW)

    @torch.inference_mode()
    def _restored(self, crops_NCHW: Tensor) -> RestoredCrops:
        own, given = self.spec.crop_size_px, crops_NCHW.shape[-1]
        fitted = _resized(crops_NCHW.to(self.device), own, enlarged_by="bilinear")
        scaled = (fitted * 2.0 - 1.0).contiguous(memory_format=torch.channels_last)
        output: RestorerOutput = self.network(scaled)
        image = _resized(output.image.float(), given, enlarged_by="bicubic")
        images = (image * 0.5 + 0.5).clamp_(0.0, 1.0)
        if output.parsing is None:
            return RestoredCrops(images_nchw=images)
        return RestoredCrops(
            images_nchw=images,
            face_masks_nhw=_region(output.parsing, FACE_CLASSES),
            head_nhw=_region(output.parsing, HEAD_CLASSES),
        )


def _resized(image_NCHW: Tensor, side_px: int, *, enlarged_by: str) -> Tensor:
    """Return pictures of another size; shrinking takes means over areas."""
    side = image_NCHW.shape[-1]
    if side == side_px:
        return image_NCHW
    mode = enlarged_by if side < side_px else "area"
    return F.interpolate(image_NCHW, (side_px, side_px), mode=mode)


def _region(logits_NCHW: Tensor, classes: Sequence[str]) -> Tensor:
    """Return ``(N, R, R)``: how much of each cell ``classes`` fill."""
    cells = F.adaptive_avg_pool2d(class_probability(logits_NCHW, classes)[:, None], _REGION_CELLS)
    return cells[:, 0].contiguous()
