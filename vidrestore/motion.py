"""Dense motion between two pictures, and pictures moved by it."""

from functools import lru_cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vidrestore.types import FloatArray

Flow = NDArray[np.float32]
"""``(H, W, 2)``: for every pixel of one picture how far away, in pixels (x, y), another picture
shows the same."""


def luma_levels(image_hwc: FloatArray) -> NDArray[np.uint8]:
    """Return RGB in [0, 1] as ``(H, W)`` grey levels, in which motion is looked for."""
    grey = np.asarray(cv2.cvtColor(image_hwc, cv2.COLOR_RGB2GRAY), dtype=np.float32)
    return np.clip(np.rint(grey * 255.0), 0, 255).astype(np.uint8)


def dense_flow(first: NDArray[np.uint8], second: NDArray[np.uint8], *, quick: bool = False) -> Flow:
    """Return the motion from one grey picture to another, by DIS (Kroeger et al. 2016).

    Args:
        first: ``(H, W)`` grey levels.
        second: As large.
        quick: In a quarter of the time, less finely.
    """
    preset = cv2.DISOPTICAL_FLOW_PRESET_FAST if quick else cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
    finder = cv2.DISOpticalFlow.create(preset)
    start = np.zeros((*first.shape, 2), dtype=np.float32)
    return np.asarray(finder.calc(first, second, start), dtype=np.float32)


def enlarged_flow(flow: Flow, size_hw: tuple[int, int]) -> Flow:
    """Return the same motion between pictures of another size, interpolated."""
    height, width = flow.shape[:2]
    ratio_xy = np.array([size_hw[1] / width, size_hw[0] / height], dtype=np.float32)
    large = cv2.resize(flow * ratio_xy, size_hw[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(large, dtype=np.float32)


def displaced(image_hwc: FloatArray, flow: Flow) -> FloatArray:
    """Return what ``image_hwc`` shows where ``flow`` points to from every pixel, bilinearly.

    Beyond the picture its border is repeated.

    Args:
        image_hwc: ``(H, W, C)`` or ``(H, W)``, any range.
        flow: In its pixels.
    """
    x, y = _places(*flow.shape[:2])
    move_x, move_y = cv2.split(flow)
    sampled = cv2.remap(
        image_hwc,
        cv2.add(x, move_x),
        cv2.add(y, move_y),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(sampled, dtype=np.float32)


def displaced_by_torch(image_chw: Tensor, flow: Flow) -> Tensor:
    """Return ``(C, H, W)`` as ``displaced`` does, on the picture's device."""
    height, width = image_chw.shape[1:]
    x, y = _places(height, width)
    # grid_sample's coordinates without align_corners: -1 and 1 are the outer pixel edges.
    grid = np.stack(
        [(2 * (x + flow[..., 0]) + 1) / width - 1, (2 * (y + flow[..., 1]) + 1) / height - 1],
        axis=-1,
    )
    return F.grid_sample(
        image_chw[None],
        torch.from_numpy(grid.astype(np.float32)).to(image_chw.device)[None],
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )[0]


@lru_cache(maxsize=8)
def _places(height: int, width: int) -> tuple[FloatArray, FloatArray]:
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    x.flags.writeable = y.flags.writeable = False
    return x, y
