"""Blur: out-of-focus lenses and moving heads."""

import cv2
import numpy as np

from vidrestore.types import FloatArray


def gaussian_blur(
    image_hwc: FloatArray, *, sigma_px: float, ratio: float, angle: float
) -> FloatArray:
    """Blur ``(H, W, 3)`` with a Gaussian, mirrored at the borders.

    Args:
        image_hwc: float32, any range.
        sigma_px: Standard deviation along the first axis, in pixels.
        ratio: Standard deviation of the second axis over the first; 1 is isotropic.
        angle: Direction of the first axis, in radians.
    """
    if ratio == 1.0:
        size = 2 * int(np.ceil(3 * sigma_px)) + 1
        blurred = cv2.GaussianBlur(image_hwc, (size, size), sigma_px)
    else:
        kernel = anisotropic_kernel(sigma_px=sigma_px, ratio=ratio, angle=angle)
        blurred = cv2.filter2D(image_hwc, -1, kernel)
    return np.asarray(blurred, dtype=np.float32)


def anisotropic_kernel(*, sigma_px: float, ratio: float, angle: float) -> FloatArray:
    """Return a normalised Gaussian kernel with unequal axes, truncated at three sigma."""
    reach = int(np.ceil(3 * sigma_px * max(1.0, ratio)))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float64)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    kernel = np.exp(-0.5 * ((along / sigma_px) ** 2 + (across / (ratio * sigma_px)) ** 2))
    return (kernel / kernel.sum()).astype(np.float32)


def motion_kernel(*, length_px: float, angle: float) -> FloatArray:
    """Return the kernel of a straight, even motion of ``length_px``, with soft ends."""
    reach = max(1, int(np.ceil(length_px / 2)))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float64)
    along = np.abs(x * np.cos(angle) + y * np.sin(angle))
    across = np.abs(y * np.cos(angle) - x * np.sin(angle))
    kernel = np.clip(length_px / 2 + 0.5 - along, 0, 1) * np.clip(1.0 - across, 0, 1)
    return (kernel / kernel.sum()).astype(np.float32)


def motion_blur(image_hwc: FloatArray, *, length_px: float, angle: float) -> FloatArray:
    """Blur ``(H, W, 3)`` float32 along a straight line."""
    kernel = motion_kernel(length_px=length_px, angle=angle)
    return np.asarray(cv2.filter2D(image_hwc, -1, kernel), dtype=np.float32)
