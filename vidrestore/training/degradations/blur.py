"""Blur kernels and filters: defocus, motion, camera shake, ringing."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.training.degradations.compression import to_uint8
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
    if ratio != 1.0:
        kernel = anisotropic_kernel(sigma_px=sigma_px, ratio=ratio, angle=angle)
        return filter_image(image_hwc, kernel)
    size = 2 * int(np.ceil(3 * sigma_px)) + 1
    return np.asarray(cv2.GaussianBlur(image_hwc, (size, size), sigma_px), dtype=np.float32)


def anisotropic_kernel(*, sigma_px: float, ratio: float, angle: float) -> FloatArray:
    """Return a normalized Gaussian kernel with unequal axes, truncated at three sigma."""
    return generalized_kernel(sigma_px=sigma_px, ratio=ratio, angle=angle, power=2.0, plateau=False)


def motion_kernel(*, length_px: float, angle: float) -> FloatArray:
    """Return the kernel of a straight, uniform motion of ``length_px``, with soft ends."""
    along, across = _rotated_grid(max(1, int(np.ceil(length_px / 2))), angle)
    kernel = np.clip(length_px / 2 + 0.5 - np.abs(along), 0, 1)
    return _normalize(kernel * np.clip(1.0 - np.abs(across), 0, 1))


def motion_blur(image_hwc: FloatArray, *, length_px: float, angle: float) -> FloatArray:
    """Blur ``(H, W, 3)`` float32 along a straight line."""
    return filter_image(image_hwc, motion_kernel(length_px=length_px, angle=angle))


def fast_gaussian_blur(image_hwc: FloatArray, *, sigma_px: float) -> FloatArray:
    """Blur ``(H, W, 3)`` with a Gaussian, from 4 pixels on at a smaller size.

    Averaging the image down and enlarging it again blur like a box and a tent; the Gaussian in
    between is narrower by that.
    """
    factor = int(sigma_px // 2)
    height, width = image_hwc.shape[:2]
    small_wh = (round(width / factor), round(height / factor)) if factor > 1 else (0, 0)
    if factor < 2 or min(small_wh) < 8:
        return gaussian_blur(image_hwc, sigma_px=max(sigma_px, 0.05), ratio=1.0, angle=0.0)
    box_and_tent = (factor**2 - 1) / 12 + factor**2 / 6
    small_sigma_px = float(np.sqrt(sigma_px**2 - box_and_tent)) / factor
    small = cv2.resize(image_hwc, small_wh, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), small_sigma_px)
    image = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(image, dtype=np.float32)


def box_blur(image_hwc: FloatArray, *, size_px: int) -> FloatArray:
    """Return the mean over squares of ``size_px`` pixels."""
    return np.asarray(cv2.blur(image_hwc, (size_px, size_px)), dtype=np.float32)


def median_blur(image_hwc: FloatArray, *, size_px: int) -> FloatArray:
    """Return the median over squares of ``size_px`` (odd) of an image in [0, 1], in 8 bits."""
    return cv2.medianBlur(to_uint8(image_hwc), size_px).astype(np.float32) / 255.0


def uneven_motion_kernel(*, length_px: int, angle: float, asymmetry: float) -> FloatArray:
    """Return the kernel of a straight motion that is slower at one end.

    Args:
        length_px: Length of the motion.
        angle: Direction, in radians.
        asymmetry: -1 to 1: weight of the far end minus that of the near end; 0 is uniform.
    """
    steps = 4 * length_px
    position = (np.arange(steps) + 0.5) / steps
    weights = 1 + asymmetry * (2 * position - 1)
    direction_xy = np.array([[np.cos(angle)], [np.sin(angle)]])
    return _path_kernel((position - 0.5) * (length_px - 1) * direction_xy, weights)


def shake_kernel(*, length_px: float, bend: float, seed: int) -> FloatArray:
    """Return the kernel of a hand-held camera: a path that turns at random.

    Args:
        length_px: Length of the path.
        bend: Standard deviation of the total turn along the path, in radians.
        seed: Seed of the path.
    """
    rng = np.random.default_rng(seed)
    steps = max(8, round(4 * length_px))
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, bend / np.sqrt(steps), steps))
    speed = np.abs(1 + 0.5 * np.convolve(rng.normal(size=steps + 4), np.ones(5) / 5, "valid"))
    path = np.cumsum(np.stack([np.cos(heading), np.sin(heading)]) * length_px / steps, axis=1)
    return _path_kernel(path - path.mean(axis=1, keepdims=True), 1 / np.maximum(speed, 0.2))


def _path_kernel(path_xy: NDArray[np.float64], weights: NDArray[np.float64]) -> FloatArray:
    """Return the kernel of a ``(2, N)`` path around (0, 0), by bilinear splatting of its points."""
    reach = max(1, int(np.ceil(np.abs(path_xy).max())))
    kernel = np.zeros((2 * reach + 2, 2 * reach + 2))
    low = np.floor(path_xy).astype(int)
    fraction = path_xy - low
    for step_x in (0, 1):
        for step_y in (0, 1):
            weight_x = fraction[0] if step_x else 1 - fraction[0]
            weight_y = fraction[1] if step_y else 1 - fraction[1]
            pixel = (low[1] + step_y + reach, low[0] + step_x + reach)
            np.add.at(kernel, pixel, weights * weight_x * weight_y)
    return _normalize(kernel[: 2 * reach + 1, : 2 * reach + 1])


def generalized_kernel(
    *, sigma_px: float, ratio: float, angle: float, power: float, plateau: bool
) -> FloatArray:
    """Return ``exp(-r^power / 2)`` or, as a plateau, ``1 / (1 + r^power)``, with unequal axes.

    These are the two families of Real-ESRGAN (Wang et al. 2021, section 3.2). A power below 2 gives
    a peak with long tails, 2 a Gaussian, and a power above 2 a flat disk like defocus.
    """
    along, across = _rotated_grid(int(np.ceil(3 * sigma_px * max(1.0, ratio))), angle)
    radius = ((along / sigma_px) ** 2 + (across / (ratio * sigma_px)) ** 2) ** (power / 2)
    return _normalize(1 / (1 + radius) if plateau else np.exp(-0.5 * radius))


def ringing_kernel(*, cutoff: float, reach_px: int) -> FloatArray:
    """Return an ideal low-pass filter truncated at ``reach_px``, which rings at edges.

    Args:
        cutoff: Cutoff frequency in radians per pixel, up to pi; lower values ring wider.
        reach_px: Radius of the kernel.
    """
    x, y = _rotated_grid(reach_px, angle=0.0)
    return _normalize(np.sinc(cutoff * x / np.pi) * np.sinc(cutoff * y / np.pi))


def _rotated_grid(reach_px: int, angle: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each kernel pixel's coordinates along and across a direction."""
    y, x = np.mgrid[-reach_px : reach_px + 1, -reach_px : reach_px + 1].astype(np.float64)
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def _normalize(kernel: NDArray[np.float64]) -> FloatArray:
    return (kernel / kernel.sum()).astype(np.float32)


def filter_image(image_hwc: FloatArray, kernel: FloatArray) -> FloatArray:
    """Return ``(H, W, 3)`` float32 filtered by ``kernel``, mirrored at the borders."""
    return np.asarray(cv2.filter2D(image_hwc, -1, kernel), dtype=np.float32)
