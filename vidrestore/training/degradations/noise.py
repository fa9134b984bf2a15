"""Noise: sensors and film grain."""

import cv2
import numpy as np

from vidrestore.types import FloatArray


def add_gaussian_noise(
    image_hwc: FloatArray, *, sigma: float, rng: np.random.Generator
) -> FloatArray:
    """Add independent noise to ``(H, W, 3)``; ``sigma`` is in units of the image's range."""
    noise = rng.standard_normal(image_hwc.shape, dtype=np.float32)
    return (image_hwc + sigma * noise).astype(np.float32, copy=False)


def add_grain(
    image_hwc: FloatArray, *, sigma: float, size_px: float, rng: np.random.Generator
) -> FloatArray:
    """Add film grain to ``(H, W, 3)`` in [0, 1]: grey, correlated, strongest in mid-tones.

    Args:
        image_hwc: float32 RGB in [0, 1].
        sigma: Standard deviation of the grain in mid-tones, in units of the range.
        size_px: Gaussian radius of a grain; 0 gives white noise.
        rng: Source of randomness.
    """
    grain = rng.standard_normal(image_hwc.shape[:2], dtype=np.float32)
    if size_px > 0:
        grain = np.asarray(cv2.GaussianBlur(grain, (0, 0), size_px), dtype=np.float32)
        grain /= max(1e-6, float(grain.std()))
    luma = image_hwc.mean(axis=2)
    visibility = 0.4 + 2.4 * np.clip(luma, 0, 1) * (1 - np.clip(luma, 0, 1))
    return image_hwc + (sigma * grain * visibility)[:, :, None]
