"""Correlation of a crop with the mean face, which is low for occluded faces.

Local contrast is normalized first, to be independent of side light and fading. The bundled mean
face is from ``scripts/fit_mean_face.py``.
"""

from functools import cache

import cv2
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file  # pyright: ignore[reportUnknownVariableType]

from vidrestore.errors import WeightsError
from vidrestore.types import FloatArray
from vidrestore.weights.bundled import bundled_file

GRID = 64
"""Cells along a crop's side."""
_FINE_SIGMA_CELLS, _COARSE_SIGMA_CELLS = 1.0, 5.0
_CONTRAST_FLOOR = 2.0
"""Added to contrast, of 255: a flat region has no pattern."""
_FACE = (slice(20, 54), slice(18, 46))
_EYES = ((slice(24, 37), slice(17, 31)), (slice(24, 37), slice(33, 47)))
"""Rows and columns of the grid."""


def mean_face_correlation(luma_hw: FloatArray) -> tuple[float, float]:
    """Return the correlation with the mean face, of the face and of the eye that correlates less.

    Args:
        luma_hw: ``(S, S)`` float32 in [0, 255], an aligned crop.

    Returns:
        Two numbers in [-1, 1].
    """
    pattern, mean = normalize_contrast(luma_hw), _mean_face()
    eyes = [_correlation(pattern[eye], mean[eye]) for eye in _EYES]
    return _correlation(pattern[_FACE], mean[_FACE]), min(eyes)


def normalize_contrast(luma_hw: FloatArray) -> FloatArray:
    """Return ``(GRID, GRID)``: brightness relative to the surroundings, in units of contrast.

    Args:
        luma_hw: An aligned crop of any size, in [0, 255].
    """
    small = cv2.resize(luma_hw, (GRID, GRID), interpolation=cv2.INTER_AREA)
    smooth = cv2.GaussianBlur(small, (0, 0), _FINE_SIGMA_CELLS)
    detail = smooth - cv2.GaussianBlur(smooth, (0, 0), _COARSE_SIGMA_CELLS)
    contrast = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), _COARSE_SIGMA_CELLS))
    return np.asarray(detail / (contrast + _CONTRAST_FLOOR), dtype=np.float32)


def _correlation(first: FloatArray, second: FloatArray) -> float:
    first, second = first - first.mean(), second - second.mean()
    norm = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float((first * second).sum()) / (norm + 1e-6)


@cache
def _mean_face() -> FloatArray:
    with bundled_file("mean_face.safetensors") as path:
        try:
            return np.asarray(load_file(path)["pattern_hw"], dtype=np.float32)
        except (OSError, SafetensorError, KeyError) as error:
            raise WeightsError(f"{path}: {error}; reinstall vidrestore") from error
