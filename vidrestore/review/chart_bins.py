"""Chart data in a few hundred bins: the minimum and maximum of each."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidrestore.review.tracks import Series, Track

MAX_BINS = 240
"""About the number of pixels that a chart is wide."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bins:
    """The frames of a track in spans of equal length."""

    frames_per_bin: int
    start: NDArray[np.int64]
    """``(B,)``: index in the track's arrays where a bin starts; empty bins are left out."""
    number: NDArray[np.int64]
    """``(B,)``: number of the span; the face was absent in numbers that are missing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """Minimum and maximum of a value in every bin, NaN where it is unknown."""

    low: Series
    high: Series


def track_bins(track: Track, *, max_bins: int = MAX_BINS) -> Bins:
    """Divide the frames of ``track`` into at most ``max_bins`` spans of equal length."""
    span = int(track.frame_index[-1] - track.frame_index[0]) + 1
    frames_per_bin = -(-span // max_bins)
    number = (track.frame_index - track.frame_index[0]) // frames_per_bin
    numbers, start = np.unique(number, return_index=True)
    return Bins(frames_per_bin=frames_per_bin, start=start, number=numbers)


def bin_values(values: Series, bins: Bins) -> Curve:
    """Return the minimum and maximum of every bin: no peak is lost."""
    low = np.fmin.reduceat(values, bins.start)
    high = np.fmax.reduceat(values, bins.start)
    return Curve(low=low, high=high)


def track_curves(track: Track, bins: Bins) -> Mapping[str, Curve]:
    """Return the curves of a track that the page draws, by name."""
    series = {
        "similarity": track.similarity,
        "strength": track.strength,
        "jitter_before": track.jitter_before_px,
        "jitter_after": track.jitter_after_px,
        "flicker_before": track.flicker_before,
        "flicker_after": track.flicker_after,
    }
    return {name: bin_values(values, bins) for name, values in series.items()}
