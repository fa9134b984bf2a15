"""Crops rotated squares to one size, antialiased, on any device."""

from collections.abc import Sequence
from math import ceil, log2
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

# Shape letters in this file: N squares, B images, S side of a crop.

_SMALLEST_LEVEL_PX = 8


class Squares(NamedTuple):
    """Rotated squares in edge coordinates: the first sample covers 0 to 1 on both axes."""

    image_index: Tensor
    """``(N,)`` int64: position of the image in the batch."""
    center_xy: Tensor
    """``(N, 2)`` float32."""
    side: Tensor
    """``(N,)`` float32, in pixels."""
    roll: Tensor
    """``(N,)`` float32: clockwise rotation in radians; the crop shows the square upright."""

    def select(self, index: Tensor) -> "Squares":
        """Return the squares that ``index`` (a mask or positions) picks."""
        return Squares(*(column[index] for column in self))

    def to_image(self, unit_xy: Tensor) -> Tensor:
        """Map ``(N, K, 2)`` points in units of the squares to edge coordinates."""
        offset = (unit_xy - 0.5) * self.side[:, None, None]
        cos, sin = self.roll.cos()[:, None], self.roll.sin()[:, None]
        rotated_x = cos * offset[..., 0] - sin * offset[..., 1]
        rotated_y = sin * offset[..., 0] + cos * offset[..., 1]
        return torch.stack([rotated_x, rotated_y], dim=-1) + self.center_xy[:, None]


def mip_levels(images: Tensor, *, depth: int = 16) -> list[Tensor]:
    """Return ``(B, 3, H, W)`` floats and up to ``depth`` halvings, down to about 8 pixels.

    All levels cover the same area.
    """
    levels = [images]
    while len(levels) <= depth and min(levels[-1].shape[2:]) >= 2 * _SMALLEST_LEVEL_PX:
        height, width = levels[-1].shape[2:]
        levels.append(_halve(levels[-1], (height // 2, width // 2)))
    return levels


def crop_squares(
    levels: Sequence[Tensor], squares: Squares, crop_px: int, *, taps: Literal[1, 2] = 2
) -> Tensor:
    """Resample every square to ``(3, crop_px, crop_px)``.

    A square is read from the mip level at which its samples are about a pixel apart, so that
    shrinking averages over areas. Outside the image is 0.

    Args:
        levels: From ``mip_levels``.
        squares: N squares.
        crop_px: S.
        taps: Samples per pixel of a crop and axis: 1 is faster, 2 is closer to the mean over areas.

    Returns:
        ``(N, 3, S, S)`` with the dtype of the levels, in channels_last.
    """
    level = (squares.side / (crop_px * taps)).log2().round().clamp(0, len(levels) - 1).long()
    group = squares.image_index * len(levels) + level
    count, size_hw = squares.side.shape[0], levels[0].shape[2:]
    groups = distinct_values(group)
    if len(groups) == 1:
        # One face, or some of about the same size: nothing has to be sorted.
        index, depth = divmod(groups[0], len(levels))
        source = levels[depth][index : index + 1]
        theta = _grid_maps(squares, size_hw[1], size_hw[0]).to(source.dtype)
        crops = _crop_from(source, theta, crop_px, taps)
        return crops.contiguous(memory_format=torch.channels_last)
    crops = levels[0].new_zeros((count, 3, crop_px, crop_px))
    crops = crops.contiguous(memory_format=torch.channels_last)
    for value in groups:
        index, depth = divmod(value, len(levels))
        source = levels[depth][index : index + 1]
        chosen = (group == value).nonzero()[:, 0]
        theta = _grid_maps(squares.select(chosen), size_hw[1], size_hw[0]).to(source.dtype)
        crops[chosen] = _crop_from(source, theta, crop_px, taps)
    return crops


def mip_depth(largest_side: float, crop_px: int) -> int:
    """Return how many halvings squares up to ``largest_side`` px need at 2 taps."""
    return max(0, ceil(log2(max(1.0, largest_side / (2 * crop_px)))))


def distinct_values(integers: Tensor) -> list[int]:
    """Return the values of an integer tensor, each once, in order."""
    values: NDArray[np.int64] = integers.cpu().numpy()
    return sorted(set(map(int, values)))


def _grid_maps(squares: Squares, width: int, height: int) -> Tensor:
    """Return ``(N, 2, 3)`` maps from a crop to the image, both running from -1 to 1."""
    x, y = squares.center_xy.unbind(dim=1)
    cos, sin = squares.side * squares.roll.cos(), squares.side * squares.roll.sin()
    rows = [cos / width, -sin / width, 2 * x / width - 1]
    rows += [sin / height, cos / height, 2 * y / height - 1]
    return torch.stack(rows, dim=1).view(-1, 2, 3)


def _crop_from(source: Tensor, theta: Tensor, crop_px: int, taps: Literal[1, 2]) -> Tensor:
    """Crop N squares from a ``(1, 3, H, W)`` image, as one tall grid."""
    count, fine_px = theta.shape[0], crop_px * taps
    grid = affine_grid(theta, [count, 3, fine_px, fine_px], align_corners=False)
    tall = grid.view(1, count * fine_px, fine_px, 2)
    fine: Tensor = grid_sample(source, tall, padding_mode="zeros", align_corners=False)
    if taps == 2:
        fine = _halve(fine, (count * crop_px, crop_px))
    crops: Tensor = fine[0].reshape(3, count, crop_px, crop_px)
    return crops.transpose(0, 1)


def _halve(images: Tensor, half_hw: tuple[int, int]) -> Tensor:
    """Average 2 x 2 samples; bilinear resizing does that faster than pooling."""
    return interpolate(images, half_hw, mode="bilinear")
