"""Smooths landmarks over a window to both sides: pure functions.

A face moves nearly as a similarity: its place, its size and turn, and the arrangement of its
points in its own frame are smoothed apart, because all five points share the first two and
average their noise. Each is a local polynomial regression (Fan and Gijbels 1996, chapter 3) at
the frame in question. A straight line over the whole window, which leaves the least noise, is
the start; quicker fits replace it as far as they differ from it by more than noise does (in
the spirit of Lepski's rule), so that a face which really moves is not held back.
Symmetric windows have zero phase: nothing lags.
"""

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidrestore.faces.config import SmoothingConfig
from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY

# Shape letters in this file: N frames of a window, K series that share their noise.
# Points of the plane are complex numbers x + iy.

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


WINDOW_TOLERANCE = 1 + 1e-6
"""So that a frame on the edge of the window counts, whatever rounding says."""


class _Fit(NamedTuple):
    degree: int
    reach: float
    """Half width of its kernel, in half widths of the window."""


_FITS = (_Fit(1, 1.0), _Fit(2, 1.0), _Fit(2, 0.55), _Fit(1, 0.3))
"""From slow to quick. A face's shape changes little: the first two do for it."""
_USUAL_FREEDOM = 1.0
_SAME_FIT = 1e-9
_SURELY_NOISE, _SURELY_MOTION = 4.0, 10.0
"""Energy by which a quicker fit differs from a slower one, in units of that of noise."""
_KERNEL_OVERHANG = 1.1
_ROBUST_STEPS = 5
_RAYLEIGH_MEDIAN = 1.1774

_EYE_TO_EYE_PX = float(np.linalg.norm(TEMPLATE_LANDMARKS_XY[1] - TEMPLATE_LANDMARKS_XY[0]))
_UNIT_TEMPLATE: Complex = (
    (TEMPLATE_LANDMARKS_XY - TEMPLATE_LANDMARKS_XY.mean(axis=0))
    @ np.array([1, 1j])
    / _EYE_TO_EYE_PX
)
"""The template around its centre, in eye distances."""
_TEMPLATE_ENERGY = float((np.abs(_UNIT_TEMPLATE) ** 2).sum())


def smooth_landmarks(
    times_seconds: Real,
    landmarks_xy: NDArray[np.float32] | Real,
    confidence: Real,
    *,
    at: int,
    config: SmoothingConfig,
) -> Real:
    """Return the smoothed points of one frame of a track.

    The result depends only on the frames no further than ``window_seconds`` and
    ``max_window_frames`` from frame ``at``, bit for bit.

    Args:
        times_seconds: ``(N,)`` increasing.
        landmarks_xy: ``(N, 5, 2)`` as measured.
        confidence: ``(N,)`` weights above 0.
        at: Which of the N frames.
        config: How to smooth.

    Returns:
        ``(5, 2)``.
    """
    near = slice(max(0, at - config.max_window_frames), at + config.max_window_frames + 1)
    offsets = times_seconds[near] - times_seconds[at]
    inside = np.abs(offsets) <= config.window_seconds * WINDOW_TOLERANCE
    measured = as_complex(landmarks_xy[near][inside])
    if measured.shape[0] < 3:
        return np.array(landmarks_xy[at], dtype=np.float64)
    reach = np.abs(offsets[inside]).max()
    steps: Real = np.asarray(np.round(offsets[inside] / reach, 6), dtype=np.float64)
    window = _window(steps.tobytes(), confidence[near][inside].tobytes())
    eye_distance = float(np.median(np.abs(measured[:, 1] - measured[:, 0])))
    floor, usual = config.noise_floor * eye_distance, config.usual_noise * eye_distance
    cleaned = _without_outliers(window, measured, config.outlier_sigmas, usual / 2)

    place = cleaned.mean(axis=1)
    pose = (cleaned - place[:, None]) @ _UNIT_TEMPLATE.conj() / _TEMPLATE_ENERGY
    pose = np.where(np.abs(pose) > 0, pose, 1e-9)
    shape = (cleaned - place[:, None]) / pose[:, None] - _UNIT_TEMPLATE
    # How noise of a point shows in each: in the mean of five, in a regression on the template
    # in eye distances, and in a frame where the eyes are 1 apart.
    bounds = np.array([floor, usual])
    place_at = _fitted(window, place[:, None], 4, bounds / np.sqrt(5))[0]
    pose_at = _fitted(window, pose[:, None], 4, bounds / np.sqrt(_TEMPLATE_ENERGY))[0]
    shape_at = _fitted(window, shape, 2, bounds / eye_distance)
    smoothed = place_at + pose_at * (_UNIT_TEMPLATE + shape_at)
    return np.stack([smoothed.real, smoothed.imag], axis=1)


def as_complex(landmarks_xy: NDArray[np.float32] | Real) -> Complex:
    """Return ``(..., 2)`` points as ``(...)`` complex numbers x + iy."""
    points = np.asarray(landmarks_xy, dtype=np.float64)
    return points[..., 0] + 1j * points[..., 1]


def jitter_px(landmarks_xy: NDArray[np.float32] | Real) -> float:
    """Return how much ``(N, 5, 2)`` points jump from frame to frame, in pixels.

    The root mean square of each point's displacement between frames, less its mean
    displacement: 0 for a face at rest and for one that moves steadily.
    """
    moved = np.diff(np.asarray(landmarks_xy, dtype=np.float64), axis=0)
    return float(np.sqrt(((moved - moved.mean(axis=0)) ** 2).sum(axis=2).mean()))


class _Window(NamedTuple):
    """The frames around one frame, and the regressions on them."""

    steps: Real
    """``(N,)`` times from -1 to 1."""
    weights: Real
    """``(N,)``."""
    rows: tuple[Real, ...]
    """For each of the fits, ``(N,)`` factors that give its value at step 0."""
    rest: Real
    """``(N, N)``: leaves what no smooth course explains."""
    freedom: int
    """Degrees of freedom of that."""


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
        rest=np.eye(len(steps)) - basis @ _projection(steps, weights, degree),
        freedom=len(steps) - degree - 1,
    )


def _fitted(window: _Window, series: Complex, fit_count: int, noise_bounds: Real) -> Complex:
    """Return ``(N, K)`` series smoothed at step 0, ``(K,)``, by the first ``fit_count`` fits."""
    noise = _noise_energy(window, series, noise_bounds)
    result: Complex = window.rows[0] @ series
    for slower, quicker in pairwise(window.rows[:fit_count]):
        change = float(((quicker - slower) ** 2).sum())
        if change < _SAME_FIT:  # with few frames, fits coincide
            continue
        expected = noise * change
        energy = float((np.abs((quicker - slower) @ series) ** 2).mean())
        share = (energy / expected - _SURELY_NOISE) / (_SURELY_MOTION - _SURELY_NOISE)
        result = result + min(1.0, max(0.0, share)) * (quicker @ series - result)
    return result


def _regression_row(steps: Real, weights: Real, fit: _Fit) -> Real:
    """Return ``(N,)`` factors that give a local polynomial's value at step 0."""
    kernel = np.maximum(0.0, 1 - (steps / (fit.reach * _KERNEL_OVERHANG)) ** 2) * weights
    degree = min(fit.degree, int((kernel > 0).sum()) - 1)
    return _projection(steps, kernel, degree)[0]


def _projection(steps: Real, weights: Real, degree: int) -> Real:
    """Return ``(degree + 1, N)``: weighted least squares from values to coefficients."""
    basis = np.vander(steps, degree + 1, increasing=True)
    root = np.sqrt(weights)
    inverse: Real = np.asarray(np.linalg.pinv(basis * root[:, None]), dtype=np.float64)
    return inverse * root


def _noise_energy(window: _Window, series: Complex, noise_bounds: Real) -> float:
    """Return the mean squared noise of a sample.

    What no smooth course explains, together with what is usual: a short window says little.
    """
    floor, usual = 2 * noise_bounds**2
    energy = (window.weights[:, None] * np.abs(window.rest @ series) ** 2).sum()
    energy /= window.weights.mean() * series.shape[1]
    return max(
        float(energy + _USUAL_FREEDOM * usual) / (window.freedom + _USUAL_FREEDOM), float(floor)
    )


def _without_outliers(window: _Window, measured: Complex, sigmas: float, floor: float) -> Complex:
    """Pull outliers back to the course of their track.

    Least absolute deviations find the course (iteratively reweighted least squares), Tukey's
    biweight then says how far each of the ``(N, K)`` points is to be trusted.
    """
    weights = window.weights[:, None]
    degree = 2 if len(window.steps) >= 7 else 1
    basis = np.vander(window.steps, degree + 1, increasing=True)
    trust = np.repeat(weights, measured.shape[1], axis=1)
    distance: Real = np.zeros(measured.shape)
    for _ in range(_ROBUST_STEPS):
        distance = np.abs(measured - _course(basis, measured, trust))
        trust = weights / np.maximum(distance, floor)
    limit = sigmas * max(float(np.median(distance)) / _RAYLEIGH_MEDIAN, floor)
    kept = np.maximum(_tukey(distance / limit), 1e-6)
    course = _course(basis, measured, weights * kept)
    # Doubled, so that ordinary deviations stay as they are and only far ones are pulled.
    kept = np.minimum(1.0, 2 * _tukey(np.abs(measured - course) / limit))
    return course + kept * (measured - course)


def _tukey(distance: Real) -> Real:
    return np.square(np.maximum(0.0, 1 - np.square(distance)))


def _course(basis: Real, measured: Complex, trust: Real) -> Complex:
    """Fit every column of ``(N, K)`` with its own ``(N, K)`` weights; return the fit."""
    weighted = np.einsum("nd,nk->kdn", basis, trust)
    normal = weighted @ basis
    right = np.einsum("kdn,nk->kd", weighted, measured)
    parts = np.stack([right.real, right.imag], axis=2)
    solved: Real = np.asarray(np.linalg.solve(normal, parts), dtype=np.float64)
    return basis @ (solved[:, :, 0] + 1j * solved[:, :, 1]).T
