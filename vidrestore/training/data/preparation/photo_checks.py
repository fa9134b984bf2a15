"""Measures resolution, pose and exposure of a face in a photograph."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.affine import fit_similarity, scale_of
from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.types import CROP_SIZE_PX

_FACE_REGION = (0.3, 0.9, 0.2, 0.8)
"""Rows and columns of an aligned crop with eyes, nose and mouth, relative to its side."""
_ANCHOR_CYCLES, _TREND_CYCLES = (8.0, 18.0), (8.0, 36.0)
"""Frequencies at which level and slope of a face's spectrum are measured, in cycles per crop: from
eyes and mouth to lashes at any crop size; at most half of the Nyquist frequency."""
_SLOPES = (-3.5, -2.0)
"""Range of the slope of faces in focus, in decades of power per decade of frequency; blur makes it
steeper."""
_MISSING_DECADES = 1.0
"""Decades of power below the trend at which detail counts as missing."""
_OVERSHOOT = 0.9
"""Original side over measured side: enlarging keeps slightly higher frequencies."""
_BINS = 48


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
        (frequency * side >= low) & (frequency <= min(high / side, 0.25))
        for low, high in (_ANCHOR_CYCLES, _TREND_CYCLES)
    )
    log_frequency = np.log10(frequency)
    slope = float(np.polyfit(log_frequency[trend], decades[trend], 1)[0])
    slope = min(_SLOPES[1], max(_SLOPES[0], slope))
    expected = decades[anchor].mean() + slope * (log_frequency - log_frequency[anchor].mean())
    above_anchor = frequency * side > _ANCHOR_CYCLES[1]
    missing = np.flatnonzero((expected - decades > _MISSING_DECADES) & above_anchor)
    if not missing.size:
        return float(side)
    return float(min(1.0, _OVERSHOOT * 2 * frequency[missing[0]]) * side)


def _radial_spectrum(
    luma_hw: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return frequencies in cycles per pixel, and the mean power at each of them in decades."""
    height, width = luma_hw.shape
    window = np.hanning(height)[:, None] * np.hanning(width)[None]
    power = np.abs(np.fft.rfft2((luma_hw - luma_hw.mean()) * window)) ** 2
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    bins = np.minimum((radius * 2 * _BINS).astype(int), _BINS)
    total = np.bincount(bins.ravel(), weights=power.ravel(), minlength=_BINS + 1)[:_BINS]
    count = np.bincount(bins.ravel(), minlength=_BINS + 1)[:_BINS]
    decades = np.log10(total / np.maximum(1, count) + 1e-6)
    smooth = np.convolve(np.pad(decades, 1, mode="edge"), np.ones(3) / 3, mode="valid")
    return (np.arange(_BINS) + 0.5) / (2 * _BINS), smooth


def yaw_ratio(points_xy: NDArray[np.float64]) -> float:
    """Return the distance of the nose from the middle of the eyes, in eye distances.

    0 is frontal, about 0.35 is 45 degrees.
    """
    across = points_xy[1] - points_xy[0]
    along = float((points_xy[2] - points_xy[0]) @ across / max(1e-9, float(across @ across)))
    return abs(along - 0.5)


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
