"""Power of a face by frequency, and how far it is below that of a face in focus."""

import numpy as np
from numpy.typing import NDArray

ANCHOR_CYCLES, TREND_CYCLES = (8.0, 18.0), (8.0, 36.0)
"""Frequencies at which level and slope of a face's spectrum are measured, in cycles per crop: from
eyes and mouth to lashes at any crop size."""
BINS = 48
"""Number of frequencies of a crop of full size."""
OVERSHOOT = 0.9
"""Original side over measured side: enlarging keeps slightly higher frequencies."""
SLOPES = (-3.5, -2.0)
"""Range of the slope of faces in focus, in decades of power per decade of frequency; blur makes it
steeper."""

Array = NDArray[np.float64]


def frequency_bins(radius: Array, bin_count: int) -> NDArray[np.int64]:
    """Return the bin of frequencies in cycles per pixel; those above 0.5 have the bin after all."""
    return np.minimum((radius * 2 * bin_count).astype(np.int64), bin_count).ravel()


def bin_frequencies(bin_count: int) -> Array:
    """Return the middle of every bin in cycles per pixel."""
    return (np.arange(bin_count) + 0.5) / (2 * bin_count)


def mean_decades(
    power: Array, bins: NDArray[np.int64], bin_count: int, included: NDArray[np.bool_]
) -> Array:
    """Return the mean of the included power in every bin, in decades, smoothed over three bins."""
    chosen = included.ravel()
    bins = bins[chosen]
    total = np.bincount(bins, weights=power.ravel()[chosen], minlength=bin_count + 1)
    count = np.bincount(bins, minlength=bin_count + 1)
    total, count = total[:bin_count], count[:bin_count]
    decades = np.log10(total / np.maximum(1, count) + 1e-6)
    return np.convolve(np.pad(decades, 1, mode="edge"), np.ones(3) / 3, mode="valid")


def missing_decades(
    frequencies: Array, decades: Array, *, anchor: NDArray[np.bool_], trend: NDArray[np.bool_]
) -> Array:
    """Return how far the power is below the trend, which is fitted where every face has detail.

    Args:
        frequencies: In any unit.
        decades: Power at each of them.
        anchor: The frequencies that give the level of the trend.
        trend: Those that give its slope.
    """
    logs = np.log10(frequencies)
    slope = float(np.polyfit(logs[trend], decades[trend], 1)[0])
    slope = min(SLOPES[1], max(SLOPES[0], slope))
    return decades[anchor].mean() + slope * (logs - logs[anchor].mean()) - decades
