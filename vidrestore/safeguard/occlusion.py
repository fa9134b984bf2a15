"""How much a crop looks like a face: correlates its light and dark areas with the mean face.

Contrast is made even first, so that light from one side and faded film say nothing. The mean face
comes with the package; ``scripts/fit_mean_face.py`` made it.
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
_SMOOTH_CELLS, _AROUND_CELLS = 1.0, 5.0
_CONTRAST_FLOOR = 2.0
"""Least contrast, of 255: a flat region has no pattern."""
_FACE = (slice(20, 54), slice(18, 46))
_EYES = ((slice(24, 37), slice(17, 31)), (slice(24, 37), slice(33, 47)))
"""Rows and columns of the grid."""


def mean_face_correlation(luma_hw: FloatArray) -> tuple[float, float]:
    """Return the correlation of a crop's face with the mean face, and of the worse of its eyes.

    Args:
        luma_hw: ``(S, S)`` float32 in [0, 255], a canonical crop.

    Returns:
        Two numbers in [-1, 1].
    """
    pattern, mean = normalize_contrast(luma_hw), _mean_face()
    eyes = [_correlation(pattern[at], mean[at]) for at in _EYES]
    return _correlation(pattern[_FACE], mean[_FACE]), min(eyes)


def normalize_contrast(luma_hw: FloatArray) -> FloatArray:
    """Return ``(GRID, GRID)``: local contrast, light or dark relative to the surroundings.

    Args:
        luma_hw: A canonical crop of any size, in [0, 255].
    """
    small = cv2.resize(luma_hw, (GRID, GRID), interpolation=cv2.INTER_AREA)
    smooth = cv2.GaussianBlur(small, (0, 0), _SMOOTH_CELLS)
    detail = smooth - cv2.GaussianBlur(smooth, (0, 0), _AROUND_CELLS)
    contrast = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), _AROUND_CELLS))
    return np.asarray(detail / (contrast + _CONTRAST_FLOOR), dtype=np.float32)


def _correlation(one: FloatArray, other: FloatArray) -> float:
    first, second = one - one.mean(), other - other.mean()
    size = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float((first * second).sum()) / (size + 1e-6)


@cache
def _mean_face() -> FloatArray:
    with bundled_file("mean_face.safetensors") as path:
        try:
            return np.asarray(load_file(path)["pattern_hw"], dtype=np.float32)
        except (OSError, SafetensorError, KeyError) as error:
            raise WeightsError(f"{path}: {error}; reinstall vidrestore") from error
