"""Measures resolution, position and exposure of a face in a photograph."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.affine import fit_similarity, scale_of
from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.safeguard.spectrum import (
    ANCHOR_CYCLES,
    BINS,
    OVERSHOOT,
    TREND_CYCLES,
    bin_frequencies,
    frequency_bins,
    mean_decades,
    missing_decades,
)
from vidrestore.types import CROP_SIZE_PX

_FACE_REGION = (0.3, 0.9, 0.2, 0.8)
"""Rows and columns of an aligned crop with eyes, nose and mouth, relative to its side."""
_MAX_TREND_FREQUENCY = 0.25
"""In cycles per pixel: half of the Nyquist frequency."""
_MISSING_DECADES = 1.0
"""Decades of power below the trend at which detail counts as missing."""


def native_px(points_xy: NDArray[np.float64]) -> float:
    """Return the side at which the aligned crop has the photograph's pixels.

    By all five landmarks, as faces are aligned: in profile the eyes are close together.

    Args:
        points_xy: ``(5, 2)`` landmarks in the photograph.
    """
    return CROP_SIZE_PX / max(1e-9, scale_of(fit_similarity(points_xy, TEMPLATE_LANDMARKS_XY)))


def spectral_px(crop_hwc: NDArray[np.uint8]) -> float:
    """Return the smallest side at which an aligned crop keeps its detail.

    Power falls with frequency along a trend, which is measured where every image has detail. The
    spectrum of an enlarged or blurred image drops below the trend near its original Nyquist
    frequency. Noise and JPEG artifacts are above the trend, and do not matter.

    Args:
        crop_hwc: ``(S, S, 3)`` uint8 RGB, aligned to the template scaled to S, not enlarged.

    Returns:
        At most S.
    """
    side = crop_hwc.shape[0]
    top, bottom, left, right = (round(edge * side) for edge in _FACE_REGION)
    luma = crop_hwc[top:bottom, left:right].astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    frequency, decades = _radial_spectrum(luma)
    anchor, trend = (
        (frequency * side >= low) & (frequency <= min(high / side, _MAX_TREND_FREQUENCY))
        for low, high in (ANCHOR_CYCLES, TREND_CYCLES)
    )
    below = missing_decades(frequency, decades, anchor=anchor, trend=trend)
    above_anchor = frequency * side > ANCHOR_CYCLES[1]
    missing = np.flatnonzero((below > _MISSING_DECADES) & above_anchor)
    if not missing.size:
        return float(side)
    return float(min(1.0, OVERSHOOT * 2 * frequency[missing[0]]) * side)


def _radial_spectrum(
    luma_hw: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return frequencies in cycles per pixel, and the mean power at each of them in decades."""
    height, width = luma_hw.shape
    window = np.hanning(height)[:, None] * np.hanning(width)[None]
    power = np.abs(np.fft.rfft2((luma_hw - luma_hw.mean()) * window)) ** 2
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    bins = frequency_bins(radius, BINS)
    return bin_frequencies(BINS), mean_decades(power, bins, BINS, np.ones(radius.shape, np.bool_))


def outside_ratio(points_xy: NDArray[np.float64], hw: tuple[int, int]) -> float:
    """Return the part of the face, from brow to chin, that is outside the image: 0 to 1."""
    eyes = points_xy[:2].mean(axis=0)
    mouth = points_xy[3:].mean(axis=0)
    center, height = (eyes + mouth) / 2, 2.4 * float(np.linalg.norm(mouth - eyes))
    width = max(2.0 * float(np.linalg.norm(points_xy[1] - points_xy[0])), 0.7 * height)
    half = np.array([width, height]) / 2
    low, high = np.maximum(center - half, 0), np.minimum(center + half, (hw[1], hw[0]))
    inside_x, inside_y = (max(0.0, float(edge)) for edge in high - low)
    return 1 - inside_x * inside_y / (width * height)


def clipping_ratios(
    crop_hwc: NDArray[np.uint8], points_xy: NDArray[np.float64]
) -> tuple[float, float]:
    """Return the parts of an aligned face that are overexposed and that are black, 0 to 1.

    Only pixels between eyes and mouth count, because hair and background may be black.

    Args:
        crop_hwc: RGB.
        points_xy: ``(5, 2)`` landmarks in it.
    """
    inside = np.zeros(crop_hwc.shape[:2], dtype=np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.rint(points_xy).astype(np.int32)), (1,))
    face = crop_hwc[inside > 0]
    return float((face.min(axis=1) >= 250).mean()), float((face.max(axis=1) <= 8).mean())
