"""Distances and jitter of facial landmarks, from whatever detector gave them."""

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


def landmark_distance_px(first_xy: Points, second_xy: Points) -> float:
    """Return the mean distance of corresponding points, ``(..., 2)``, in their pixels."""
    return float(np.linalg.norm(first_xy - second_xy, axis=-1).mean())


def landmark_jitter_px(landmarks_xy: Points, reference_xy: Points | None = None) -> float:
    """Return how much landmarks tremble: the mean change of their error from frame to frame.

    The reference's own motion does not count. Without one, what counts is the acceleration, which
    a steady motion does not have.

    Args:
        landmarks_xy: ``(T, P, 2)``, one set of points a frame; NaN where no face was found, which
            leaves out the steps from and to that frame.
        reference_xy: The same points in the undegraded clip, or None.

    Raises:
        ValueError: There are too few frames.
    """
    least = 2 if reference_xy is not None else 3
    if len(landmarks_xy) < least:
        raise ValueError(f"jitter needs {least} frames or more, got {len(landmarks_xy)}")
    if reference_xy is None:
        steps = np.diff(landmarks_xy, n=2, axis=0)
    else:
        steps = np.diff(landmarks_xy - reference_xy, axis=0)
    lengths = np.linalg.norm(steps, axis=-1)
    known = lengths[np.isfinite(lengths)]
    return float(known.mean()) if known.size else float("nan")
