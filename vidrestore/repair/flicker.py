"""Brightness flicker: each frame's histogram is moved to the average of its neighbors'.

After Delon 2006, "Movie and video scale-time equalization application to flicker reduction": the
quantiles of the levels are averaged over time with a Gaussian, which gives the midway histogram of
neighboring frames, and a rising curve maps every frame to it. Here a line is fitted to the
quantiles instead of a mean, so that fades stay; shots without flicker stay as they are.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vidrestore.repair.samples import comparable_shot, luma_levels, neighbors, with_repair
from vidrestore.sliding_window import sliding_window
from vidrestore.types import CURVE_KNOTS, Frame, ToneCurve, TrackedFrame

Quantiles = NDArray[np.float64]
"""Levels at ``_PROBABILITIES``, rising, in [0, 255]."""

_PROBABILITIES = np.linspace(0.01, 0.99, 49)
_STEP_PX = 2
"""Spacing of the pixels in the histogram."""
_BINS = 1024
_MIN_FRAMES = 5
RADIUS_FRAMES = 12
"""Frames to each side from which the brightness of a frame is estimated."""
_SIGMA_FRAMES = 4.0
"""Standard deviation of the Gaussian weights."""
_UNSTEADY_LEVELS = (0.5, 1.0)
"""Second difference of brightness (median, of 255 levels) up to which nothing is corrected, and
from which everything is. Motion and fades change brightness evenly."""
_MAX_SLOPE = 2.0
"""Maximum factor by which a curve raises or lowers contrast, so that grain is not amplified."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Brightness:
    shot: int | None
    quantiles: Quantiles


def remove_flicker(frames: Iterable[TrackedFrame]) -> Iterator[TrackedFrame]:
    """Yield every frame with steady brightness, in order.

    Buffers ``RADIUS_FRAMES`` later frames. Nothing crosses a shot change.
    """
    items = (
        (
            tracked,
            _Brightness(
                shot=comparable_shot(tracked.frame, tracked.shot),
                quantiles=luma_quantiles(tracked.frame),
            ),
        )
        for tracked in frames
    )
    for window in sliding_window(items, before=RADIUS_FRAMES, after=RADIUS_FRAMES):
        before, after = (
            [other.quantiles for other in neighbors(window.value, side)]
            for side in (window.before, window.after)
        )
        tracked = window.item
        curve = correction_curve(before[::-1], window.value.quantiles, after, tracked.frame)
        if curve is not None:
            planes = curve.apply(tracked.frame.planes, tracked.frame.pixel_format)
            tracked = replace(tracked, frame=with_repair(tracked.frame, planes, curve=curve))
        yield tracked


def luma_quantiles(frame: Frame) -> Quantiles:
    """Return the quantiles of a frame's luma."""
    levels = luma_levels(frame)[::_STEP_PX, ::_STEP_PX]
    bins = 256 if frame.pixel_format.bit_depth == 8 else _BINS
    codes = np.rint(levels * np.float32((bins - 1) / 255)).astype(np.int64)
    counts = np.bincount(codes.ravel(), minlength=bins)[:bins]
    cumulative = np.concatenate([[0.0], np.cumsum(counts) / codes.size])
    # A level stands for half a bin to each side.
    edges = (np.arange(bins + 1) - 0.5) * (255 / (bins - 1))
    rising = np.concatenate([[True], np.diff(cumulative) > 0])
    # At an empty bin, both edges have the same cumulative count: the first one is used.
    return np.interp(_PROBABILITIES, cumulative[rising], edges[rising])


def correction_curve(
    before: Sequence[Quantiles],
    current: Quantiles,
    after: Sequence[Quantiles],
    frame: Frame,
) -> ToneCurve | None:
    """Return the curve that maps a frame to the brightness of its neighbors.

    Args:
        before: Quantiles of earlier frames of the shot, oldest first.
        current: Quantiles of the frame.
        after: Quantiles of later frames, in order.
        frame: The frame, for its bit depth.

    Returns:
        The curve; None if the shot does not flicker, or the curve would change no value.
    """
    series = np.array([*before, current, *after])
    if len(series) < _MIN_FRAMES:
        return None
    low, high = _UNSTEADY_LEVELS
    unsteady = float(np.median(np.abs(np.diff(series.mean(axis=1), n=2))))
    weight = min(1.0, max(0.0, (unsteady - low) / (high - low)))
    if weight == 0.0:
        return None
    steady = _fit_line(series, len(before), _SIGMA_FRAMES)
    return _curve(current, weight * (steady - current), frame.pixel_format.bit_depth)


def _fit_line(series: NDArray[np.float64], position: int, sigma_frames: float) -> Quantiles:
    """Fit lines to the quantiles with Gaussian weights; return their values at a position."""
    offsets = np.arange(len(series)) - position
    weights = np.exp(-0.5 * (offsets / sigma_frames) ** 2)
    weights /= weights.sum()
    center = weights @ offsets
    spread = weights @ (offsets - center) ** 2
    slope = (weights * (offsets - center)) @ series / spread
    return weights @ series - slope * center


def _curve(levels: Quantiles, change: Quantiles, bit_depth: int) -> ToneCurve | None:
    knots_in = np.linspace(0.0, 256.0, CURVE_KNOTS)
    # Beyond the darkest and the brightest percent the change is constant.
    rising = np.concatenate([[True], np.diff(levels) > 1e-6])
    values = knots_in + np.interp(knots_in, levels[rising], change[rising])
    step = knots_in[1]
    slopes = np.clip(np.diff(values), step / _MAX_SLOPE, step * _MAX_SLOPE)
    middle = int(np.argmin(np.abs(knots_in - levels[len(levels) // 2])))
    values = (
        values[middle]
        + np.concatenate([[0.0], np.cumsum(slopes)])
        - np.cumsum(np.concatenate([[0.0], slopes]))[middle]
    )
    knots = np.clip(np.rint(values * 256.0), 0, 1 << 16).astype(int).tolist()
    curve = ToneCurve(tuple(knots))
    table = curve.table(bit_depth)
    return None if np.array_equal(table, np.arange(len(table))) else curve
