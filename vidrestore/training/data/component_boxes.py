"""Boxes of eyes and mouth, for the component discriminators (GFP-GAN, section 3.5)."""

import numpy as np
from numpy.typing import NDArray

COMPONENTS = ("left_eye", "right_eye", "mouth")
"""Left and right of the image."""

_EYE_RATIO = 0.64
"""Side of an eye's box over the distance between the eyes: 80 px in the 512 crop."""
_MOUTH_RATIO, _MIN_MOUTH_RATIO = 1.1, 0.95
"""Side of the mouth's box over the mouth's width; at least over the distance between the eyes."""


def component_boxes(points_xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return square boxes ``(3, 4)``, x0 y0 x1 y1, around ``COMPONENTS``.

    Args:
        points_xy: ``(5, 2)`` landmarks; the boxes are in their pixels.
    """
    eyes = float(np.linalg.norm(points_xy[1] - points_xy[0]))
    mouth = float(np.linalg.norm(points_xy[4] - points_xy[3]))
    mouth_side = max(_MOUTH_RATIO * mouth, _MIN_MOUTH_RATIO * eyes)
    centers = np.stack([points_xy[0], points_xy[1], points_xy[3:].mean(axis=0)])
    halves = np.array([_EYE_RATIO * eyes, _EYE_RATIO * eyes, mouth_side])[:, None] / 2
    return np.concatenate([centers - halves, centers + halves], axis=1)
