"""Pictures warped by an affine map, area-correct when shrinking, on any device.

On a CPU OpenCV does the work, on a GPU torch; a test holds the two together.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from vidrestore.affine import compose_affines, invert_affine, scale_of, scaling
from vidrestore.types import Affine

if TYPE_CHECKING:
    from torch import Tensor

_NEARLY_SAME_SIZE = 0.9
_NEARLY_ENLARGED = 1.2
_NEARLY_SQUARE = 1.5
"""Rows this many times further apart than columns are not squeezed samples but those of a field."""


def warp_image(
    image_chw: "Tensor",
    source_to_target: Affine,
    target_hw: tuple[int, int],
    *,
    sharp: bool = True,
) -> "Tensor":
    """Return ``(C, h, w)``: ``image_chw`` seen through ``source_to_target``.

    When the map shrinks, the picture is first averaged over areas down to the target's scale, so
    that nothing aliases; enlarging is bilinear, like the enlarging that restorers are
    trained on. Outside the picture its border is repeated.

    Args:
        image_chw: ``(C, H, W)`` float32, any range.
        source_to_target: Maps source pixel centers (x, y) to target pixel centers.
        target_hw: Height and width of the result.
        sharp: Move at about the same size with a bicubic kernel, which keeps fine detail, not
            with a bilinear one, which costs a third.
    """
    rows_per_row = _rows_per_row(source_to_target)
    if rows_per_row > 1:
        return _averaged_rows(image_chw, source_to_target, target_hw, rows_per_row, sharp=sharp)
    scales_xy = _scales_xy(source_to_target)
    if min(scales_xy) < _NEARLY_SAME_SIZE:
        image_chw, to_small = _shrunk(image_chw, scales_xy)
        source_to_target = compose_affines(invert_affine(to_small), source_to_target)
    scale = scale_of(source_to_target)
    cubic = sharp and scale < _NEARLY_ENLARGED
    if image_chw.device.type == "cpu":
        return _warped_by_opencv(image_chw, source_to_target, target_hw, cubic=cubic)
    return _warped_by_torch(image_chw, source_to_target, target_hw, cubic=cubic)


def average_areas(image_chw: "Tensor", target_hw: tuple[int, int]) -> "Tensor":
    """Return ``(C, h, w)`` means over the areas that ``target_hw`` divides the picture into.

    Args:
        image_chw: ``(C, H, W)`` float32.
        target_hw: Not larger than the picture.
    """
    if image_chw.device.type != "cpu":
        return _average_areas_by_torch(image_chw, target_hw)
    hwc = np.asarray(image_chw.permute(1, 2, 0).numpy())
    small = cv2.resize(hwc, target_hw[::-1], interpolation=cv2.INTER_AREA)
    return _from_hwc(np.asarray(small, dtype=np.float32))


def _average_areas_by_torch(image_chw: "Tensor", target_hw: tuple[int, int]) -> "Tensor":
    height, width = image_chw.shape[1:]
    down, across = (
        _area_weights(size, target).to(image_chw.device, image_chw.dtype)
        for size, target in ((height, target_hw[0]), (width, target_hw[1]))
    )
    return down @ image_chw @ across.T


@lru_cache(maxsize=64)
def _area_weights(size: int, target: int) -> "Tensor":
    """Return ``(target, size)``: the share of each target cell that each sample covers."""
    edges = torch.arange(target + 1, dtype=torch.float64) * size / target
    first = torch.arange(size, dtype=torch.float64)
    left, right = edges[:-1, None], edges[1:, None]
    overlap = torch.minimum(right, first + 1) - torch.maximum(left, first)
    return (overlap.clamp(min=0.0) * target / size).float()


def _rows_per_row(source_to_target: Affine) -> int:
    """Return how many rows of square pixels a row of the target stands for."""
    across, down = np.hypot(source_to_target[:, 0], source_to_target[:, 1])
    ratio = float(across / down)
    return round(ratio) if ratio >= _NEARLY_SQUARE else 1


def _averaged_rows(
    image_chw: "Tensor",
    source_to_target: Affine,
    target_hw: tuple[int, int],
    count: int,
    *,
    sharp: bool,
) -> "Tensor":
    """Return the picture warped to ``count`` times as many rows, and these averaged in groups."""
    height, width = target_hw
    finer = compose_affines(source_to_target, np.array([[1.0, 0, 0], [0, count, (count - 1) / 2]]))
    rows = warp_image(image_chw, finer, (height * count, width), sharp=sharp)
    return rows.reshape(len(rows), height, count, width).mean(dim=2)


def _scales_xy(source_to_target: Affine) -> tuple[float, float]:
    """Return the magnification of columns and of rows: one for both, unless rows lie far apart."""
    across, down = np.hypot(source_to_target[0, :2], source_to_target[1, :2])
    if down >= _NEARLY_SQUARE * across:
        return float(across), float(down)
    scale = scale_of(source_to_target)
    return scale, scale


def _shrunk(image_chw: "Tensor", scales_xy: tuple[float, float]) -> "tuple[Tensor, Affine]":
    """Return the picture averaged down by what is below 1 of the scales, and the map to it."""
    height, width = image_chw.shape[1:]
    small_h, small_w = (
        max(1, round(size * min(1.0, scale)))
        for size, scale in zip((height, width), reversed(scales_xy), strict=True)
    )
    to_small = scaling(small_w / width, small_h / height)
    return average_areas(image_chw, (small_h, small_w)), to_small


def _from_hwc(hwc: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]") -> "Tensor":
    """View OpenCV's ``(h, w, C)`` or ``(h, w)`` as ``(C, h, w)`` without a copy."""
    return torch.from_numpy(hwc if hwc.ndim == 3 else hwc[:, :, None]).permute(2, 0, 1)


def _warped_by_opencv(
    image_chw: "Tensor", source_to_target: Affine, target_hw: tuple[int, int], *, cubic: bool
) -> "Tensor":
    height, width = target_hw
    hwc = np.ascontiguousarray(image_chw.permute(1, 2, 0).numpy())
    result = cv2.warpAffine(
        hwc,
        source_to_target,
        (width, height),
        flags=cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return _from_hwc(np.asarray(result, dtype=np.float32))


def _warped_by_torch(
    image_chw: "Tensor", source_to_target: Affine, target_hw: tuple[int, int], *, cubic: bool
) -> "Tensor":
    height, width = target_hw
    source_h, source_w = image_chw.shape[1:]
    back = torch.from_numpy(invert_affine(source_to_target)).to(image_chw.device, torch.float32)
    x = torch.arange(width, device=image_chw.device, dtype=torch.float32)
    y = torch.arange(height, device=image_chw.device, dtype=torch.float32)
    source_x = back[0, 0] * x[None, :] + back[0, 1] * y[:, None] + back[0, 2]
    source_y = back[1, 0] * x[None, :] + back[1, 1] * y[:, None] + back[1, 2]
    # grid_sample's coordinates without align_corners: -1 and 1 are the outer pixel edges.
    grid = torch.stack(
        [(2 * source_x + 1) / source_w - 1, (2 * source_y + 1) / source_h - 1], dim=-1
    )
    return F.grid_sample(
        image_chw[None],
        grid[None],
        mode="bicubic" if cubic else "bilinear",
        padding_mode="border",
        align_corners=False,
    )[0]
