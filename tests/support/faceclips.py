"""Small films with a face: the example's, cut, turned and numbered."""

import cv2
import numpy as np
from numpy.typing import NDArray
from support.clips import numbered_picture
from support.faces import example_pictures

FACE_SIZE_HW = (240, 320)


def face_picture(number: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a picture of the example with its number in blocks at the top left."""
    height, width = size_hw
    pictures = example_pictures(24)
    source = pictures[number % len(pictures)]
    scale = max(height / source.shape[0], width / source.shape[1])
    large = cv2.resize(source, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    picture = np.ascontiguousarray(large[:height, :width], dtype=np.uint8)
    blocks = numbered_picture(number, (8, 96))
    picture[:8, :96] = blocks[:8, :96]
    return picture


def sideways_face_picture(number: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Return ``face_picture`` lying on its side, as a camera held upright records it."""
    height, width = size_hw
    return np.ascontiguousarray(np.rot90(face_picture(number, (width, height))))
