"""Quality of a source face: effective resolution, noise, block edges."""

from functools import cache
from math import cos, radians, sin, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.types import CROP_SIZE_PX, FloatArray, Plane

_SIDE_PX = 288
_TOP_LEFT_PX = (160, 112)
"""The square that holds eyes, nose and mouth, in the space of crops."""
_ANCHOR_CYCLES, _TREND_CYCLES = (8.0, 18.0), (8.0, 36.0)
"""Frequencies, in cycles per crop, that give level and slope of a face's spectrum."""
_SLOPES = (-3.5, -2.0)
"""Slope of the spectrum of faces in focus, in decades of power per decade of frequency."""
_LOST_DECADES = 1.2
"""Distance below the trend from which detail counts as missing."""
_ADJACENT_BINS = 5
"""Number of adjacent frequencies that must lack detail; a single one may lack it by chance."""
_OVERSHOOT = 0.9
"""Correction for upscaling filters, which pass slightly more than the former resolution."""
_BINS = 48
"""Number of frequencies of a crop of full size; a small one has those that it can hold."""
_OFF_AXIS_DEGREES = 25.0
"""Directions closer to the frame's rows and columns are ignored because of block edges."""
_LOW_CYCLES = 25.6
"""Frequency in cycles per crop below which all directions are used."""
_LAPLACIAN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
_BLOCK_PX = 8
_MIN_REGION_PX = 48
_STEP_FLOOR = 0.3
"""Added to the mean step, of 255: a flat region has no steps to compare."""

Array = NDArray[np.float64]


def central_square(luma_hw: FloatArray) -> FloatArray:
    """Return the square of a crop's luma that holds eyes, nose and mouth."""
    ratio = len(luma_hw) / CROP_SIZE_PX
    top, left, side = (round(length * ratio) for length in (*_TOP_LEFT_PX, _SIDE_PX))
    return luma_hw[top : top + side, left : left + side]


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
    side_px, square = len(luma_hw), central_square(luma_hw)
    spectrum = np.fft.rfft2((square - square.mean()) * _window(len(square)))
    power: Array = np.square(spectrum.real) + np.square(spectrum.imag)
    cycles, decades = _radial_spectrum(power, side_px, roll_radians)
    anchor, trend = (
        (cycles >= low) & (cycles <= high) for low, high in (_ANCHOR_CYCLES, _TREND_CYCLES)
    )
    logs = np.log10(cycles)
    slope = float(np.polyfit(logs[trend], decades[trend], 1)[0])
    slope = min(_SLOPES[1], max(_SLOPES[0], slope))
    expected = decades[anchor].mean() + slope * (logs - logs[anchor].mean())
    cutoff = _cutoff_cycles(cycles, expected - decades)
    return side_px if cutoff is None else min(side_px, _OVERSHOOT * 2 * cutoff)


def _cutoff_cycles(cycles: Array, missing: Array) -> float | None:
    """Return the cycles per crop from which detail is missing; None if none is missing."""
    sums: Array = np.cumsum(np.pad(missing, (1, 0)))
    first = np.arange(len(missing))
    last = np.minimum(first + _ADJACENT_BINS, len(missing))
    mean = (sums[last] - sums[:-1]) / (last - first)
    lost = np.flatnonzero((mean > _LOST_DECADES) & (cycles > _ANCHOR_CYCLES[1]))
    if not lost.size:
        return None
    index = int(lost[0])
    if mean[index - 1] >= _LOST_DECADES:
        return float(cycles[index])
    ratio = (_LOST_DECADES - mean[index - 1]) / (mean[index] - mean[index - 1])
    return float(cycles[index - 1] + ratio * (cycles[index] - cycles[index - 1]))


def _radial_spectrum(power: Array, side_px: int, roll_radians: float) -> tuple[Array, Array]:
    """Return frequencies in cycles per crop, and the mean power at each in decades."""
    bins, (sines, cosines), low = _grid(side_px)
    bin_count = _BINS * side_px // CROP_SIZE_PX
    # The sine of twice the angle is 0 on both axes, and 1 between them.
    off_axis = np.abs(sines * cos(2 * roll_radians) - cosines * sin(2 * roll_radians))
    included = low | (off_axis >= sin(2 * radians(_OFF_AXIS_DEGREES)))
    total = np.bincount(bins, weights=(power * included).ravel(), minlength=bin_count + 1)
    count = np.bincount(bins, weights=included.ravel(), minlength=bin_count + 1)
    total, count = total[:bin_count], count[:bin_count]
    decades = np.log10(total / np.maximum(1, count) + 1e-6)
    smooth = np.convolve(np.pad(decades, 1, mode="edge"), np.ones(3) / 3, mode="valid")
    return (np.arange(bin_count) + 0.5) / (2 * bin_count) * side_px, smooth


@cache
def _window(side_px: int) -> FloatArray:
    side = np.hanning(side_px)
    return (side[:, None] * side[None]).astype(np.float32)


@cache
def _grid(side_px: int) -> tuple[NDArray[np.int64], tuple[Array, Array], NDArray[np.bool_]]:
    """Return bins of frequencies, sine and cosine of twice their angles, and which are low.

    Args:
        side_px: Of the crop, of whose middle the frequencies are.
    """
    square_px = round(_SIDE_PX * side_px / CROP_SIZE_PX)
    y, x = np.fft.fftfreq(square_px)[:, None], np.fft.rfftfreq(square_px)[None]
    radius = np.hypot(y, x)
    count = _BINS * side_px // CROP_SIZE_PX
    bins = np.minimum((radius * 2 * count).astype(np.int64), count)
    twice = 2 * np.arctan2(y, x)
    return bins.ravel(), (np.sin(twice), np.cos(twice)), radius < _LOW_CYCLES / side_px


def noise_sigma(luma_hw: FloatArray) -> float:
    """Return the standard deviation of fine noise, in the units of ``luma_hw``.

    Immerkaer 1996, "Fast noise variance estimation", with the median, which lines do not affect.

    Args:
        luma_hw: ``(H, W)`` float32.
    """
    response = cv2.filter2D(luma_hw, -1, _LAPLACIAN)[2:-2, 2:-2]
    return float(np.median(np.abs(response)) / 0.6745 / sqrt(float((_LAPLACIAN**2).sum())))


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
