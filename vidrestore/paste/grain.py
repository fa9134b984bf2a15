"""Adds the grain of the source to restored faces, which have lost it."""

import cv2
import numpy as np

from vidrestore.noise_estimation import noise_response, noise_sigma
from vidrestore.types import FloatArray

VISIBLE = 1.0 / 255.0
"""Noise below this is quantization, not grain; above twice this it counts fully."""
GRAIN_RADIUS_PX = 1.2


def noise_inside(luma: FloatArray, inside: FloatArray) -> float:
    """Return the standard deviation of the noise in ``luma`` where ``inside`` exceeds a half.

    Args:
        luma: ``(h, w)`` float32.
        inside: ``(h, w)`` mask in [0, 1].
    """
    samples = noise_response(luma)[::2, ::2][inside[::2, ::2] > 0.5]
    return 0.0 if samples.size < 64 else noise_sigma(samples)


def grain_to_add(
    source_luma: FloatArray,
    restored_luma: FloatArray,
    mask: FloatArray,
    skin: tuple[slice, slice] = (slice(None), slice(None)),
) -> FloatArray | None:
    """Return ``(h, w)`` grain that makes the restored face as grainy as the source.

    It is the fine residual of the source, so it moves like the grain around the face. Peaks are
    clipped, so that it has no edges, and it is scaled by the noise that is missing.

    Args:
        source_luma: ``(h, w)`` float32 in [0, 1], before restoration.
        restored_luma: ``(h, w)``, after it.
        mask: ``(h, w)`` in [0, 1]; noise is measured where it exceeds a half.
        skin: The rows and columns in which noise is measured.

    Returns:
        The grain; None if the source has no visible grain.
    """
    before = noise_inside(source_luma[skin], mask[skin])
    visible = float(np.clip(before / VISIBLE - 1.0, 0.0, 1.0))
    if visible == 0.0:
        return None
    after = noise_inside(restored_luma[skin], mask[skin])
    missing = float(np.sqrt(max(0.0, 1.0 - (after / before) ** 2)))
    smooth = np.asarray(cv2.GaussianBlur(source_luma, (0, 0), GRAIN_RADIUS_PX), np.float32)
    residual = source_luma - smooth
    limit = 2.5 * before
    return np.clip(residual, -limit, limit) * np.float32(visible * missing)
