"""Affine maps between pixel spaces: fitting, composing, inverting. Pure NumPy."""

from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vidrestore.types import Affine


def fit_similarity(source_xy: ArrayLike, target_xy: ArrayLike) -> Affine:
    """Return the similarity that best maps ``source_xy`` to ``target_xy``.

    Least squares over rotation, uniform scale and translation, never a reflection
    (Umeyama 1991, "Least-squares estimation of transformation parameters between two point
    patterns", equations 40 to 43, specialized to two dimensions).

    Args:
        source_xy: ``(N, 2)`` points, N at least 2, not all equal.
        target_xy: ``(N, 2)`` points.

    Returns:
        ``(2, 3)`` float64.

    Raises:
        ValueError: All source points coincide.
    """
    source: NDArray[np.float64] = np.asarray(source_xy, dtype=np.float64)
    target: NDArray[np.float64] = np.asarray(target_xy, dtype=np.float64)
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    centerd, moved = source - source_mean, target - target_mean
    spread = float((centerd**2).sum())
    if spread <= 0:
        raise ValueError("all source points coincide")
    # In two dimensions the optimal rotation and scale are one complex number.
    real = float((centerd * moved).sum()) / spread
    imaginary = float((centerd[:, 0] * moved[:, 1] - centerd[:, 1] * moved[:, 0]).sum()) / spread
    linear = np.array([[real, -imaginary], [imaginary, real]])
    shift = target_mean - linear @ source_mean
    return np.concatenate([linear, shift[:, None]], axis=1)


def compose_affines(first: Affine, second: Affine) -> Affine:
    """Return the map that applies ``first``, then ``second``."""
    # Written out: NumPy's matrix functions take several times as long for six numbers.
    (a, b, c), (d, e, f) = first.tolist()
    return np.array(
        [[g * a + h * d, g * b + h * e, g * c + h * f + shift] for g, h, shift in second.tolist()]
    )


def invert_affine(affine: Affine) -> Affine:
    """Return the inverse map.

    Raises:
        ValueError: The map is singular.
    """
    (a, b, c), (d, e, f) = affine.tolist()
    determinant = a * e - b * d
    if abs(determinant) < 1e-12:
        raise ValueError(f"affine map is singular: {affine.tolist()}")
    a, b, d, e = e / determinant, -b / determinant, -d / determinant, a / determinant
    return np.array([[a, b, -(a * c + b * f)], [d, e, -(d * c + e * f)]])


def apply_affine(affine: Affine, landmarks_xy: ArrayLike) -> NDArray[np.float64]:
    """Return ``(N, 2)`` points mapped by ``affine``."""
    points: NDArray[np.float64] = np.asarray(landmarks_xy, dtype=np.float64)
    return points @ affine[:, :2].T + affine[:, 2]


def translation(x: float, y: float) -> Affine:
    """Return the map that adds ``(x, y)``, as from a region of a picture to the picture."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y]])


def scaling(ratio_x: float, ratio_y: float | None = None) -> Affine:
    """Return the map to the pixels of the same picture in another size.

    Its edges stay in place, so the centers of its pixels shift.

    Args:
        ratio_x: Of the new width to the old one.
        ratio_y: The same of the height; None is ``ratio_x``.
    """
    ratio_y = ratio_x if ratio_y is None else ratio_y
    return np.array([[ratio_x, 0.0, (ratio_x - 1) / 2], [0.0, ratio_y, (ratio_y - 1) / 2]])


def scale_of(affine: Affine) -> float:
    """Return the mean magnification: the square root of the area ratio."""
    (a, b, _), (c, d, _) = affine.tolist()
    return sqrt(abs(a * d - b * c))
