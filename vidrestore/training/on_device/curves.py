"""Plots the log of a run, one panel for each value."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

_PANEL_WH, _COLUMNS, _MARGIN_PX = (420, 220), 3, 36
_INK, _LINE, _AXIS = (40, 40, 40), (180, 90, 20), (200, 200, 200)
_NOT_PLOTTED = {"step", "hours_left"}


def draw_curves(log: Path, target: Path) -> list[str]:
    """Plot every value in a log of JSON lines over its ``step``.

    Args:
        log: The ``log.jsonl`` of a ``TrainingLogger``.
        target: Path of the PNG; not written if there is nothing to plot.

    Returns:
        The names of the plotted values.
    """
    series = _series(log)
    panels = [_panel(name, points) for name, points in series.items()]
    if not panels:
        return []
    blank = np.full_like(panels[0], 255)
    panels += [blank] * (-len(panels) % _COLUMNS)
    rows = [
        np.concatenate(panels[index : index + _COLUMNS], axis=1)
        for index in range(0, len(panels), _COLUMNS)
    ]
    cv2.imwrite(str(target), np.concatenate(rows))
    return list(series)


def _series(log: Path) -> Mapping[str, list[tuple[float, float]]]:
    series: dict[str, list[tuple[float, float]]] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        entry = cast("dict[str, Any]", json.loads(line))
        for name, value in entry.items():
            if name not in _NOT_PLOTTED and np.isfinite(value):
                series.setdefault(name, []).append((float(entry["step"]), float(value)))
    return dict(sorted(series.items()))


def _panel(name: str, points: Sequence[tuple[float, float]]) -> NDArray[np.uint8]:
    """Return the plot of one value, ``(H, W, 3)`` BGR."""
    width, height = _PANEL_WH
    panel = np.full((height, width, 3), 255, np.uint8)
    values = np.array(points)
    low, high = values.min(axis=0), values.max(axis=0)
    ratio = (values - low) / np.where(high > low, high - low, 1)
    x = _MARGIN_PX + ratio[:, 0] * (width - 2 * _MARGIN_PX)
    y = height - _MARGIN_PX - ratio[:, 1] * (height - 2 * _MARGIN_PX)
    corner = (width - _MARGIN_PX, height - _MARGIN_PX)
    cv2.rectangle(panel, (_MARGIN_PX, _MARGIN_PX), corner, _AXIS)
    line = np.stack([x, y], axis=1).round().astype(np.int32)
    cv2.polylines(panel, [line], isClosed=False, color=_LINE, thickness=1, lineType=cv2.LINE_AA)
    last_x, last_y = (int(value) for value in line[-1])
    cv2.circle(panel, (last_x, last_y), 2, _LINE, thickness=-1)
    title = f"{name}: {values[-1, 1]:.4g}  ({low[1]:.4g} to {high[1]:.4g})"
    _write(panel, title, (_MARGIN_PX, _MARGIN_PX - 12))
    _write(panel, f"step {low[0]:.0f} to {high[0]:.0f}", (_MARGIN_PX, height - _MARGIN_PX + 20))
    return panel


def _write(panel: NDArray[np.uint8], text: str, position_xy: tuple[int, int]) -> None:
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(panel, text, position_xy, font, 0.42, _INK, thickness=1, lineType=cv2.LINE_AA)
