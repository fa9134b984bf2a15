"""Small films with a face: the example's, cut, turned and numbered."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from support.clips import Clip, Sound, make_clip, numbered_picture
from support.faces import example_images

FACE_SIZE_HW = (240, 320)


def face_picture(number: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a frame of the example with its number in blocks at the top left."""
    height, width = size_hw
    pictures = example_images(24)
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


def three_shots(
    number: int, size_hw: tuple[int, int], *, stripes: range = range(6, 12)
) -> NDArray[np.uint8]:
    """Return a face, then stripes in the frames that are named, then the face again."""
    if number in stripes:
        return np.ascontiguousarray(numbered_picture(number, size_hw)[::-1])
    return face_picture(number, size_hw)


def three_shot_film(path: Path, *, frames: int, stripes: range = range(6, 12)) -> Path:
    """Write a film of three shots, with B-frames and audio."""
    clip = Clip(
        size_hw=FACE_SIZE_HW,
        ticks=tuple(range(frames)),
        picture=lambda number, size_hw: three_shots(number, size_hw, stripes=stripes),
        sounds=(Sound(seconds=Fraction(frames, 25)),),
    )
    return make_clip(path, clip)
