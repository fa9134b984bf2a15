"""Blur: out-of-focus lenses and moving heads."""

import cv2
import numpy as np
from numpy.typing import NDArray

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
    """Return a normalized Gaussian kernel with unequal axes, truncated at three sigma."""
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


def fast_gaussian_blur(image_hwc: FloatArray, *, sigma_px: float) -> FloatArray:
    """Blur ``(H, W, 3)`` by a Gaussian, wide ones at a smaller size.

    From 4 pixels on, the image is averaged down first and enlarged afterwards; what both blur
    by themselves (a box and a tent) is taken off the Gaussian in between.
    """
    factor = int(sigma_px // 2)
    height, width = image_hwc.shape[:2]
    small_wh = (round(width / factor), round(height / factor)) if factor > 1 else (0, 0)
    if factor < 2 or min(small_wh) < 8:
        return gaussian_blur(image_hwc, sigma_px=max(sigma_px, 0.05), ratio=1.0, angle=0.0)
    box_and_tent = (factor**2 - 1) / 12 + factor**2 / 6
    rest = float(np.sqrt(sigma_px**2 - box_and_tent)) / factor
    small = cv2.resize(image_hwc, small_wh, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), rest)
    blurred = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(blurred, dtype=np.float32)


def box_blur(image_hwc: FloatArray, *, size_px: int) -> FloatArray:
    """Return the mean over squares of ``size_px``."""
    return np.asarray(cv2.blur(image_hwc, (size_px, size_px)), dtype=np.float32)


def median_blur(image_hwc: FloatArray, *, size_px: int) -> FloatArray:
    """Return the median over squares of ``size_px`` (odd), in 8-bit levels, from [0, 1]."""
    levels = np.clip(np.rint(image_hwc * 255.0), 0, 255).astype(np.uint8)
    return cv2.medianBlur(levels, size_px).astype(np.float32) / 255.0


def uneven_motion_kernel(*, length_px: int, angle: float, lean: float) -> FloatArray:
    """Return the kernel of a straight motion that lingers at one end.

    Args:
        length_px: Its extent, from end to end.
        angle: Direction, in radians.
        lean: -1 to 1: weight of the far end less that of the near end; 0 is even.
    """
    steps = 4 * length_px
    at = (np.arange(steps) + 0.5) / steps
    weights = 1 + lean * (2 * at - 1)
    return _path_kernel(
        (at - 0.5) * (length_px - 1) * np.array([[np.cos(angle)], [np.sin(angle)]]), weights
    )


def shake_kernel(*, length_px: float, bend: float, seed: int) -> FloatArray:
    """Return the kernel of a hand-held camera: a path that turns at random.

    Args:
        length_px: How long the path is.
        bend: Standard deviation of the whole turn along it, in radians.
        seed: Of the path.
    """
    rng = np.random.default_rng(seed)
    steps = max(8, round(4 * length_px))
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, bend / np.sqrt(steps), steps))
    speed = np.abs(1 + 0.5 * np.convolve(rng.normal(size=steps + 4), np.ones(5) / 5, "valid"))
    path = np.cumsum(np.stack([np.cos(heading), np.sin(heading)]) * length_px / steps, axis=1)
    return _path_kernel(path - path.mean(axis=1, keepdims=True), 1 / np.maximum(speed, 0.2))


def _path_kernel(path_xy: NDArray[np.float64], weights: NDArray[np.float64]) -> FloatArray:
    """Return the kernel of a ``(2, N)`` path about (0, 0), its points shared between pixels."""
    reach = max(1, int(np.ceil(np.abs(path_xy).max())))
    kernel = np.zeros((2 * reach + 2, 2 * reach + 2))
    low = np.floor(path_xy).astype(int)
    part = path_xy - low
    for step_x in (0, 1):
        for step_y in (0, 1):
            share_x = part[0] if step_x else 1 - part[0]
            share_y = part[1] if step_y else 1 - part[1]
            at = (low[1] + step_y + reach, low[0] + step_x + reach)
            np.add.at(kernel, at, weights * share_x * share_y)
    kernel = kernel[: 2 * reach + 1, : 2 * reach + 1]
    return (kernel / kernel.sum()).astype(np.float32)


def generalized_kernel(
    *, sigma_px: float, ratio: float, angle: float, power: float, plateau: bool
) -> FloatArray:
    """Return ``exp(-r^power / 2)`` or, as a plateau, ``1 / (1 + r^power)``, with unequal axes.

    A power below 2 is peaked with long tails, one above is flat like a lens out of focus
    (the two families of Real-ESRGAN, Wang et al. 2021, section 3.2); 2 is a Gaussian.
    """
    reach = int(np.ceil(3 * sigma_px * max(1.0, ratio)))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float64)
    along = (x * np.cos(angle) + y * np.sin(angle)) / sigma_px
    across = (y * np.cos(angle) - x * np.sin(angle)) / (ratio * sigma_px)
    powered = (along**2 + across**2) ** (power / 2)
    kernel = 1 / (1 + powered) if plateau else np.exp(-0.5 * powered)
    return (kernel / kernel.sum()).astype(np.float32)


def ringing_kernel(*, cutoff: float, reach_px: int) -> FloatArray:
    """Return an ideal low-pass cut off at ``reach_px``: it rings, like sharpened images.

    Args:
        cutoff: Radians a pixel, up to pi; lower rings wider.
        reach_px: Radius of the kernel.
    """
    y, x = np.mgrid[-reach_px : reach_px + 1, -reach_px : reach_px + 1].astype(np.float64)
    kernel = np.sinc(cutoff * x / np.pi) * np.sinc(cutoff * y / np.pi)
    return (kernel / kernel.sum()).astype(np.float32)


def filter_image(image_hwc: FloatArray, kernel: FloatArray) -> FloatArray:
    """Return ``(H, W, 3)`` float32 filtered by ``kernel``, mirrored at the borders."""
    return np.asarray(cv2.filter2D(image_hwc, -1, kernel), dtype=np.float32)
