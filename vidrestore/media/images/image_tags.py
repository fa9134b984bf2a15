"""Copies EXIF, XMP and color profiles of images to new files.

OpenCV reads and writes them for JPEG and PNG, from version 4.12; in other formats they are lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

# Bytes before a tag; most images have none, and are not decoded a second time.
_MARKERS = (b"Exif\x00", b"eXIf", b"ICC_PROFILE", b"iCCP", b"ns.adobe.com/xap", b"XML:com.adobe")
_COLOR_SPACE = slice(16, 20)
"""Position in an ICC profile (ICC.1:2022, table 17)."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageTags:
    """Blocks of tags, as stored in the file, by OpenCV's type."""

    blocks: Mapping[int, bytes]


def read_tags(data: bytes) -> ImageTags:
    """Return the tags of an image file; empty if OpenCV cannot read them.

    A CMYK profile is dropped, because images are read as RGB.
    """
    read = getattr(cv2, "imdecodeWithMetadata", None)
    if read is None or not any(marker in data for marker in _MARKERS):
        return ImageTags({})
    buffer = np.frombuffer(data, dtype=np.uint8)
    _, types, arrays = read(buffer, flags=cv2.IMREAD_UNCHANGED)
    blocks = [np.asarray(array, dtype=np.uint8).tobytes() for array in arrays]
    return ImageTags(
        {
            int(number): block
            for number, block in zip(types, blocks, strict=True)
            if block[_COLOR_SPACE] != b"CMYK"
        }
    )


def encode_with_tags(
    suffix: str, image: NDArray[np.uint8], tags: ImageTags, parameters: list[int]
) -> bytes | None:
    """Return the bytes of an image file with tags; None if OpenCV cannot write them."""
    write = getattr(cv2, "imencodeWithMetadata", None)
    if write is None or suffix not in (".jpg", ".jpeg", ".png"):
        return None
    blocks = [np.frombuffer(block, dtype=np.uint8) for block in tags.blocks.values()]
    is_written, data = write(suffix, image, list(tags.blocks), blocks, parameters)
    return data.tobytes() if is_written else None
