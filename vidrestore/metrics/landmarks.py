"""Distance and jitter of facial landmarks."""

import numpy as np
from numpy.typing import NDArray

from vidrestore.types.landmark_jump import landmark_jump_px

Landmarks = NDArray[np.float64]


def landmark_distance_px(first_xy: Landmarks, second_xy: Landmarks) -> float:
    """Return the mean distance of corresponding points, ``(..., 2)``, in their pixels."""
    return float(np.linalg.norm(first_xy - second_xy, axis=-1).mean())


def landmark_jitter_px(landmarks_xy: Landmarks, reference_xy: Landmarks | None = None) -> float:
    """Return the jitter of landmarks: the mean change of their error from frame to frame.

    The motion of the reference does not count. Without a reference it is the mean acceleration,
    which is 0 for steady motion.

    Args:
        landmarks_xy: ``(T, P, 2)``, one set per frame; NaN where no face was found, which leaves
            out the steps from and to that frame.
        reference_xy: The same landmarks in the undegraded clip, or None.

    Raises:
        ValueError: There are too few frames.
    """
    min_frames = 2 if reference_xy is not None else 3
    if len(landmarks_xy) < min_frames:
        raise ValueError(f"jitter needs {min_frames} frames or more, got {len(landmarks_xy)}")
    if reference_xy is None:
        triples = zip(landmarks_xy, landmarks_xy[1:], landmarks_xy[2:], strict=False)
        lengths = np.array([landmark_jump_px(*triple) for triple in triples])
    else:
        lengths = np.linalg.norm(np.diff(landmarks_xy - reference_xy, axis=0), axis=-1)
    known = lengths[np.isfinite(lengths)]
    return float(known.mean()) if known.size else float("nan")
