"""Change of eyes and mouth by restoration.

A closed eye is a line, an open one a dark disc in white; teeth and the dark between lips appear and
disappear. A restorer adds detail that is finer than the source's, so both crops are reduced to the
source's effective resolution. What still differs, apart from contrast, has changed.
"""

import cv2
import numpy as np

from vidrestore.types import CROP_SIZE_PX, Box, FloatArray

EYES: tuple[Box, Box] = ((152, 212, 236, 268), (276, 212, 360, 268))
MOUTH: Box = (192, 340, 322, 420)
FACE: Box = (112, 160, 400, 448)
"""Boxes in pixels of the aligned crop."""
WORKING_PX = 256
"""Half of a crop's side: means over 2 x 2 pixels are fast."""
RESOLUTION_RATIO = 0.5
CELLS = (24, 96)
"""Range of cells along the crop's side: at 96 an open eye is four cells high."""
SIGMA_CELLS = 0.35
CONTRAST = (0.5, 2.0)
"""Range of contrast changes that a restorer may make."""
NOISE = 4.0
"""Noise level, of 255: differences where there is no contrast mean little."""


def eye_mouth_change(
    source_hw: FloatArray, restored_hw: FloatArray, *, resolution_px: float
) -> tuple[float, float, float]:
    """Return the change of the eyes (the one that changed more), the mouth and the whole face.

    Args:
        source_hw: ``(S, S)`` luma of an aligned crop, in [0, 255].
        restored_hw: The same crop, restored.
        resolution_px: ``effective_resolution_px`` of the source.

    Returns:
        Differences relative to the contrast: 0 for none, about 1 if the two have nothing in common.
    """
    cells = int(np.clip(resolution_px * RESOLUTION_RATIO, *CELLS))
    before, after = _reduce(source_hw, cells), _reduce(restored_hw, cells)
    left, right, mouth, face = (_change(before, after, box, cells) for box in (*EYES, MOUTH, FACE))
    return max(left, right), mouth, face


def _reduce(luma_hw: FloatArray, cells: int) -> FloatArray:
    small = cv2.resize(luma_hw, (WORKING_PX, WORKING_PX), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), SIGMA_CELLS * WORKING_PX / cells)
    return np.asarray(cv2.resize(soft, (cells, cells), interpolation=cv2.INTER_AREA), np.float32)


def _change(before: FloatArray, after: FloatArray, box: Box, cells: int) -> float:
    left, top, right, bottom = (round(side * cells / CROP_SIZE_PX) for side in box)
    source = before[top:bottom, left:right].astype(np.float64).ravel()
    restored = after[top:bottom, left:right].astype(np.float64).ravel()
    source -= source.mean()
    restored -= restored.mean()
    power = float(source @ source)
    contrast = float(np.clip(source @ restored / (power + 1e-6), *CONTRAST))
    residual = restored - contrast * source
    count = len(residual)
    return float(np.sqrt(residual @ residual / count) / np.sqrt(power / count + NOISE**2))
