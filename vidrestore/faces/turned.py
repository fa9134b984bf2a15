"""Searching pictures turned by quarter turns, for faces that lie on their side or upside down."""

import numpy as np

from vidrestore.faces.detector import Detector, Picture
from vidrestore.faces.windows import without_contained
from vidrestore.types import Affine, Detection


def detect_turned(detector: Detector, picture: Picture) -> list[Detection]:
    """Search ``picture`` turned by 90, 180 and 270 degrees.

    Returns:
        Faces in the pixels of ``picture``, best first; points as seen with the face upright.
    """
    turned = {turns: np.ascontiguousarray(np.rot90(picture, turns)) for turns in (1, 2, 3)}
    sideways = detector.detect([turned[1], turned[3]])
    (upside_down,) = detector.detect([turned[2]])
    found = {1: sideways[0], 2: upside_down, 3: sideways[1]}
    height, width = picture.shape[:2]
    return without_contained(
        [
            face.mapped(_back(turns, width, height))
            for turns, faces in found.items()
            for face in faces
        ]
    )


def _back(turns: int, width: int, height: int) -> Affine:
    """Return the map from a picture turned counter-clockwise ``turns`` times to the original."""
    maps = {
        1: [[0, -1, width - 1], [1, 0, 0]],
        2: [[-1, 0, width - 1], [0, -1, height - 1]],
        3: [[0, 1, 0], [-1, 0, height - 1]],
    }
    return np.array(maps[turns], dtype=np.float64)
