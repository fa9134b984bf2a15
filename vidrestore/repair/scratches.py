"""Vertical scratches that stay: thin lines along the film, over nearly all of the frame's height.

A scratch is a ridge: brighter, or darker, than what is beside it on both sides. Ridges are averaged
over rows and over neighboring frames, so that only what stays adds up, and followed from the top of
the frame to its bottom by dynamic programming.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.repair.line_removal import Scratch, gaussian_weights, smoothed, without_scratches
from vidrestore.repair.samples import levels_of, neighbors, shot_of
from vidrestore.sliding_window import sliding_window
from vidrestore.types import FloatArray, TrackedFrame

_BAND_ROWS = 8
"""Rows that are averaged before ridges are searched."""
_MAX_STEP_PX = 1
"""How far a scratch moves to the side from one band to the next."""
_STEP_COST = 1.0
"""What a step to the side costs, in ratios: scratches are nearly straight."""
_PX_PER_WIDTH = 1 / 960
"""Scratches of larger frames are wider: by this share of the width, in units of a pixel."""
_MIN_BANDS = 8
_PATH_KERNEL = gaussian_weights(97, 16.0)
"""Weights of the rows above and below, over which a path in whole pixels is smoothed."""
_MAD_TO_STD = 1.4826
_NEVER = -1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchConfig:
    """What counts as a scratch; ridges are in levels of 255."""

    reach_frames: int = 2
    """Frames to each side in which it must be seen, too."""
    min_frames: int = 3
    """Frames of the shot that are needed."""
    min_levels: float = 1.5
    """Smallest ridge, averaged over time."""
    min_ratio: float = 2.0
    """Smallest ridge in units of the noise of ridges."""
    min_share: float = 0.75
    """Share of the height that has such a ridge."""
    min_share_here: float = 0.5
    """The same in the frame itself, where a scratch may be absent."""
    max_levels: float = 10.0
    """What a stronger ridge counts, so that no single place makes a scratch."""
    max_scratches: int = 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ridges:
    shot: int | None
    bands: FloatArray
    """``(bands, W)``: above 0 where the frame has a bright ridge, below where a dark one."""


def remove_scratches(
    frames: Iterable[TrackedFrame], *, config: ScratchConfig
) -> Iterator[TrackedFrame]:
    """Yield every frame without the scratches that also its neighbors show, in order.

    Holds ``reach_frames`` later frames. Nothing crosses a shot change.
    """
    items = (
        (each, _Ridges(shot=shot_of(each.frame, each.shot), bands=ridges(levels_of(each.frame))))
        for each in frames
    )
    for window in sliding_window(items, before=config.reach_frames, after=config.reach_frames):
        sides = [neighbors(window.value, side) for side in (window.before, window.after)]
        tracked = window.item
        others = [other.bands for side in sides for other in side]
        scratches = find_scratches(
            window.value.bands, others, tracked.frame.coded_hw[0], config=config
        )
        if scratches:
            tracked = replace(tracked, frame=without_scratches(tracked.frame, scratches))
        yield tracked


def ridges(levels: FloatArray) -> FloatArray:
    """Return how far each place is above, or below, both its sides: ``(bands, W)``.

    Args:
        levels: ``(H, W)`` in [0, 255].
    """
    height, width = levels.shape
    unit = _unit_px(width)
    bands = max(1, height // _BAND_ROWS)
    means = np.asarray(
        cv2.resize(levels, (width, bands), interpolation=cv2.INTER_AREA), dtype=np.float32
    )
    middle = _row_mean(means, unit)
    side = _row_mean(means, 3 * unit)
    # From 2 to 4 units to each side.
    left, right = (_moved_sideways(side, way * 4 * unit) for way in (-1, 1))
    bright = np.maximum(0, middle - np.maximum(left, right))
    dark = np.maximum(0, np.minimum(left, right) - middle)
    return np.asarray(bright - dark, dtype=np.float32)


def _unit_px(width: int) -> int:
    return max(1, round(width * _PX_PER_WIDTH))


def _row_mean(rows: FloatArray, size_px: int) -> FloatArray:
    if size_px == 1:
        return rows
    blurred = cv2.blur(rows, (size_px, 1), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, dtype=np.float32)


def _moved_sideways(rows: FloatArray, px: int) -> FloatArray:
    """Return rows whose value at x is that at ``x + px``; the border is repeated."""
    columns = np.clip(np.arange(rows.shape[1], dtype=np.intp) + px, 0, rows.shape[1] - 1)
    return rows[:, columns]


def find_scratches(
    current: FloatArray, others: Sequence[FloatArray], height: int, *, config: ScratchConfig
) -> tuple[Scratch, ...]:
    """Return the scratches of a frame, the clearest first.

    Args:
        current: What ``ridges`` returns for it.
        others: The same of its neighbors in time.
        height: Of the frame.
        config: What counts as a scratch.
    """
    bands, width = current.shape
    if len(others) + 1 < config.min_frames or bands < _MIN_BANDS:
        return ()
    limit = config.max_levels
    staying = np.mean([np.clip(each, -limit, limit) for each in (current, *others)], axis=0)
    found: list[Scratch] = []
    for sign in (1, -1):
        ratios = _ratios(sign * staying)
        here = _ratios(sign * current)
        strong = (ratios >= config.min_ratio) & (sign * staying >= config.min_levels)
        while len(found) < config.max_scratches:
            path = _best_path(np.minimum(ratios, 2 * config.min_ratio))
            rows = np.arange(bands, dtype=np.intp)
            if strong[rows, path].mean() < config.min_share:
                break
            moved = _nearest_here(here, path)
            if (here[rows, moved] >= config.min_ratio / 2).mean() >= config.min_share_here:
                found.append(_scratch(moved, height, width))
            near = np.abs(np.arange(width, dtype=np.intp)[None] - path[:, None]) <= 4 * _unit_px(
                width
            )
            ratios[near], strong[near] = 0, False
    return tuple(found)


def _ratios(bands: NDArray[np.floating]) -> FloatArray:
    """Return ridges in units of the noise in their band; 0 for those of the other sign."""
    noise = _MAD_TO_STD * np.median(np.abs(bands), axis=1, keepdims=True)
    return np.asarray(np.maximum(0, bands) / np.maximum(noise, 0.25), dtype=np.float32)


def _best_path(scores: FloatArray) -> NDArray[np.intp]:
    """Return the column in each row of the path with the largest sum, from top to bottom."""
    rows, width = scores.shape
    steps = np.empty((rows, width), dtype=np.int8)
    total = scores[0].astype(np.float64)
    moves = range(-_MAX_STEP_PX, _MAX_STEP_PX + 1)
    for row in range(1, rows):
        padded = np.pad(total, _MAX_STEP_PX, constant_values=_NEVER)
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


def _nearest_here(scores: FloatArray, path: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return a path moved sideways to where the frame itself shows the line best."""
    rows = np.arange(len(path))
    reach = 2 * _unit_px(scores.shape[1])
    moved = [np.clip(path + px, 0, scores.shape[1] - 1) for px in range(-reach, reach + 1)]
    return max(moved, key=lambda columns: float(np.minimum(scores[rows, columns], 4).sum()))


def _scratch(path: NDArray[np.intp], height: int, width: int) -> Scratch:
    rows = cv2.resize(path.astype(np.float32)[:, None], (1, height), interpolation=cv2.INTER_LINEAR)
    x = smoothed(np.asarray(rows, dtype=np.float32), _PATH_KERNEL)[:, 0]
    return Scratch(x=x, half_px=3 * _unit_px(width))
