"""Persistent vertical scratches: thin lines along the film, over nearly the whole frame height.

A scratch is a ridge: brighter, or darker, than both its sides. Ridges are averaged over rows and
neighboring frames, so that only persistent ones add up, and traced from the top of the frame to its
bottom by dynamic programming.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.repair.line_removal import Scratch, gaussian_weights, remove_lines, smooth_rows
from vidrestore.repair.samples import comparable_shot, luma_levels, neighbors
from vidrestore.sliding_window import sliding_window
from vidrestore.types import FloatArray, TrackedFrame

_BAND_ROWS = 8
"""Number of rows that are averaged before ridges are searched."""
_MAX_STEP_PX = 1
"""Maximum sideways step of a scratch from one band to the next."""
_STEP_COST = 1.0
"""Cost of a sideways step, in ratios: scratches are nearly straight."""
_PX_PER_WIDTH = 1 / 960
"""Width of a scratch relative to that of the frame: larger frames have wider scratches."""
_MIN_BANDS = 8
_SIGNS = (1, -1)
"""Of ridges that are brighter, and darker, than their sides."""
_ECHO_UNITS = 6
"""How far from a scratch, in widths, no other one is searched: beside a bright line, or between two
of them, the film seems to have a dark one."""
_PATH_KERNEL = gaussian_weights(97, 16.0)
"""Weights of the rows over which a path in whole pixels is smoothed."""
_MAD_TO_STD = 1.4826
_TEXTURE_PER_WIDTH = 1 / 8
"""Width in which texture is measured, relative to that of the frame."""
_IMPOSSIBLE = -1e9

# Ridges are in levels of 255.
RADIUS_FRAMES = 2
"""Frames to each side in which the scratch must be visible, too."""
_MIN_FRAMES = 3
"""Minimum number of frames of the shot within this radius."""
_MIN_LEVELS = 1.5
"""Minimum ridge, averaged over time."""
_MIN_RATIO = 2.0
"""Minimum ridge in units of the noise of ridges."""
_MIN_HEIGHT_RATIO = 0.75
"""Minimum fraction of the height that has such a ridge."""
_MIN_CURRENT_HEIGHT_RATIO = 0.5
"""The same in the frame itself, where parts of a scratch may be absent."""
_MAX_LEVELS = 10.0
"""Stronger ridges count as this much, so that a single spot makes no scratch."""
_MAX_EDGE_RATIO = 6.0
"""Maximum difference between both sides of a ridge, in units of the ridge (median over its
height). The bright or dark rim of an edge, which sharpening leaves, is no scratch."""
_MIN_TEXTURE_RATIO = 2.5
"""Minimum ridge in units of the ridges beside it (median over its height): bark, hair and
cloth have many."""
_MAX_SCRATCHES = 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ridges:
    shot: int | None
    bands: FloatArray
    """``(bands, W)``: positive at bright ridges, negative at dark ones."""
    edges: FloatArray
    """``(bands, W)``: the difference between both sides of each place."""


def remove_scratches(frames: Iterable[TrackedFrame]) -> Iterator[TrackedFrame]:
    """Yield every frame without the scratches that its neighbors have, too, in order.

    Buffers ``RADIUS_FRAMES`` later frames. Nothing crosses a shot change.
    """
    items = ((tracked, _ridges(tracked)) for tracked in frames)
    for window in sliding_window(items, before=RADIUS_FRAMES, after=RADIUS_FRAMES):
        sides = [neighbors(window.value, side) for side in (window.before, window.after)]
        tracked = window.item
        others = [other for side in sides for other in side]
        scratches = _find_scratches(window.value, others, tracked.frame.coded_hw[0])
        if scratches:
            tracked = replace(tracked, frame=remove_lines(tracked.frame, scratches))
        yield tracked


def _ridges(tracked: TrackedFrame) -> _Ridges:
    levels = luma_levels(tracked.frame)
    height, width = levels.shape
    unit = _unit_px(width)
    bands = max(1, height // _BAND_ROWS)
    means = np.asarray(
        cv2.resize(levels, (width, bands), interpolation=cv2.INTER_AREA), dtype=np.float32
    )
    middle = _row_mean(means, unit)
    side = _row_mean(means, 3 * unit)
    # From 2 to 4 units to each side.
    left, right = (_shift_columns(side, sign * 4 * unit) for sign in (-1, 1))
    bright = np.maximum(0, middle - np.maximum(left, right))
    dark = np.maximum(0, np.minimum(left, right) - middle)
    return _Ridges(
        shot=comparable_shot(tracked.frame, tracked.shot),
        bands=np.asarray(bright - dark, dtype=np.float32),
        edges=np.abs(left - right),
    )


def _unit_px(width: int) -> int:
    return max(1, round(width * _PX_PER_WIDTH))


def _row_mean(rows: FloatArray, size_px: int) -> FloatArray:
    if size_px == 1:
        return rows
    blurred = cv2.blur(rows, (size_px, 1), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, dtype=np.float32)


def _shift_columns(rows: FloatArray, px: int) -> FloatArray:
    """Return rows whose value at x is that at ``x + px``; the border is repeated."""
    columns = np.clip(np.arange(rows.shape[1], dtype=np.intp) + px, 0, rows.shape[1] - 1)
    return rows[:, columns]


def _find_scratches(frame: _Ridges, others: Sequence[_Ridges], height: int) -> tuple[Scratch, ...]:
    """Return the scratches of a frame of height ``height``, the clearest first."""
    current = frame.bands
    band_count, width = current.shape
    if len(others) + 1 < _MIN_FRAMES or band_count < _MIN_BANDS:
        return ()
    limit = _MAX_LEVELS
    persistent = np.mean([np.clip(each.bands, -limit, limit) for each in (frame, *others)], axis=0)
    mean_bands = np.mean([each.bands for each in (frame, *others)], axis=0)
    mean_edges = np.mean([each.edges for each in (frame, *others)], axis=0)
    ratios = {sign: _ratios(sign * persistent) for sign in _SIGNS}
    current_ratios = {sign: _ratios(sign * current) for sign in _SIGNS}
    rows = np.arange(band_count, dtype=np.intp)
    columns = np.arange(width, dtype=np.intp)
    scratches: list[Scratch] = []
    while len(scratches) < _MAX_SCRATCHES:
        paths = {
            sign: path
            for sign in _SIGNS
            if _is_line(
                path := _best_path(np.minimum(ratios[sign], 2 * _MIN_RATIO)),
                ratios[sign],
                sign * persistent,
            )
        }
        if not paths:
            break
        sign = max(paths, key=lambda sign: float((sign * persistent)[rows, paths[sign]].mean()))
        path = paths[sign]
        current_path = _refine_path(current_ratios[sign], path)
        is_visible = current_ratios[sign][rows, current_path] >= _MIN_RATIO / 2
        ridge, edge = (np.median(values[rows, path]) for values in (mean_bands, mean_edges))
        is_edge = edge > _MAX_EDGE_RATIO * abs(ridge)
        texture = np.median(_texture_levels(mean_bands, path))
        is_texture = abs(ridge) < _MIN_TEXTURE_RATIO * texture
        is_visible_line = is_visible.mean() >= _MIN_CURRENT_HEIGHT_RATIO
        if is_visible_line and not is_edge and not is_texture:
            scratches.append(_scratch(current_path, height, width))
        near = np.abs(columns[None] - path[:, None]) <= _ECHO_UNITS * _unit_px(width)
        for values in ratios.values():
            values[near] = 0
    return tuple(scratches)


def _is_line(path: NDArray[np.intp], ratios: FloatArray, ridge_levels: FloatArray) -> bool:
    rows = np.arange(len(path), dtype=np.intp)
    strong = (ratios[rows, path] >= _MIN_RATIO) & (ridge_levels[rows, path] >= _MIN_LEVELS)
    return bool(strong.mean() >= _MIN_HEIGHT_RATIO)


def _ratios(bands: NDArray[np.floating]) -> FloatArray:
    """Return positive ridges in units of the noise of their band; 0 for negative ones."""
    noise = _MAD_TO_STD * np.median(np.abs(bands), axis=1, keepdims=True)
    return np.asarray(np.maximum(0, bands) / np.maximum(noise, 0.25), dtype=np.float32)


def _texture_levels(bands: NDArray[np.floating], path: NDArray[np.intp]) -> FloatArray:
    """Return the usual size of ridges to both sides of a path, ``(bands,)``."""
    half = max(1, round(bands.shape[1] * _TEXTURE_PER_WIDTH / 2))
    columns = np.clip(path[:, None] + np.arange(-half, half + 1), 0, bands.shape[1] - 1)
    sizes = np.abs(np.take_along_axis(bands, columns, axis=1))
    return np.asarray(_MAD_TO_STD * np.median(sizes, axis=1), dtype=np.float32)


def _best_path(scores: FloatArray) -> NDArray[np.intp]:
    """Return the path from top to bottom with the largest sum, as a column for each row."""
    rows, width = scores.shape
    steps = np.empty((rows, width), dtype=np.int8)
    total = scores[0].astype(np.float64)
    moves = range(-_MAX_STEP_PX, _MAX_STEP_PX + 1)
    for row in range(1, rows):
        padded = np.pad(total, _MAX_STEP_PX, constant_values=_IMPOSSIBLE)
        options = np.stack([padded[_MAX_STEP_PX + move :][:width] for move in moves])
        options[[0, -1]] -= _STEP_COST
        best = options.argmax(axis=0)
        steps[row] = best - _MAX_STEP_PX
        total = options[best, np.arange(width)] + scores[row]
    path = np.empty(rows, dtype=np.intp)
    path[-1] = total.argmax()
    for row in range(rows - 1, 0, -1):
        path[row - 1] = path[row] + steps[row, path[row]]
    return path


def _refine_path(scores: FloatArray, path: NDArray[np.intp]) -> NDArray[np.intp]:
    """Shift a path sideways to where the line is clearest in the frame itself."""
    rows = np.arange(len(path))
    radius = 2 * _unit_px(scores.shape[1])
    candidates = [np.clip(path + px, 0, scores.shape[1] - 1) for px in range(-radius, radius + 1)]
    return max(candidates, key=lambda columns: float(np.minimum(scores[rows, columns], 4).sum()))


def _scratch(path: NDArray[np.intp], height: int, width: int) -> Scratch:
    rows = cv2.resize(path.astype(np.float32)[:, None], (1, height), interpolation=cv2.INTER_LINEAR)
    x = smooth_rows(np.asarray(rows, dtype=np.float32), _PATH_KERNEL)[:, 0]
    return Scratch(x=x, half_px=3 * _unit_px(width))
