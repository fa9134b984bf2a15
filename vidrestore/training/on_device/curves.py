"""The log of a run as a picture of curves, one panel for each term."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

_PANEL_WH, _COLUMNS, _MARGIN_PX = (420, 220), 3, 36
_INK, _LINE, _AXIS = (40, 40, 40), (180, 90, 20), (200, 200, 200)
_NOT_DRAWN = {"step", "hours_left"}


def draw_curves(log: Path, target: Path) -> list[str]:
    """Write a PNG of every number in a log of JSON lines over its ``step``.

    Args:
        log: ``log.jsonl``, as ``Journal`` writes it.
        target: The picture; not written where there is nothing to draw.

    Returns:
        The names of what was drawn.
    """
    series = _series(log)
    panels = [_panel(name, points) for name, points in series.items()]
    if not panels:
        return []
    blank = np.full_like(panels[0], 255)
    panels += [blank] * (-len(panels) % _COLUMNS)
    rows = [
        np.concatenate(panels[at : at + _COLUMNS], axis=1) for at in range(0, len(panels), _COLUMNS)
    ]
    cv2.imwrite(str(target), np.concatenate(rows))
    return list(series)


def _series(log: Path) -> Mapping[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        entry = cast("dict[str, Any]", json.loads(line))
        for name, value in entry.items():
            if name not in _NOT_DRAWN and np.isfinite(value):
                found.setdefault(name, []).append((float(entry["step"]), float(value)))
    return dict(sorted(found.items()))


def _panel(name: str, points: Sequence[tuple[float, float]]) -> NDArray[np.uint8]:
    """Return ``(H, W, 3)`` BGR."""
    width, height = _PANEL_WH
    panel = np.full((height, width, 3), 255, np.uint8)
    at = np.array(points)
    low, high = at.min(axis=0), at.max(axis=0)
    part = (at - low) / np.where(high > low, high - low, 1)
    x = _MARGIN_PX + part[:, 0] * (width - 2 * _MARGIN_PX)
    y = height - _MARGIN_PX - part[:, 1] * (height - 2 * _MARGIN_PX)
    corner = (width - _MARGIN_PX, height - _MARGIN_PX)
    cv2.rectangle(panel, (_MARGIN_PX, _MARGIN_PX), corner, _AXIS)
    line = np.stack([x, y], axis=1).round().astype(np.int32)
    cv2.polylines(panel, [line], isClosed=False, color=_LINE, thickness=1, lineType=cv2.LINE_AA)
    for place in line[-1:]:
        cv2.circle(panel, (int(place[0]), int(place[1])), 2, _LINE, thickness=-1)
    title = f"{name}: {at[-1, 1]:.4g}  ({low[1]:.4g} to {high[1]:.4g})"
    _write(panel, title, (_MARGIN_PX, _MARGIN_PX - 12))
    _write(panel, f"step {low[0]:.0f} to {high[0]:.0f}", (_MARGIN_PX, height - _MARGIN_PX + 20))
    return panel


def _write(panel: NDArray[np.uint8], text: str, at_xy: tuple[int, int]) -> None:
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(panel, text, at_xy, font, 0.42, _INK, thickness=1, lineType=cv2.LINE_AA)
