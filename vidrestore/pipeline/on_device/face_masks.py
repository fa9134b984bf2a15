"""Soft masks of a batch of faces and heads, as ``vidrestore.paste`` makes them one by one."""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.paste.head import (
    BASE_DENSITY,
    COLOR_CELLS,
    COLOR_SIGMA,
    DETAIL_RATIO,
    DETAIL_SIGMA_CELLS,
    HEAD_CELLS,
    HEAD_RATIO,
    LIMIT_SIGMA_CELLS,
    MIN_DETAIL,
    NOISE_MARGIN,
    OUTLINE_CELLS,
    color_samples,
    head_shape,
)
from vidrestore.paste.masks import (
    CORE,
    CORE_FACE_RATIOS,
    FEATHER_PX,
    FULL_INSIDE,
    FULL_INSIDE_OF_PARSED,
    SATURATION,
)
from vidrestore.pipeline.on_device.images.filters import gaussian_blur, medians, smooth_step
from vidrestore.pipeline.on_device.images.resample import average_areas
from vidrestore.pipeline.on_device.transfers import upload
from vidrestore.types import CROP_SIZE_PX


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CropBatch:
    """What masks and changes of a batch of F faces are made from."""

    crops: Tensor
    """``(F, 3, S, S)`` RGB in [0, 1]."""
    restored: Tensor
    """Likewise."""
    face_cells: Tensor | None
    """``(F, R, R)``, fraction of each cell that is face; None if the restorer has no parser."""
    head_cells: Tensor | None
    """The same for the head."""


def ellipse_mask(
    to_unit: Tensor, size_hw: tuple[int, int], *, cell_px: float = 1.0, full_inside: float
) -> Tensor:
    """Return the mask of ellipses, ``(F, h, w)`` in [0, 1].

    Args:
        to_unit: ``(F, 2, 3)`` maps to the space in which each is the unit circle.
        size_hw: Size of the mask.
        cell_px: Side of a cell of the mask in the space that is mapped.
        full_inside: Radius relative to the ellipse's within which the mask is 1.
    """
    radius = _radii(to_unit, size_hw, cell_px)
    return smooth_step(1.0 - radius, 0.0, 1.0 - full_inside)


def _radii(to_unit: Tensor, size_hw: tuple[int, int], cell_px: float) -> Tensor:
    y, x = ((torch.arange(size, device=to_unit.device) + 0.5) * cell_px - 0.5 for size in size_hw)
    squares: list[Tensor] = []
    for axis in (0, 1):
        across, down, shift = to_unit[:, axis, :, None, None].unbind(1)
        squares.append((across * x[None, None] + (down * y[None, :, None] + shift)).square())
    return (squares[0] + squares[1]).sqrt()


def face_mask(
    to_unit: Tensor, feathered: Tensor | None, confidence: Tensor | None, region_hw: tuple[int, int]
) -> Tensor:
    """Return the masks of faces in their regions, ``(F, h, w)``.

    Args:
        to_unit: ``(F, 2, 3)`` from pixels of the regions.
        feathered: ``(F, h, w)``, ``feather`` in the regions; None without a parser.
        confidence: ``(F,)``, ``mask_confidence``.
        region_hw: Padded size of the regions.
    """
    plain = ellipse_mask(to_unit, region_hw, full_inside=FULL_INSIDE)
    if feathered is None or confidence is None:
        return plain
    wide = ellipse_mask(to_unit, region_hw, full_inside=FULL_INSIDE_OF_PARSED)
    return plain + confidence[:, None, None] * (wide * feathered - plain)


def feather(cells: Tensor) -> Tensor:
    """Return the weight of the restored face in each cell of crops, ``(F, R, R)`` in [0, 1]."""
    sigma = FEATHER_PX * cells.shape[-1] / CROP_SIZE_PX
    blurred = gaussian_blur(cells[:, None], sigma, reflect=False)[:, 0]
    return ((blurred - SATURATION) * (1.0 / (1.0 - 2.0 * SATURATION))).clamp(0.0, 1.0)


def mask_confidence(cells: Tensor, to_unit: Tensor) -> Tensor:
    """Return the confidence in a parser's cells by how much of the core is face, ``(F,)``.

    Args:
        cells: ``(F, R, R)``.
        to_unit: ``(F, 2, 3)`` from pixels of the crop of ``CROP_SIZE_PX``.
    """
    side = cells.shape[-1]
    core = (_radii(to_unit, (side, side), CROP_SIZE_PX / side) <= CORE).float()
    ratio = (cells * core).sum(dim=(1, 2)) / core.sum(dim=(1, 2)).clamp(min=1.0)
    return smooth_step(ratio, *CORE_FACE_RATIOS)


def head_mask(batch: CropBatch, to_unit: Tensor, nearest: Tensor) -> Tensor:
    """Return the weights of the restored crops, ``(F, HEAD_CELLS, HEAD_CELLS)`` in [0, 1].

    Args:
        batch: The crops.
        to_unit: ``(F, 2, 3)`` from pixels of the crop of ``CROP_SIZE_PX``.
        nearest: ``(F, COLOR_CELLS, COLOR_CELLS)``, how much each cell belongs to the face.
    """
    cell_px = CROP_SIZE_PX / HEAD_CELLS
    size_hw = (HEAD_CELLS, HEAD_CELLS)
    inner = ellipse_mask(to_unit, size_hw, cell_px=cell_px, full_inside=FULL_INSIDE)
    shape = _head_shape(to_unit.device)
    detail = detail_weight(batch, to_unit)
    colors = average_areas(batch.crops, COLOR_CELLS)
    mask = torch.maximum(inner, shape * _upscale(likely_head(colors) * detail))
    if batch.face_cells is not None and batch.head_cells is not None:
        confidence = mask_confidence(batch.face_cells, to_unit)[:, None, None]
        parsed = torch.maximum(inner, shape * _upscale(detail))
        parsed = parsed * _upscale(feather(batch.head_cells))
        mask = mask + confidence * (parsed - mask)
    return mask * _upscale(nearest)


def likely_head(colors: Tensor) -> Tensor:
    """Return how likely each cell is head by its color, ``(F, COLOR_CELLS, COLOR_CELLS)``.

    Args:
        colors: ``(F, 3, COLOR_CELLS, COLOR_CELLS)`` RGB in [0, 1].
    """
    channels = colors.flatten(2)
    middle, surroundings = (
        _density(channels, indexes, weights) for indexes, weights in _color_samples(colors.device)
    )
    ratio = (middle / (middle + surroundings)).view(-1, 1, COLOR_CELLS, COLOR_CELLS)
    limit = smooth_step(ratio, *HEAD_RATIO)
    dilated = F.max_pool2d(limit, OUTLINE_CELLS, stride=1, padding=OUTLINE_CELLS // 2)
    return gaussian_blur(dilated, LIMIT_SIGMA_CELLS)[:, 0]


@cache
def _head_shape(device: torch.device) -> Tensor:
    return upload(head_shape(), device)


@cache
def _color_samples(device: torch.device) -> tuple[tuple[Tensor, Tensor], ...]:
    samples = color_samples()
    return tuple((upload(indexes, device), upload(weights, device)) for indexes, weights in samples)


def _density(channels: Tensor, indexes: Tensor, weights: Tensor) -> Tensor:
    """Return the density of each color among the weighted cells, ``(F, cells)``."""
    references = channels[:, :, indexes]
    distances = (channels[:, 0, :, None] - references[:, 0, None]).square()
    for channel in (1, 2):
        distances = (
            distances + (channels[:, channel, :, None] - references[:, channel, None]).square()
        )
    similarity = torch.exp(distances * (-0.5 / COLOR_SIGMA**2)) * weights
    return similarity.sum(dim=2) + BASE_DENSITY


def detail_weight(batch: CropBatch, to_unit: Tensor) -> Tensor:
    """Return how well each cell keeps its detail, ``(F, COLOR_CELLS, COLOR_CELLS)`` in [0, 1]."""
    before, after = _mean_gradient(batch.crops), _mean_gradient(batch.restored)
    size_hw = (COLOR_CELLS, COLOR_CELLS)
    cell_px = CROP_SIZE_PX / COLOR_CELLS
    core = ellipse_mask(to_unit, size_hw, cell_px=cell_px, full_inside=FULL_INSIDE) > 0.5
    noise = NOISE_MARGIN * medians(before.flatten(1), core.flatten(1))[0][:, None, None]
    before = (before.square() - noise.square()).clamp(min=0.0).sqrt()
    before, after = (
        gaussian_blur(gradient[:, None], DETAIL_SIGMA_CELLS)[:, 0] + MIN_DETAIL
        for gradient in (before, after)
    )
    return smooth_step(after / before, *DETAIL_RATIO)


def _mean_gradient(crops: Tensor) -> Tensor:
    """Return the mean difference of neighboring pixels per cell, in half the pixels of green."""
    green = crops[:, 1:2]
    center, right, below = (
        green[:, :, row::2, column::2] for row, column in ((0, 0), (0, 1), (1, 0))
    )
    return average_areas((right - center).abs() + (below - center).abs(), COLOR_CELLS)[:, 0]


def _upscale(cells: Tensor) -> Tensor:
    side = (HEAD_CELLS, HEAD_CELLS)
    return F.interpolate(cells[:, None], side, mode="bilinear", align_corners=False)[:, 0]


def cell_bounds(cells: Tensor) -> Tensor:
    """Return the first and last row and column of each mask that is not 0, ``(F, 4)`` int64.

    The first is behind the last where all are 0.
    """
    bounds: list[Tensor] = []
    for dim in (2, 1):
        used = (cells != 0).any(dim=dim)
        index = torch.arange(used.shape[1], device=cells.device)[None]
        bounds.append(torch.where(used, index, used.shape[1]).amin(dim=1))
        bounds.append(torch.where(used, index, -1).amax(dim=1))
    return torch.stack(bounds, dim=1)
