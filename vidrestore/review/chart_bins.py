"""Curves over time as a few hundred bins: the least and the greatest value of each."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidrestore.review.tracks import Series, Track

MAX_BINS = 240
"""About as many as there are pixels to draw them in."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bins:
    """A track cut into spans of as many frames each."""

    frames_per_bin: int
    start: NDArray[np.int64]
    """``(B,)``: positions in the track's arrays where a bin begins; empty bins are left out."""
    number: NDArray[np.int64]
    """``(B,)``: which of the spans each is; where they skip, the face was absent."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """The range of a value in every bin, NaN where it has none."""

    low: Series
    high: Series


def track_bins(track: Track, *, max_bins: int = MAX_BINS) -> Bins:
    """Cut the frames of ``track`` into at most ``max_bins`` spans of equal length."""
    span = int(track.frame_index[-1] - track.frame_index[0]) + 1
    frames_per_bin = -(-span // max_bins)
    number = (track.frame_index - track.frame_index[0]) // frames_per_bin
    found, start = np.unique(number, return_index=True)
    return Bins(frames_per_bin=frames_per_bin, start=start, number=found)


def binned(values: Series, bins: Bins) -> Curve:
    """Return the least and the greatest value of every bin: no peak is lost."""
    low = np.fmin.reduceat(values, bins.start)
    high = np.fmax.reduceat(values, bins.start)
    return Curve(low=low, high=high)


def track_curves(track: Track, bins: Bins) -> Mapping[str, Curve]:
    """Return every curve that the page draws of a track, by name."""
    series = {
        "similarity": track.similarity,
        "strength": track.strength,
        "jitter_before": track.jitter_before_px,
        "jitter_after": track.jitter_after_px,
        "flicker_before": track.flicker_before,
        "flicker_after": track.flicker_after,
    }
    return {name: binned(values, bins) for name, values in series.items()}
