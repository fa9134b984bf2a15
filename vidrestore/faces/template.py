"""The canonical template: five landmarks in the 512 px crop."""

import numpy as np
from numpy.typing import NDArray

from vidrestore.affine import fit_similarity
from vidrestore.types import Affine, FloatArray

TEMPLATE_LANDMARKS_XY: NDArray[np.float64] = np.array(
    [
        [192.98138, 239.94708],
        [318.90277, 240.1936],
        [256.63416, 314.01935],
        [201.26117, 371.41043],
        [313.08905, 371.15118],
    ]
)
"""Left eye, right eye, nose, left and right mouth corner, as seen, in pixels of the 512 px crop:
the FFHQ alignment that the published restorers use."""
TEMPLATE_LANDMARKS_XY.setflags(write=False)


def similarity_to_template(landmarks_xy: FloatArray | NDArray[np.float64]) -> Affine:
    """Return the map from the space of ``landmarks_xy`` (5, 2) to the 512 px crop.

    Raises:
        ValueError: All landmarks coincide.
    """
    return fit_similarity(landmarks_xy, TEMPLATE_LANDMARKS_XY)


def landmark_roll_radians(landmarks_xy: FloatArray | NDArray[np.float64]) -> float:
    """Return the clockwise rotation of a face in its image, in [-pi, pi].

    Raises:
        ValueError: All landmarks coincide.
    """
    to_template = similarity_to_template(landmarks_xy)
    return float(-np.arctan2(to_template[1, 0], to_template[0, 0]))
