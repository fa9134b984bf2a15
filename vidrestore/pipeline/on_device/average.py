"""Averages a batch of crops with their neighbors in time, as ``motion_average`` does for one.

Motion comes from the host: OpenCV's DIS, which no device has.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.pipeline.on_device.images.filters import luma_of, medians
from vidrestore.pipeline.on_device.images.resample import average_areas
from vidrestore.restore.motion_average import (
    BRIGHTNESS_PX,
    DUPLICATE_RESIDUAL,
    FACE,
    MAX_NOISE,
    MIN_NOISE,
    RESIDUAL_PX,
    THUMBNAIL_PX,
)


class Neighbors(NamedTuple):
    """K neighbors in time of each of F crops; what is missing repeats the crop itself."""

    crops: tuple[Tensor, ...]
    """K of ``(F, 3, S, S)``."""
    thumbnails: Tensor
    """``(F, K, 3, T, T)``."""
    flows: Tensor
    """``(F, K, 2, T, T)``: motion from the crop to each, in pixels of thumbnails (x, y)."""
    exist: Tensor
    """``(F, K)`` bool."""
    adjacent: Tensor
    """``(F, K)`` bool: whether it is the next frame or the one before; noise is measured there."""


def make_thumbnails(crops: Tensor) -> tuple[Tensor, Tensor]:
    """Return crops reduced to ``(F, 3, T, T)``, and their gray levels, ``(F, T, T)`` uint8."""
    thumbnails = average_areas(crops, THUMBNAIL_PX)
    levels = (luma_of(thumbnails)[:, 0] * 255.0).round().clamp(0, 255)
    return thumbnails, levels.to(torch.uint8)


def motion_compensated_averages(
    crops: Tensor, thumbnails: Tensor, neighbors: Neighbors, *, strength: float, coarse_color: bool
) -> Tensor:
    """Return ``(F, 3, S, S)`` crops averaged with their neighbors.

    Args:
        crops: ``(F, 3, S, S)`` RGB in [0, 1].
        thumbnails: ``(F, 3, T, T)``.
        neighbors: Those of each crop.
        strength: Weight of a neighbor without differences; the crop itself has 1.
        coarse_color: Whether the film stores color at a lower resolution than luma, or none: then
            color is averaged at half size.
    """
    offsets, ratios = _matches(thumbnails, neighbors, strength)
    brightness = -(offsets * ratios[:, :, None]).sum(dim=1)
    if not coarse_color:
        change = _warped_change(crops, neighbors.crops, neighbors.flows, ratios)
        return (crops + change + _enlarged(brightness, crops.shape[-1])).clamp(0.0, 1.0)
    lumas = [luma_of(other) for other in neighbors.crops]
    change = _warped_change(luma_of(crops), lumas, neighbors.flows, ratios)
    side = THUMBNAIL_PX * max(1, crops.shape[-1] // (2 * THUMBNAIL_PX))
    halves = [average_areas(other, side) for other in neighbors.crops]
    color = _warped_change(average_areas(crops, side), halves, neighbors.flows, ratios)
    coarse = _enlarged(brightness, side) + color - luma_of(color)
    return (crops + change + _enlarged(coarse, crops.shape[-1])).clamp(0.0, 1.0)


def _matches(thumbnails: Tensor, neighbors: Neighbors, strength: float) -> tuple[Tensor, Tensor]:
    """Return offsets in brightness, ``(F, K, 3, T, T)``, and ratios of weight, ``(F, K, T, T)``."""
    count, others = neighbors.exist.shape
    warped = _warped(neighbors.thumbnails.flatten(0, 1), neighbors.flows.flatten(0, 1))
    difference = warped.view_as(neighbors.thumbnails) - thumbnails[:, None]
    offsets = _mean_filter(difference.flatten(0, 1), BRIGHTNESS_PX)
    residuals = (difference.flatten(0, 1) - offsets).abs().mean(dim=1, keepdim=True)
    residuals = _mean_filter(residuals, RESIDUAL_PX).view(count, others, *thumbnails.shape[2:])
    faces = residuals[:, :, *FACE].flatten(2)
    counted = neighbors.exist & (faces.mean(dim=2) >= DUPLICATE_RESIDUAL)
    near, far = counted & neighbors.adjacent, counted & ~neighbors.adjacent
    measured = torch.where(near.any(dim=1, keepdim=True), near, far)
    valid = measured[:, :, None].expand_as(faces)
    noise = medians(faces.flatten(1), valid.flatten(1))[0].clamp(MIN_NOISE, MAX_NOISE)
    excess = (residuals / noise[:, None, None, None] - 1.0).clamp(min=0.0)
    weights = (-0.5 * excess.square()).exp() * strength * counted[:, :, None, None]
    ratios = weights / (1.0 + weights.sum(dim=1, keepdim=True))
    return offsets.view_as(difference), ratios


def _warped_change(
    images: Tensor, others: "tuple[Tensor, ...] | list[Tensor]", flows: Tensor, ratios: Tensor
) -> Tensor:
    """Return the sum of weighted differences of warped neighbors, in the shape of ``images``."""
    side = images.shape[-1]
    total = torch.zeros_like(images)
    for index, other in enumerate(others):
        moves = _enlarged(flows[:, index], side) * (side / THUMBNAIL_PX)
        weight = _enlarged(ratios[:, index, None], side)
        total = total + (_warped(other, moves) - images) * weight
    return total


def _warped(images: Tensor, flows: Tensor) -> Tensor:
    """Return what images show where flows of their size, ``(F, 2, S, S)``, point to."""
    height, width = images.shape[2:]
    x = torch.arange(width, device=images.device)[None, None] + flows[:, 0]
    y = torch.arange(height, device=images.device)[None, :, None] + flows[:, 1]
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _mean_filter(images: Tensor, side: int) -> Tensor:
    reach = side // 2
    wide = F.pad(images, (reach, reach, reach, reach), mode="reflect")
    return F.avg_pool2d(wide, side, stride=1)


def _enlarged(images: Tensor, side: int) -> Tensor:
    if images.shape[-1] == side:
        return images
    return F.interpolate(images, (side, side), mode="bilinear", align_corners=False)
