"""Whether eyes and mouth stay as open as they were: compares their pattern before and after.

A closed eye is a line, an open one a dark disc in white; teeth and the dark between lips appear and
disappear. Detail that a restorer adds is finer than the source's. So both pictures are reduced to
the source's real detail; what then differs, apart from contrast, has changed.
"""

import cv2
import numpy as np

from vidrestore.types import CROP_SIZE_PX, FloatArray

Box = tuple[int, int, int, int]

EYES: tuple[Box, Box] = ((152, 212, 236, 268), (276, 212, 360, 268))
MOUTH: Box = (192, 340, 322, 420)
"""Left, top, right and bottom in the canonical crop."""
_WORKING_PX = 192
_DETAIL_SHARE = 0.5
_CELLS = (24, 96)
"""Least and most cells along the crop's side: at 96 an open eye is four cells high."""
_SMOOTH_CELLS = 0.35
_CONTRAST = (0.5, 2.0)
"""Range of contrast changes that a restorer may make."""
_NOISE = 4.0
"""Noise level, of 255: differences in a part without contrast mean little."""


def eye_mouth_change(
    source_hw: FloatArray, restored_hw: FloatArray, *, resolution_px: float
) -> tuple[float, float]:
    """Return how much the eyes (the one that changed more) and the mouth have changed.

    Args:
        source_hw: ``(S, S)`` luma in [0, 255], a canonical crop.
        restored_hw: The same crop, restored.
        resolution_px: Of the source, from ``effective_resolution_px``.

    Returns:
        The differences in units of the part's own contrast: 0 for none, about 1 if the two have
        nothing in common.
    """
    cells = int(np.clip(resolution_px * _DETAIL_SHARE, *_CELLS))
    before, after = _shrunk(source_hw, cells), _shrunk(restored_hw, cells)
    left, right, mouth = (_change(before, after, box, cells) for box in (*EYES, MOUTH))
    return max(left, right), mouth


def _shrunk(luma_hw: FloatArray, cells: int) -> FloatArray:
    small = cv2.resize(luma_hw, (_WORKING_PX, _WORKING_PX), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), _SMOOTH_CELLS * _WORKING_PX / cells)
    return np.asarray(cv2.resize(soft, (cells, cells), interpolation=cv2.INTER_AREA), np.float32)


def _change(before: FloatArray, after: FloatArray, box: Box, cells: int) -> float:
    left, top, right, bottom = (round(side * cells / CROP_SIZE_PX) for side in box)
    source = before[top:bottom, left:right].astype(np.float64).ravel()
    restored = after[top:bottom, left:right].astype(np.float64).ravel()
    source -= source.mean()
    restored -= restored.mean()
    power = float(source @ source)
    contrast = float(np.clip(source @ restored / (power + 1e-6), *_CONTRAST))
    rest = restored - contrast * source
    return float(np.sqrt((rest @ rest) / len(rest)) / np.sqrt(power / len(rest) + _NOISE**2))
