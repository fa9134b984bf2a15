"""Quality of a source face: effective resolution, noise, block edges."""

from functools import cache
from math import cos, radians, sin

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft2  # pyright: ignore[reportUnknownVariableType]

from vidrestore.noise_estimation import noise_response, noise_sigma
from vidrestore.safeguard.spectrum import (
    ANCHOR_CYCLES,
    BINS,
    OVERSHOOT,
    TREND_CYCLES,
    Array,
    bin_frequencies,
    frequency_bins,
    mean_decades,
    missing_decades,
)
from vidrestore.types import CROP_SIZE_PX, FloatArray, Plane

_SIDE_PX = 288
_TOP_LEFT_PX = (160, 112)
"""The square that holds eyes, nose and mouth, in the space of crops."""
LOST_DECADES = 1.2
"""Distance below the trend from which detail counts as missing."""
ADJACENT_BINS = 5
"""Number of adjacent frequencies that must lack detail; a single one may lack it by chance."""
OFF_AXIS_DEGREES = 25.0
"""Directions closer to the frame's rows and columns are ignored because of block edges."""
_LOW_CYCLES = 25.6
"""Frequency in cycles per crop below which all directions are used."""
_BLOCK_PX = 8
_MIN_REGION_PX = 48
_STEP_FLOOR = 0.3
"""Added to the mean step, of 255: a flat region has no steps to compare."""


def central_square(luma_hw: FloatArray) -> FloatArray:
    """Return the square of a crop's luma that holds eyes, nose and mouth."""
    return luma_hw[central_slices(len(luma_hw))]


def central_slices(side_px: int) -> tuple[slice, slice]:
    """Return the rows and the columns of that square in a crop."""
    ratio = side_px / CROP_SIZE_PX
    top, left, side = (round(length * ratio) for length in (*_TOP_LEFT_PX, _SIDE_PX))
    return slice(top, top + side), slice(left, left + side)


def effective_resolution_px(luma_hw: FloatArray, *, roll_radians: float) -> float:
    """Return the smallest side at which the crop would keep all its detail.

    Power falls with frequency along a trend, which is fitted where every face has detail. In
    upscaled and blurred faces, it falls below the trend near their former highest frequency. Noise
    does not count as lost detail. Faces downscaled to 128, 192 and 256 px and upscaled again give
    116, 176 and 257 (medians of 40).

    Args:
        luma_hw: ``(S, S)`` float32 in [0, 255], S the crop's side.
        roll_radians: Angle of the frame's rows in the crop.

    Returns:
        At most S.
    """
    return square_resolution_px(
        central_square(luma_hw), side_px=len(luma_hw), roll_radians=roll_radians
    )


def square_resolution_px(square_hw: FloatArray, *, side_px: int, roll_radians: float) -> float:
    """Return ``effective_resolution_px`` of a crop of which only the square is known.

    Args:
        square_hw: ``central_square`` of the crop's luma.
        side_px: Of the crop.
        roll_radians: Angle of the frame's rows in the crop.
    """
    windowed = (square_hw - square_hw.mean()) * window(len(square_hw))
    spectrum = np.asarray(rfft2(windowed), dtype=np.complex64)
    power: Array = np.square(spectrum.real) + np.square(spectrum.imag)
    cycles, decades = _radial_spectrum(power, side_px, roll_radians)
    anchor, trend = (
        (cycles >= low) & (cycles <= high) for low, high in (ANCHOR_CYCLES, TREND_CYCLES)
    )
    missing = missing_decades(cycles, decades, anchor=anchor, trend=trend)
    cutoff = _cutoff_cycles(cycles, missing)
    return side_px if cutoff is None else min(side_px, OVERSHOOT * 2 * cutoff)


def _cutoff_cycles(cycles: Array, missing: Array) -> float | None:
    """Return the cycles per crop from which detail is missing; None if none is missing."""
    sums: Array = np.cumsum(np.pad(missing, (1, 0)))
    first = np.arange(len(missing))
    last = np.minimum(first + ADJACENT_BINS, len(missing))
    mean = (sums[last] - sums[:-1]) / (last - first)
    lost = np.flatnonzero((mean > LOST_DECADES) & (cycles > ANCHOR_CYCLES[1]))
    if not lost.size:
        return None
    index = int(lost[0])
    if mean[index - 1] >= LOST_DECADES:
        return float(cycles[index])
    ratio = (LOST_DECADES - mean[index - 1]) / (mean[index] - mean[index - 1])
    return float(cycles[index - 1] + ratio * (cycles[index] - cycles[index - 1]))


def _radial_spectrum(power: Array, side_px: int, roll_radians: float) -> tuple[Array, Array]:
    """Return frequencies in cycles per crop, and the mean power at each in decades."""
    bins, (sines, cosines), low = frequency_grid(side_px)
    bin_count = BINS * side_px // CROP_SIZE_PX
    # The sine of twice the angle is 0 on both axes, and 1 between them.
    off_axis = np.abs(sines * cos(2 * roll_radians) - cosines * sin(2 * roll_radians))
    included = low | (off_axis >= sin(2 * radians(OFF_AXIS_DEGREES)))
    return bin_frequencies(bin_count) * side_px, mean_decades(power, bins, bin_count, included)


@cache
def window(side_px: int) -> FloatArray:
    """Return the weights of a square of samples whose spectrum is measured."""
    side = np.hanning(side_px)
    return (side[:, None] * side[None]).astype(np.float32)


@cache
def frequency_grid(
    side_px: int,
) -> tuple[NDArray[np.int64], tuple[Array, Array], NDArray[np.bool_]]:
    """Return bins of frequencies, sine and cosine of twice their angles, and which are low.

    Args:
        side_px: Of the crop, of whose middle the frequencies are.
    """
    square_px = round(_SIDE_PX * side_px / CROP_SIZE_PX)
    y, x = np.fft.fftfreq(square_px)[:, None], np.fft.rfftfreq(square_px)[None]
    radius = np.hypot(y, x)
    bins = frequency_bins(radius, BINS * side_px // CROP_SIZE_PX)
    twice = 2 * np.arctan2(y, x)
    return bins, (np.sin(twice), np.cos(twice)), radius < _LOW_CYCLES / side_px


def fine_noise(luma_hw: FloatArray) -> float:
    """Return the standard deviation of fine noise, in the units of ``luma_hw``.

    Args:
        luma_hw: ``(H, W)`` float32.
    """
    return noise_sigma(noise_response(luma_hw)[2:-2, 2:-2], np.float32)


def block_edges(plane_hw: Plane, *, origin_xy: tuple[int, int], max_value: int) -> float:
    """Return how much larger steps between samples are at edges of 8 x 8 blocks than elsewhere.

    Args:
        plane_hw: A region of decoded luma.
        origin_xy: Position of its first sample in the frame.
        max_value: Largest sample value.

    Returns:
        The excess relative to the mean step: about 0 without blocks; 0 for small regions.
    """
    if min(plane_hw.shape) < _MIN_REGION_PX:
        return 0.0
    scaled = plane_hw.astype(np.float32) * np.float32(255.0 / max_value)
    excess = (_edge_excess(scaled, origin_xy[0]), _edge_excess(scaled.T, origin_xy[1]))
    return float(np.mean(excess))


def _edge_excess(plane_hw: FloatArray, first_column: int) -> float:
    steps = np.abs(np.diff(plane_hw, axis=1))
    relative = steps[:, 1:-1] - 0.5 * (steps[:, :-2] + steps[:, 2:])
    columns: NDArray[np.int64] = np.arange(1, steps.shape[1] - 1, dtype=np.int64) + first_column
    last_of_block = columns % _BLOCK_PX == _BLOCK_PX - 1
    excess = relative[:, last_of_block].mean() - relative[:, ~last_of_block].mean()
    return float(excess / (steps.mean() + _STEP_FLOOR))
