"""Pictures warped by an affine map, area-correct when shrinking, on any device.

On a CPU OpenCV does the work, on a GPU torch; a test holds the two together.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

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


class WarpPlan(NamedTuple):
    """The steps of a warp, in order."""

    small_hw: tuple[int, int] | None
    """Size to which the source is averaged over areas first; None if it is not."""
    source_to_rows: Affine
    """Maps what is left of the source to a target with ``rows_per_row`` times as many rows."""
    rows_per_row: int
    """So many rows of that are averaged to one of the target."""
    cubic: bool
    """Whether samples are interpolated by a bicubic kernel, not linearly."""


def plan_warp(
    source_hw: tuple[int, int], source_to_target: Affine, *, sharp: bool = True
) -> WarpPlan:
    """Return the steps of ``warp_image`` for a picture of ``source_hw``."""
    rows_per_row = _rows_per_row(source_to_target)
    if rows_per_row > 1:
        rows = np.array([[1.0, 0, 0], [0, rows_per_row, (rows_per_row - 1) / 2]])
        source_to_target = compose_affines(source_to_target, rows)
    scales_xy, small_hw = _scales_xy(source_to_target), None
    if min(scales_xy) < _NEARLY_SAME_SIZE:
        small_hw = _small_hw(source_hw, scales_xy)
        to_small = scaling(small_hw[1] / source_hw[1], small_hw[0] / source_hw[0])
        source_to_target = compose_affines(invert_affine(to_small), source_to_target)
    cubic = sharp and scale_of(source_to_target) < _NEARLY_ENLARGED
    return WarpPlan(small_hw, source_to_target, rows_per_row, cubic)


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
    plan = plan_warp((image_chw.shape[1], image_chw.shape[2]), source_to_target, sharp=sharp)
    if plan.small_hw is not None:
        image_chw = average_areas(image_chw, plan.small_hw)
    height, width = target_hw
    warp = _warped_by_opencv if image_chw.device.type == "cpu" else _warped_by_torch
    rows_hw = (height * plan.rows_per_row, width)
    rows = warp(image_chw, plan.source_to_rows, rows_hw, cubic=plan.cubic)
    if plan.rows_per_row == 1:
        return rows
    return rows.reshape(len(rows), height, plan.rows_per_row, width).mean(dim=2)


def average_areas(image_chw: "Tensor", target_hw: tuple[int, int]) -> "Tensor":
    """Return ``(C, h, w)`` means over the areas that ``target_hw`` divides the picture into.

    Args:
        image_chw: ``(C, H, W)`` float32.
        target_hw: Not larger than the picture.
    """
    if image_chw.device.type != "cpu":
        return _average_areas_by_torch(image_chw, target_hw)
    hwc = np.asarray(image_chw.permute(1, 2, 0).numpy())
    # OpenCV averages 2 x 2 pixels of four channels in a third of the time of three.
    is_padded = hwc.shape == (2 * target_hw[0], 2 * target_hw[1], 3)
    if is_padded:
        hwc = cv2.cvtColor(hwc, cv2.COLOR_RGB2RGBA)
    small = cv2.resize(hwc, target_hw[::-1], interpolation=cv2.INTER_AREA)
    if is_padded:
        small = cv2.cvtColor(small, cv2.COLOR_RGBA2RGB)
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


def _scales_xy(source_to_target: Affine) -> tuple[float, float]:
    """Return the magnification of columns and of rows: one for both, unless rows lie far apart."""
    across, down = np.hypot(source_to_target[0, :2], source_to_target[1, :2])
    if down >= _NEARLY_SQUARE * across:
        return float(across), float(down)
    scale = scale_of(source_to_target)
    return scale, scale


def _small_hw(source_hw: tuple[int, int], scales_xy: tuple[float, float]) -> tuple[int, int]:
    """Return the size of a picture averaged down by what is below 1 of the scales."""
    height, width = (
        max(1, round(size * min(1.0, scale)))
        for size, scale in zip(source_hw, reversed(scales_xy), strict=True)
    )
    return height, width


def _from_hwc(hwc: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]") -> "Tensor":
    """View OpenCV's ``(h, w, C)`` or ``(h, w)`` as ``(C, h, w)`` without a copy."""
    return torch.from_numpy(hwc if hwc.ndim == 3 else hwc[:, :, None]).permute(2, 0, 1)


def _warped_by_opencv(
    image_chw: "Tensor", source_to_target: Affine, target_hw: tuple[int, int], *, cubic: bool
) -> "Tensor":
    height, width = target_hw
    hwc = np.ascontiguousarray(image_chw.permute(1, 2, 0).numpy())
    # OpenCV interpolates four channels bilinearly in half the time of three, to the same values.
    is_padded = hwc.shape[2] == 3 and not cubic
    if is_padded:
        hwc = np.asarray(cv2.cvtColor(hwc, cv2.COLOR_RGB2RGBA), dtype=np.float32)
    result = cv2.warpAffine(
        hwc,
        source_to_target,
        (width, height),
        flags=cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if is_padded:
        result = cv2.cvtColor(result, cv2.COLOR_RGBA2RGB)
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
