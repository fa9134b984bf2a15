"""Effective resolutions of a batch of faces, as ``effective_resolution_px`` has that of one."""

from collections.abc import Sequence
from functools import lru_cache
from math import cos, radians, sin
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from vidrestore.pipeline.on_device.transfers import upload
from vidrestore.safeguard.image_quality import (
    ADJACENT_BINS,
    LOST_DECADES,
    OFF_AXIS_DEGREES,
    central_slices,
    frequency_grid,
    window,
)
from vidrestore.safeguard.spectrum import (
    ANCHOR_CYCLES,
    BINS,
    OVERSHOOT,
    SLOPES,
    TREND_CYCLES,
    bin_frequencies,
)
from vidrestore.types import CROP_SIZE_PX


def resolutions_px(luma_nhw: Tensor, rolls_radians: Sequence[float]) -> Tensor:
    """Return ``(N,)`` float64 effective resolutions, without waiting for them.

    Args:
        luma_nhw: ``(N, S, S)`` luma of crops.
        rolls_radians: Angle of the frame's rows in each crop.
    """
    side_px, device = luma_nhw.shape[-1], luma_nhw.device
    tables = _tables(side_px, device)
    square = luma_nhw[:, *central_slices(side_px)]
    square = (square - square.mean(dim=(1, 2), keepdim=True)) * tables.window
    spectrum = cast("Tensor", torch.fft.rfft2(square))
    power = (spectrum.real.square() + spectrum.imag.square()).flatten(1)
    turned = np.array([[cos(2 * roll), sin(2 * roll)] for roll in rolls_radians])
    turn = upload(turned, device)
    off_axis = (tables.sines * turn[:, :1] - tables.cosines * turn[:, 1:]).abs()
    included = tables.low | (off_axis >= sin(2 * radians(OFF_AXIS_DEGREES)))
    total = (power * included) @ tables.in_bin
    count = included.float() @ tables.in_bin
    decades = (total.double() / count.clamp(min=1) + 1e-6).log10() @ tables.smooth
    missing = _missing(decades, tables)
    return _resolution(missing @ tables.adjacent, tables, side_px)


def _missing(decades: Tensor, tables: "_Tables") -> Tensor:
    """Return ``(N, bins)``: as ``missing_decades``."""
    slope = (decades @ tables.slope).clamp(*SLOPES)[:, None]
    level = decades[:, tables.anchor].mean(dim=1, keepdim=True)
    return level + slope * (tables.logs - tables.logs[tables.anchor].mean()) - decades


def _resolution(mean: Tensor, tables: "_Tables", side_px: int) -> Tensor:
    """Return the resolution where detail begins to be missing, in the mean of adjacent bins."""
    bins = torch.arange(mean.shape[1], device=mean.device)
    lost = (mean > LOST_DECADES) & (tables.cycles > ANCHOR_CYCLES[1])
    first = torch.where(lost, bins, len(bins)).amin(dim=1)
    index = first.clamp(1, len(bins) - 1)[:, None]
    low, high = mean.gather(1, index - 1), mean.gather(1, index)
    # Where the bin before lacks detail, too, it is one of the lowest, which do not count.
    ratio = torch.where(low >= LOST_DECADES, 1.0, (LOST_DECADES - low) / (high - low))
    before, after = tables.cycles[index - 1], tables.cycles[index]
    cutoff = (before + ratio * (after - before))[:, 0]
    resolution = (OVERSHOOT * 2 * cutoff).clamp(max=side_px)
    return torch.where(first < len(bins), resolution, side_px)


class _Tables(NamedTuple):
    """What depends on the side of the crops alone."""

    window: Tensor
    sines: Tensor
    """Of twice the angle of each frequency."""
    cosines: Tensor
    low: Tensor
    in_bin: Tensor
    """``(frequencies, bins)`` float32: 1 where a frequency is in a bin."""
    smooth: Tensor
    """``(bins, bins)``, of which a product has the mean of three bins."""
    adjacent: Tensor
    """The same for the mean of a bin and those after it."""
    cycles: Tensor
    logs: Tensor
    slope: Tensor
    """``(bins,)``, of which a product has the slope of the trend."""
    anchor: slice


@lru_cache(maxsize=8)
def _tables(side_px: int, device: torch.device) -> _Tables:
    bins, (sines, cosines), low = frequency_grid(side_px)
    count = BINS * side_px // CROP_SIZE_PX
    cycles = bin_frequencies(count) * side_px
    logs = np.log10(cycles)
    anchor, trend = (
        (cycles >= first) & (cycles <= last) for first, last in (ANCHOR_CYCLES, TREND_CYCLES)
    )
    centered = np.where(trend, logs - logs[trend].mean(), 0.0)
    near = np.abs(np.arange(count)[:, None] - np.arange(count)[None])
    smooth = (near <= 1).astype(np.float64)
    smooth[0, 0] = smooth[-1, -1] = 2.0
    after = np.arange(count)[:, None] - np.arange(count)[None]
    adjacent = ((after >= 0) & (after < ADJACENT_BINS)).astype(np.float64)
    side = central_slices(side_px)[0]
    arrays = (
        window(side.stop - side.start),
        sines.reshape(1, -1),
        cosines.reshape(1, -1),
        low.reshape(1, -1),
        (bins[:, None] == np.arange(count)).astype(np.float32),
        smooth / 3,
        adjacent / adjacent.sum(axis=0),
        cycles,
        logs,
        centered / np.square(centered).sum(),
    )
    places = np.flatnonzero(anchor)
    tensors = (torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in arrays)
    return _Tables(*tensors, anchor=slice(int(places[0]), int(places[-1]) + 1))
