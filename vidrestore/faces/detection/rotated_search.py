"""Searching pictures turned by quarter turns, for faces that lie on their side or upside down."""

import cv2
import numpy as np

from vidrestore.faces.detection.boxes import suppress_contained
from vidrestore.faces.detection.detector import Detector, Picture
from vidrestore.types import Affine, Detection

_HALVED_FROM_PX = 480
"""Pictures of so many pixels on the longer side are searched at half their size: turned faces are
rare, and three more searches cost more than all others where a film shows no faces."""


def detect_rotated(detector: Detector, picture: Picture) -> list[Detection]:
    """Search ``picture`` turned by 90, 180 and 270 degrees.

    Large pictures are searched at half their size, and found faces looked at in full.

    Returns:
        Faces in the pixels of ``picture``, best first; points as seen with the face upright.
    """
    if max(picture.shape[:2]) < _HALVED_FROM_PX:
        return _detected(detector, picture)
    height, width = picture.shape[0] // 2, picture.shape[1] // 2
    whole_blocks = picture[: 2 * height, : 2 * width]
    half: Picture = cv2.resize(whole_blocks, (width, height), interpolation=cv2.INTER_AREA)  # pyright: ignore[reportAssignmentType]
    coarse = [face.mapped(_DOUBLED) for face in _detected(detector, half)]
    seen = detector.refine(picture, coarse)
    return [face or guess for face, guess in zip(seen, coarse, strict=True)]


def _detected(detector: Detector, picture: Picture) -> list[Detection]:
    turned = {turns: np.ascontiguousarray(np.rot90(picture, turns)) for turns in (1, 2, 3)}
    sideways = detector.detect([turned[1], turned[3]])
    (upside_down,) = detector.detect([turned[2]])
    found = {1: sideways[0], 2: upside_down, 3: sideways[1]}
    height, width = picture.shape[:2]
    return suppress_contained(
        [
            face.mapped(_back(turns, width, height))
            for turns, faces in found.items()
            for face in faces
        ]
    )


_DOUBLED: Affine = np.array([[2.0, 0.0, 0.5], [0.0, 2.0, 0.5]])
"""From a picture of half the size; centres of samples keep their place."""


def _back(turns: int, width: int, height: int) -> Affine:
    """Return the map from a picture turned counter-clockwise ``turns`` times to the original."""
    maps = {
        1: [[0, -1, width - 1], [1, 0, 0]],
        2: [[-1, 0, width - 1], [0, -1, height - 1]],
        3: [[0, 1, 0], [-1, 0, height - 1]],
    }
    return np.array(maps[turns], dtype=np.float64)
