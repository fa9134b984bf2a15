"""Searches rotated images for faces that lie on their side or upside down."""

import cv2
import numpy as np

from vidrestore.faces.detection.boxes import suppress_contained
from vidrestore.faces.detection.detector import Detector, RgbImage
from vidrestore.types import Affine, Detection

_HALVED_FROM_PX = 480
"""Images with so many pixels on the longer side are searched at half their size. Such faces are
rare, and in a film without faces these three searches would cost more than all others."""


def detect_rotated(detector: Detector, image: RgbImage) -> list[Detection]:
    """Search ``image`` rotated by 90, 180 and 270 degrees.

    Large images are searched at half their size, and their faces refined at full size.

    Returns:
        Faces in pixels of ``image``, best first; landmarks in their order on an upright face.
    """
    if max(image.shape[:2]) < _HALVED_FROM_PX:
        return _detect(detector, image)
    height, width = image.shape[0] // 2, image.shape[1] // 2
    whole_blocks = image[: 2 * height, : 2 * width]
    half: RgbImage = cv2.resize(whole_blocks, (width, height), interpolation=cv2.INTER_AREA)  # pyright: ignore[reportAssignmentType]
    coarse = [face.mapped(_DOUBLED) for face in _detect(detector, half)]
    refined = detector.refine(image, coarse)
    return [fine or face for fine, face in zip(refined, coarse, strict=True)]


def _detect(detector: Detector, image: RgbImage) -> list[Detection]:
    rotated = {turns: np.ascontiguousarray(np.rot90(image, turns)) for turns in (1, 2, 3)}
    sideways = detector.detect([rotated[1], rotated[3]])
    (upside_down,) = detector.detect([rotated[2]])
    by_turns = {1: sideways[0], 2: upside_down, 3: sideways[1]}
    height, width = image.shape[:2]
    return suppress_contained(
        [
            face.mapped(_to_original(turns, width, height))
            for turns, faces in by_turns.items()
            for face in faces
        ]
    )


_DOUBLED: Affine = np.array([[2.0, 0.0, 0.5], [0.0, 2.0, 0.5]])
"""Map from an image of half the size; sample centers correspond."""


def _to_original(turns: int, width: int, height: int) -> Affine:
    """Return the map from an image rotated ``turns`` times counter-clockwise to the original."""
    maps = {
        1: [[0, -1, width - 1], [1, 0, 0]],
        2: [[-1, 0, width - 1], [0, -1, height - 1]],
        3: [[0, 1, 0], [-1, 0, height - 1]],
    }
    return np.array(maps[turns], dtype=np.float64)
