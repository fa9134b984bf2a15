"""Smooths landmarks over a window to both sides: pure functions.

A face moves nearly as a similarity. So its place, its pose (size and rotation) and its shape (the
landmarks without the two) are smoothed separately: all five landmarks share place and pose, which
averages their noise. Each is a local polynomial regression (Fan and Gijbels 1996, chapter 3). It
starts from a straight line over the whole window, which leaves the least noise. Faster fits
replace it as far as they differ from it by more than noise explains (in the spirit of Lepski's
rule), so a face that really moves is not held back. Symmetric windows have zero phase: nothing
lags.
"""

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY

# Shape letters in this file: N frames of a window, K series that share their noise.
# Landmarks are complex numbers x + iy.

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


WINDOW_SECONDS = 0.2 * (1 + 1e-6)
"""Half width of the window; with the rounding of a frame on its edge."""
MAX_WINDOW_FRAMES = 16
"""Maximum number of frames to each side, whatever the time; bounds memory."""
_OUTLIER_SIGMAS = 5.0
"""A landmark further than this from the fit of its track is an outlier."""
_NOISE_FLOOR = 0.004
"""Minimum landmark noise, in eye distances; smaller changes count as motion."""
_USUAL_NOISE = 0.02
"""Landmark noise, in eye distances, where a window is too short to measure it."""


class _Fit(NamedTuple):
    degree: int
    reach: float
    """Half width of its kernel, in half widths of the window."""


_FITS = (_Fit(1, 1.0), _Fit(2, 1.0), _Fit(2, 0.55), _Fit(1, 0.3))
"""Fits from slow to fast. A face's shape changes little: it uses the first two."""
_USUAL_WEIGHT = 1.0
"""Weight of the usual noise, in degrees of freedom."""
_SAME_FIT = 1e-9
_SURELY_NOISE, _SURELY_MOTION = 4.0, 10.0
"""Energy of the difference between a faster and a slower fit, in units of that of noise."""
_KERNEL_OVERHANG = 1.1
_ROBUST_STEPS = 5
_RAYLEIGH_MEDIAN = 1.1774

_EYE_TO_EYE_PX = float(np.linalg.norm(TEMPLATE_LANDMARKS_XY[1] - TEMPLATE_LANDMARKS_XY[0]))
_UNIT_TEMPLATE: Complex = (
    (TEMPLATE_LANDMARKS_XY - TEMPLATE_LANDMARKS_XY.mean(axis=0))
    @ np.array([1, 1j])
    / _EYE_TO_EYE_PX
)
"""The template around its center, in eye distances."""
_TEMPLATE_ENERGY = float((np.abs(_UNIT_TEMPLATE) ** 2).sum())


def smooth_landmarks(
    times_seconds: Real,
    landmarks_xy: NDArray[np.float32] | Real,
    confidence: Real,
    *,
    index: int,
) -> Real:
    """Return the smoothed landmarks of one frame of a track.

    The result depends only on frames within ``WINDOW_SECONDS`` and ``MAX_WINDOW_FRAMES`` of frame
    ``index``, bit for bit.

    Args:
        times_seconds: ``(N,)`` increasing.
        landmarks_xy: ``(N, 5, 2)`` as detected.
        confidence: ``(N,)`` weights above 0.
        index: Position of the frame among the N.

    Returns:
        ``(5, 2)``.
    """
    near = slice(max(0, index - MAX_WINDOW_FRAMES), index + MAX_WINDOW_FRAMES + 1)
    offsets = times_seconds[near] - times_seconds[index]
    inside = np.abs(offsets) <= WINDOW_SECONDS
    measured = as_complex(landmarks_xy[near][inside])
    if measured.shape[0] < 3:
        return np.array(landmarks_xy[index], dtype=np.float64)
    reach = np.abs(offsets[inside]).max()
    steps: Real = np.asarray(np.round(offsets[inside] / reach, 6), dtype=np.float64)
    window = _window(steps.tobytes(), confidence[near][inside].tobytes())
    eye_distance = float(np.median(np.abs(measured[:, 1] - measured[:, 0])))
    floor, usual = _NOISE_FLOOR * eye_distance, _USUAL_NOISE * eye_distance
    cleaned = _pull_in_outliers(window, measured, _OUTLIER_SIGMAS, usual / 2)

    place = cleaned.mean(axis=1)
    pose = (cleaned - place[:, None]) @ _UNIT_TEMPLATE.conj() / _TEMPLATE_ENERGY
    pose = np.where(np.abs(pose) > 0, pose, 1e-9)
    shape = (cleaned - place[:, None]) / pose[:, None] - _UNIT_TEMPLATE
    # Noise of a landmark is smaller in the mean of five and in a regression on the template; shape
    # has eye distances as its unit.
    bounds = np.array([floor, usual])
    smooth_place = _fit_at_zero(window, place[:, None], 4, bounds / np.sqrt(5))[0]
    smooth_pose = _fit_at_zero(window, pose[:, None], 4, bounds / np.sqrt(_TEMPLATE_ENERGY))[0]
    smooth_shape = _fit_at_zero(window, shape, 2, bounds / eye_distance)
    smoothed = smooth_place + smooth_pose * (_UNIT_TEMPLATE + smooth_shape)
    return np.stack([smoothed.real, smoothed.imag], axis=1)


def as_complex(landmarks_xy: NDArray[np.float32] | Real) -> Complex:
    """Return ``(..., 2)`` landmarks as ``(...)`` complex numbers x + iy."""
    landmarks = np.asarray(landmarks_xy, dtype=np.float64)
    return landmarks[..., 0] + 1j * landmarks[..., 1]


class _Window(NamedTuple):
    """The frames around one frame, and the regressions on them."""

    steps: Real
    """``(N,)`` times from -1 to 1."""
    weights: Real
    """``(N,)``."""
    rows: tuple[Real, ...]
    """For each fit, the ``(N,)`` factors that give its value at step 0."""
    residual_projector: Real
    """``(N, N)``: maps values to the residuals of a polynomial fit."""
    degrees_of_freedom: int
    """Degrees of freedom of the residuals."""


@lru_cache(maxsize=64)
def _window(steps_bytes: bytes, weights_bytes: bytes) -> _Window:
    """Prepare a window; at a constant frame rate nearly all are the same."""
    steps, weights = np.frombuffer(steps_bytes), np.frombuffer(weights_bytes)
    degree = max(0, min(4, len(steps) - 2))
    basis = np.vander(steps, degree + 1, increasing=True)
    return _Window(
        steps,
        weights,
        rows=tuple(_regression_row(steps, weights, fit) for fit in _FITS),
        residual_projector=np.eye(len(steps)) - basis @ _projection(steps, weights, degree),
        degrees_of_freedom=len(steps) - degree - 1,
    )


def _fit_at_zero(window: _Window, series: Complex, fit_count: int, noise_bounds: Real) -> Complex:
    """Return the smoothed values ``(K,)`` of ``(N, K)`` series at step 0, by ``fit_count`` fits."""
    noise = _noise_energy(window, series, noise_bounds)
    result: Complex = window.rows[0] @ series
    for slower, faster in pairwise(window.rows[:fit_count]):
        change = float(((faster - slower) ** 2).sum())
        if change < _SAME_FIT:  # with few frames, fits coincide
            continue
        energy = float((np.abs((faster - slower) @ series) ** 2).mean())
        weight = (energy / (noise * change) - _SURELY_NOISE) / (_SURELY_MOTION - _SURELY_NOISE)
        result = result + min(1.0, max(0.0, weight)) * (faster @ series - result)
    return result


def _regression_row(steps: Real, weights: Real, fit: _Fit) -> Real:
    """Return ``(N,)`` factors that give a local polynomial's value at step 0."""
    kernel = np.maximum(0.0, 1 - (steps / (fit.reach * _KERNEL_OVERHANG)) ** 2) * weights
    degree = min(fit.degree, int((kernel > 0).sum()) - 1)
    return _projection(steps, kernel, degree)[0]


def _projection(steps: Real, weights: Real, degree: int) -> Real:
    """Return ``(degree + 1, N)``: maps values to coefficients by weighted least squares."""
    basis = np.vander(steps, degree + 1, increasing=True)
    root = np.sqrt(weights)
    inverse: Real = np.asarray(np.linalg.pinv(basis * root[:, None]), dtype=np.float64)
    return inverse * root


def _noise_energy(window: _Window, series: Complex, noise_bounds: Real) -> float:
    """Return the mean squared noise of a sample.

    The residuals of the window, weighed with the usual noise because a short window has few.
    """
    floor, usual = 2 * noise_bounds**2
    energy = (window.weights[:, None] * np.abs(window.residual_projector @ series) ** 2).sum()
    energy /= window.weights.mean() * series.shape[1]
    noise = float(energy + _USUAL_WEIGHT * usual) / (window.degrees_of_freedom + _USUAL_WEIGHT)
    return max(noise, float(floor))


def _pull_in_outliers(window: _Window, measured: Complex, sigmas: float, floor: float) -> Complex:
    """Pull outliers back to a robust fit of their track.

    The fit minimizes absolute deviations (iteratively reweighted least squares). Tukey's biweight
    then weighs each of the ``(N, K)`` landmarks.
    """
    weights = window.weights[:, None]
    degree = 2 if len(window.steps) >= 7 else 1
    basis = np.vander(window.steps, degree + 1, increasing=True)
    fit_weights = np.repeat(weights, measured.shape[1], axis=1)
    distance: Real = np.zeros(measured.shape)
    for _ in range(_ROBUST_STEPS):
        distance = np.abs(measured - _weighted_fit(basis, measured, fit_weights))
        fit_weights = weights / np.maximum(distance, floor)
    limit = sigmas * max(float(np.median(distance)) / _RAYLEIGH_MEDIAN, floor)
    biweight = np.maximum(_tukey(distance / limit), 1e-6)
    fit = _weighted_fit(basis, measured, weights * biweight)
    # Doubled, so that ordinary deviations stay as they are and only outliers are pulled in.
    outlier_weights = np.minimum(1.0, 2 * _tukey(np.abs(measured - fit) / limit))
    return fit + outlier_weights * (measured - fit)


def _tukey(distance: Real) -> Real:
    return np.square(np.maximum(0.0, 1 - np.square(distance)))


def _weighted_fit(basis: Real, measured: Complex, weights: Real) -> Complex:
    """Fit every column of ``(N, K)`` with its own ``(N, K)`` weights; return the fit."""
    weighted = basis.T * weights.T[:, None]
    # Real and imaginary parts side by side, because real products and solutions are faster.
    parts: Real = np.ascontiguousarray(measured.T)[:, :, None].view(np.float64)
    coefficients: Real = np.asarray(
        np.linalg.solve(weighted @ basis, weighted @ parts), dtype=np.float64
    )
    return np.ascontiguousarray(basis @ coefficients).view(np.complex128)[:, :, 0].T
