"""Cuts turned squares out of pictures at one size, area-correct, on any device."""

from collections.abc import Sequence
from math import ceil, log2
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

# Shape letters in this file: N squares, B pictures, S side of a crop.

_SMALLEST_LEVEL_PX = 8


class Squares(NamedTuple):
    """Turned squares in edge coordinates: the first sample covers 0 to 1 on both axes."""

    picture: Tensor
    """``(N,)`` int64: which picture of the batch."""
    centre_xy: Tensor
    """``(N, 2)`` float32."""
    side: Tensor
    """``(N,)`` float32, in pixels."""
    roll: Tensor
    """``(N,)`` float32: clockwise turn in radians; the crop shows the square upright."""

    def select(self, index: Tensor) -> "Squares":
        """Return the squares that ``index`` (a mask or positions) picks."""
        return Squares(*(column[index] for column in self))

    def to_picture(self, unit_xy: Tensor) -> Tensor:
        """Map ``(N, K, 2)`` points in units of the squares to edge coordinates."""
        offset = (unit_xy - 0.5) * self.side[:, None, None]
        cos, sin = self.roll.cos()[:, None], self.roll.sin()[:, None]
        turned_x = cos * offset[..., 0] - sin * offset[..., 1]
        turned_y = sin * offset[..., 0] + cos * offset[..., 1]
        return torch.stack([turned_x, turned_y], dim=-1) + self.centre_xy[:, None]


def mip_levels(pictures: Tensor, *, depth: int = 16) -> list[Tensor]:
    """Return ``(B, 3, H, W)`` floats and up to ``depth`` halvings, down to about 8 pixels.

    All levels cover the same area.
    """
    levels = [pictures]
    while len(levels) <= depth and min(levels[-1].shape[2:]) >= 2 * _SMALLEST_LEVEL_PX:
        height, width = levels[-1].shape[2:]
        levels.append(_halved(levels[-1], (height // 2, width // 2)))
    return levels


def cut_squares(
    levels: Sequence[Tensor], squares: Squares, crop_px: int, *, taps: Literal[1, 2] = 2
) -> Tensor:
    """Resample every square to ``(3, crop_px, crop_px)``.

    A square is read from the mip level at which its samples lie about a pixel apart, so that
    shrinking averages what it covers. Outside the picture is 0.

    Args:
        levels: What ``mip_levels`` gave.
        squares: N squares.
        crop_px: S.
        taps: Samples per pixel of a crop and axis: 1 is quick, 2 is truer to the area.

    Returns:
        ``(N, 3, S, S)`` with the dtype of the levels, in channels_last.
    """
    level = (squares.side / (crop_px * taps)).log2().round().clamp(0, len(levels) - 1).long()
    group = squares.picture * len(levels) + level
    numbers = distinct(group)
    count, size_hw = squares.side.shape[0], levels[0].shape[2:]
    crops = levels[0].new_zeros((count, 3, crop_px, crop_px))
    crops = crops.contiguous(memory_format=torch.channels_last)
    for number in numbers:
        picture, depth = divmod(number, len(levels))
        source = levels[depth][picture : picture + 1]
        chosen = (group == number).nonzero()[:, 0]
        theta = _grid_maps(squares.select(chosen), size_hw[1], size_hw[0]).to(source.dtype)
        crops[chosen] = _cut_from(source, theta, crop_px, taps)
    return crops


def mip_depth(largest_side: float, crop_px: int) -> int:
    """Return how many halvings squares up to ``largest_side`` px need at 2 taps."""
    return max(0, ceil(log2(max(1.0, largest_side / (2 * crop_px)))))


def distinct(numbers: Tensor) -> list[int]:
    """Return the values that occur in an integer tensor, in order."""
    values: NDArray[np.int64] = numbers.cpu().numpy()
    return sorted(set(map(int, values)))


def _grid_maps(squares: Squares, width: int, height: int) -> Tensor:
    """Return ``(N, 2, 3)`` maps from a crop to the picture, both running from -1 to 1."""
    x, y = squares.centre_xy.unbind(dim=1)
    cos, sin = squares.side * squares.roll.cos(), squares.side * squares.roll.sin()
    rows = [cos / width, -sin / width, 2 * x / width - 1]
    rows += [sin / height, cos / height, 2 * y / height - 1]
    return torch.stack(rows, dim=1).view(-1, 2, 3)


def _cut_from(source: Tensor, theta: Tensor, crop_px: int, taps: Literal[1, 2]) -> Tensor:
    """Cut N squares out of a ``(1, 3, H, W)`` picture, as one tall grid."""
    count, fine_px = theta.shape[0], crop_px * taps
    grid = affine_grid(theta, [count, 3, fine_px, fine_px], align_corners=False)
    tall = grid.view(1, count * fine_px, fine_px, 2)
    fine: Tensor = grid_sample(source, tall, padding_mode="zeros", align_corners=False)
    if taps == 2:
        fine = _halved(fine, (count * crop_px, crop_px))
    crops: Tensor = fine[0].reshape(3, count, crop_px, crop_px)
    return crops.transpose(0, 1)


def _halved(pictures: Tensor, half_hw: tuple[int, int]) -> Tensor:
    """Average 2 x 2: at half the size, bilinear does that, faster than pooling does."""
    return interpolate(pictures, half_hw, mode="bilinear")
