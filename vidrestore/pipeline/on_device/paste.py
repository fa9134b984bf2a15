"""Blends a batch of restored faces into planes on the device, as ``paste_faces`` does for one."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.paste.composite import FINE_NOISE, TONE_CELL_PX
from vidrestore.paste.settings import PasteConfig
from vidrestore.pipeline.on_device.face_masks import (
    CropBatch,
    cell_bounds,
    face_mask,
    feather,
    head_mask,
    mask_confidence,
)
from vidrestore.pipeline.on_device.images.planes import Layout, Regions
from vidrestore.pipeline.on_device.images.region_colors import add_rgb_change, regions_rgb
from vidrestore.pipeline.on_device.images.resample import Warps, average_areas
from vidrestore.pipeline.on_device.paste_plan import PastePlan
from vidrestore.pipeline.on_device.transfers import upload
from vidrestore.types import CROP_SIZE_PX


class Pasted(NamedTuple):
    """A batch of pasted faces."""

    stacks: list[Tensor]
    """The color planes of B frames, each ``(B, H, W)``, with the faces in them."""
    cell_bounds: Tensor
    """``(F, 4)``: see ``cell_bounds``; of faces without a head's mask, all of the cells."""
    masks: Tensor
    """``(F, h, w)``: of the padded regions."""


def paste_batch(
    stacks: Sequence[Tensor],
    before: Sequence[Tensor],
    layout: Layout,
    plans: Sequence[PastePlan],
    batch: CropBatch,
    *,
    strengths: Sequence[float],
    keep_chroma: Sequence[bool],
    config: PasteConfig,
) -> Pasted:
    """Return planes with a batch of faces in them, without waiting for them.

    Args:
        stacks: The color planes of B frames, each ``(B, H, W)``.
        before: The planes that the faces replace: those, or, for heads, the decoded ones.
        layout: Of the frames.
        plans: Of F faces, of one ``PasteShape``; boxes of one frame do not overlap.
        batch: Their crops.
        strengths: Of each face.
        keep_chroma: Whether only luma changes, of each face.
        config: Mask and color matching.
    """
    device = batch.crops.device
    regions = Regions.uploaded([plan.region for plan in plans], device)
    numbers = _uploaded([_numbers(*item) for item in zip(plans, strengths, strict=True)], device)
    crop_to_unit, region_to_unit = numbers[:, 2:].reshape(-1, 2, 2, 3).unbind(1)
    fine_ratio, strength = numbers[:, :2, None, None, None].unbind(1)

    mask_warps = Warps([plan.mask_warp for plan in plans], device)
    if config.mask == "head":
        nearest = upload(np.stack([plan.nearest for plan in plans]), device)
        cells = head_mask(batch, crop_to_unit, nearest)
        bounds = cell_bounds(cells)
        mask = mask_warps.apply(cells[:, None], regions.padded_hw)[:, 0]
    else:
        bounds = torch.zeros(len(plans), 4, dtype=torch.int64, device=device)
        mask = _face_mask(batch, crop_to_unit, region_to_unit, mask_warps, regions.padded_hw)

    source = regions_rgb(before, layout, regions)
    change = _change(source, batch, plans, regions.padded_hw, fine_ratio, config)
    change = change * (mask[:, None] * strength)
    chroma_stays = upload(np.array(keep_chroma, dtype=np.bool_), device)
    pasted = add_rgb_change(stacks, layout, regions, change, keep_chroma=chroma_stays)
    return Pasted(pasted, bounds, mask)


def _numbers(plan: PastePlan, strength: float) -> list[float]:
    return [plan.fine_ratio, strength, *plan.crop_to_unit.ravel(), *plan.region_to_unit.ravel()]


def _uploaded(rows: Sequence[Sequence[float]], device: torch.device) -> Tensor:
    return upload(np.array(rows, dtype=np.float32), device)


def _face_mask(
    batch: CropBatch,
    crop_to_unit: Tensor,
    region_to_unit: Tensor,
    warps: Warps,
    region_hw: tuple[int, int],
) -> Tensor:
    if batch.face_cells is None:
        return face_mask(region_to_unit, None, None, region_hw)
    confidence = mask_confidence(batch.face_cells, crop_to_unit)
    feathered = warps.apply(feather(batch.face_cells)[:, None], region_hw)[:, 0]
    return face_mask(region_to_unit, feathered, confidence, region_hw)


def _change(
    source: Tensor,
    batch: CropBatch,
    plans: Sequence[PastePlan],
    region_hw: tuple[int, int],
    fine_ratio: Tensor,
    config: PasteConfig,
) -> Tensor:
    """Return restored minus source, ``(F, 3, h, w)``, at the lower resolution of the two."""
    warps = Warps([plan.crop_warp for plan in plans], source.device)
    if batch.crops.shape[-1] < CROP_SIZE_PX:
        fine = source - warps.apply(batch.crops, region_hw)
        kept = fine_ratio * fine**2 / (fine**2 + FINE_NOISE**2)
        change = warps.apply(batch.restored, region_hw) - source + kept * fine
    else:
        mixed = batch.restored - fine_ratio * batch.crops
        change = warps.apply(mixed, region_hw) + (fine_ratio - 1.0) * source
    if config.color_match > 0:
        tone = _tone(batch.restored) - _tone(batch.crops)
        tone_warps = Warps([plan.tone_warp for plan in plans], source.device)
        change = change - config.color_match * tone_warps.apply(tone, region_hw)
    return change


def _tone(crops: Tensor) -> Tensor:
    """Return the means of crops over overlapping cells, ``(F, 3, S / cell, S / cell)``."""
    halves = average_areas(crops, 2 * CROP_SIZE_PX // TONE_CELL_PX)
    return F.avg_pool2d(halves, kernel_size=4, stride=2, padding=1, count_include_pad=False)
