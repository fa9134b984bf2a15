"""Estimates noise: Immerkaer 1996, "Fast noise variance estimation", but with a median."""

import cv2
import numpy as np

from vidrestore.types import FloatArray

_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)


def noise_response(luma_hw: FloatArray) -> FloatArray:
    """Return the size of the second difference in both directions: edges affect few samples."""
    return np.abs(np.asarray(cv2.filter2D(luma_hw, -1, _KERNEL), dtype=np.float32))


def noise_sigma(
    response: FloatArray, dtype: type[np.float32] | type[np.float64] = np.float64
) -> float:
    """Return the standard deviation of the noise, from samples of ``noise_response``.

    Args:
        response: The samples.
        dtype: Precision of the result.
    """
    # 0.6745 is the median of |N(0, 1)|, and 6 the root of the sum of the squared kernel.
    return float(dtype(np.median(response)) / 0.6745 / 6.0)
