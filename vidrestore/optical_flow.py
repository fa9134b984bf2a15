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


MIN_FLOW_SIDE_PX = 12
"""Smallest side of a picture in which OpenCV's DIS finds motion."""
_INVERSE_STEPS = 2


def luma_levels(image_hwc: FloatArray) -> NDArray[np.uint8]:
    """Return RGB in [0, 1] as ``(H, W)`` gray levels, in which motion is looked for."""
    return gray_levels(np.asarray(cv2.cvtColor(image_hwc, cv2.COLOR_RGB2GRAY), dtype=np.float32))


def gray_levels(gray_hw: FloatArray) -> NDArray[np.uint8]:
    """Return luma in [0, 1] as ``(H, W)`` gray levels."""
    return np.clip(np.rint(gray_hw * 255.0), 0, 255).astype(np.uint8)


def dense_flow(first: NDArray[np.uint8], second: NDArray[np.uint8], *, quick: bool = False) -> Flow:
    """Return the motion from one gray picture to another, by DIS (Kroeger et al. 2016).

    Args:
        first: ``(H, W)`` gray levels.
        second: As large.
        quick: In a quarter of the time, less finely.
    """
    preset = cv2.DISOPTICAL_FLOW_PRESET_FAST if quick else cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
    finder = cv2.DISOpticalFlow.create(preset)
    start = np.zeros((*first.shape, 2), dtype=np.float32)
    return np.asarray(finder.calc(first, second, start), dtype=np.float32)


def fine_flow(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Flow:
    """Return the motion from one gray picture to another to a fraction of a pixel, by DIS.

    Patches are followed in pictures of half the size, not of a quarter as with the presets of
    ``dense_flow``: for small pictures whose motion is to be applied to larger ones. At full size it
    would take three times as long, and averages along the motion would be no steadier.

    Args:
        first: ``(H, W)`` gray levels.
        second: As large.
    """
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    finder.setFinestScale(1)
    finder.setPatchStride(4)
    finder.setGradientDescentIterations(8)
    finder.setVariationalRefinementIterations(2)
    start = np.zeros((*first.shape, 2), dtype=np.float32)
    return np.asarray(finder.calc(first, second, start), dtype=np.float32)


def invert_flow(flow: Flow) -> Flow:
    """Return the motion from the second picture back to the first.

    By fixed-point iteration (Chen et al. 2008, "A simple fixed-point approach to invert a
    deformation field"): right where the motion changes slowly from pixel to pixel.
    """
    inverse = -flow
    for _ in range(_INVERSE_STEPS):
        inverse = -warp_by_flow(flow, inverse)
    return inverse


def flow_targets(flow: Flow, size_hw: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    """Return x and y, each ``(h, w)``, at which the other picture shows every pixel of the first.

    Args:
        flow: Found in pictures of any size.
        size_hw: Size of the images that the flow is for; it is interpolated.
    """
    height, width = size_hw
    moves = (
        np.asarray(cv2.resize(flow[:, :, axis] * np.float32(ratio), (width, height)))
        for axis, ratio in enumerate((width / flow.shape[1], height / flow.shape[0]))
    )
    x, y = (cv2.add(place, move) for place, move in zip(_places(*size_hw), moves, strict=True))
    return np.asarray(x, dtype=np.float32), np.asarray(y, dtype=np.float32)


def sample_at(image_hwc: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Return what a picture shows at x and y, bilinearly; beyond it its border is repeated.

    Args:
        image_hwc: ``(H, W, C)`` or ``(H, W)`` float32, any range.
        x: ``(h, w)`` in its pixels.
        y: Likewise.
    """
    sampled = cv2.remap(image_hwc, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(sampled, dtype=np.float32)


def warp_by_flow(image_hwc: FloatArray, flow: Flow) -> FloatArray:
    """Return what ``image_hwc`` shows where a flow of its size points to from every pixel."""
    x, y = (
        np.add(places, flow[:, :, axis]) for axis, places in enumerate(_places(*flow.shape[:2]))
    )
    if image_hwc.ndim == 2 or image_hwc.shape[2] != 3:
        return sample_at(image_hwc, x, y)
    # OpenCV interpolates four channels bilinearly in half the time of three, to the same values.
    padded = np.asarray(cv2.cvtColor(image_hwc, cv2.COLOR_RGB2RGBA), dtype=np.float32)
    return np.asarray(cv2.cvtColor(sample_at(padded, x, y), cv2.COLOR_RGBA2RGB), dtype=np.float32)


def sample_at_by_torch(image_chw: Tensor, x: FloatArray, y: FloatArray) -> Tensor:
    """Return ``(C, h, w)`` as ``sample_at`` does, on the picture's device."""
    height, width = image_chw.shape[1:]
    # grid_sample's coordinates without align_corners: -1 and 1 are the outer pixel edges.
    grid = np.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], axis=-1)
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
