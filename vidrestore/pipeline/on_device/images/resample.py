"""Images of a batch, each warped by its own affine map, as ``vidrestore.warp`` does for one."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.affine import invert_affine
from vidrestore.pipeline.on_device.batching import padded
from vidrestore.pipeline.on_device.transfers import upload
from vidrestore.types import Affine
from vidrestore.warp import WarpPlan, plan_warp


class WarpShape(NamedTuple):
    """What warps must have in common to be in one batch."""

    small_hw: tuple[int, int] | None
    """Padded size to which the source is averaged over areas first; None if it is not."""
    rows_per_row: int
    cubic: bool


class Warp(NamedTuple):
    """The warp of one image of a batch."""

    source_hw: tuple[int, int]
    """Size of the image, which may be padded to a larger one on the device."""
    plan: WarpPlan

    @classmethod
    def planned(
        cls, source_hw: tuple[int, int], source_to_target: Affine, *, sharp: bool = True
    ) -> "Warp":
        """Return the warp of an image by a map, as ``warp_image`` has it."""
        return cls(source_hw, plan_warp(source_hw, source_to_target, sharp=sharp))

    @property
    def shape(self) -> WarpShape:
        """What the batch must have in common."""
        small = self.plan.small_hw
        padded_hw = None if small is None else (padded(small[0]), padded(small[1]))
        return WarpShape(padded_hw, self.plan.rows_per_row, self.plan.cubic)


class Warps:
    """The warps of a batch of F images, uploaded."""

    def __init__(self, warps: Sequence[Warp], device: torch.device) -> None:
        """Upload warps that have the same ``shape``."""
        self.shape = warps[0].shape
        rows = [
            [
                *invert_affine(warp.plan.source_to_rows).ravel(),
                *warp.source_hw,
                *(warp.plan.small_hw or warp.source_hw),
            ]
            for warp in warps
        ]
        numbers = upload(np.array(rows, dtype=np.float32), device)
        self._to_source = numbers[:, :6].reshape(-1, 2, 3)
        self._source_hw, self._small_hw = numbers[:, 6:8], numbers[:, 8:]

    def apply(self, images_fchw: Tensor, target_hw: tuple[int, int]) -> Tensor:
        """Return ``(F, C, *target_hw)``: the images through their maps.

        Args:
            images_fchw: ``(F, C, H, W)`` float32; beyond its own size an image repeats its border,
                or nothing of that is read.
            target_hw: Size of the results.
        """
        small_hw, rows_per_row, cubic = self.shape
        if small_hw is not None:
            images_fchw = self._averaged(images_fchw, small_hw)
        height, width = target_hw
        warped = F.grid_sample(
            images_fchw,
            self._grid((height * rows_per_row, width), images_fchw.shape[2:]),
            mode="bicubic" if cubic else "bilinear",
            padding_mode="border",
            align_corners=False,
        )
        if rows_per_row == 1:
            return warped
        return warped.view(*warped.shape[:2], height, rows_per_row, width).mean(dim=3)

    def _averaged(self, images_fchw: Tensor, small_hw: tuple[int, int]) -> Tensor:
        down, across = (
            area_weights(self._source_hw[:, axis], self._small_hw[:, axis], size, small)
            for axis, (size, small) in enumerate(zip(images_fchw.shape[2:], small_hw, strict=True))
        )
        return down[:, None] @ images_fchw @ across[:, None].mT

    def _grid(self, target_hw: tuple[int, int], source_hw: Sequence[int]) -> Tensor:
        """Return ``(F, h, w, 2)``: where each pixel of the target is in the sources."""
        device = self._to_source.device
        x = torch.arange(target_hw[1], device=device, dtype=torch.float32)[None, None]
        y = torch.arange(target_hw[0], device=device, dtype=torch.float32)[None, :, None]
        places: list[Tensor] = []
        for axis, size in enumerate(reversed(source_hw)):
            across, down, shift = self._to_source[:, axis, :, None, None].unbind(1)
            # grid_sample's coordinates: -1 and 1 are the outer edges of the outermost pixels.
            places.append((2 * (across * x + down * y + shift) + 1) / size - 1)
        return torch.stack(places, dim=-1)


def area_weights(sizes: Tensor, smalls: Tensor, padded_size: int, padded_small: int) -> Tensor:
    """Return ``(F, padded_small, padded_size)``: the share of each cell that each sample covers.

    Args:
        sizes: ``(F,)`` float32 sizes of the images.
        smalls: ``(F,)`` sizes to which they are averaged, not larger.
        padded_size: Size of the images on the device; samples beyond their own do not count.
        padded_small: Size of the results; beyond their own the last cell is repeated.
    """
    cells = torch.arange(padded_small, device=sizes.device, dtype=torch.float32)
    samples = torch.arange(padded_size, device=sizes.device, dtype=torch.float32)
    per_cell = (sizes / smalls)[:, None, None]
    cell = torch.minimum(cells[None], smalls[:, None] - 1)[:, :, None]
    overlap = torch.minimum((cell + 1) * per_cell, samples + 1)
    overlap = overlap - torch.maximum(cell * per_cell, samples)
    beyond = (samples >= sizes[:, None])[:, None]
    return torch.where(beyond, 0.0, overlap.clamp(min=0.0)) / per_cell


def average_areas(images_fchw: Tensor, side: int) -> Tensor:
    """Return ``(F, C, side, side)`` means of square images over equal areas.

    Smaller images are enlarged by repeating samples, which OpenCV's area filter does, too.
    """
    own_side = images_fchw.shape[-1]
    if own_side < side:
        return F.interpolate(images_fchw, (side, side), mode="nearest")
    return F.avg_pool2d(images_fchw, own_side // side)
