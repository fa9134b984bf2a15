"""What pictures carry beside samples: EXIF, XMP, colour profiles and orientation.

OpenCV passes these on for JPEG and PNG, from version 4.12; elsewhere they are lost.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

# Bytes that announce a tag; most frames have none, and are not decoded a second time.
_ANNOUNCED = (b"Exif\x00", b"eXIf", b"ICC_PROFILE", b"iCCP", b"ns.adobe.com/xap", b"XML:com.adobe")
_EXIF = 0
_ORIENTATION = 0x0112
# EXIF 2.32, table 6: orientation -> mirrored left to right first, then quarter turns clockwise.
LIES: Mapping[int, tuple[bool, int]] = MappingProxyType(
    {
        1: (False, 0), 2: (True, 0), 3: (False, 2), 4: (True, 2),
        5: (True, 3), 6: (False, 1), 7: (True, 1), 8: (False, 3),
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class PictureTags:
    """Blocks of tags by OpenCV's kind, as they are in the file."""

    blocks: Mapping[int, bytes]

    @property
    def lies(self) -> tuple[bool, int]:
        """Whether a viewer mirrors the picture, and its quarter turns clockwise after that."""
        return LIES.get(_orientation(self.blocks.get(_EXIF, b"")), (False, 0))


def tags_of(data: bytes) -> PictureTags:
    """Return the tags of a picture file; none where OpenCV cannot give them."""
    reads = getattr(cv2, "imdecodeWithMetadata", None)
    if reads is None or not any(mark in data for mark in _ANNOUNCED):
        return PictureTags({})
    buffer = np.frombuffer(data, dtype=np.uint8)
    _, kinds, blocks = reads(buffer, flags=cv2.IMREAD_UNCHANGED)
    return PictureTags(
        {
            int(kind): np.asarray(block, dtype=np.uint8).tobytes()
            for kind, block in zip(kinds, blocks, strict=True)
        }
    )


def encoded_with_tags(
    suffix: str, picture: NDArray[np.uint8], tags: PictureTags, parameters: list[int]
) -> bytes | None:
    """Return the bytes of a picture file with tags; None where it cannot be written with them."""
    writes = getattr(cv2, "imencodeWithMetadata", None)
    if writes is None or suffix not in (".jpg", ".jpeg", ".png"):
        return None
    blocks = [np.frombuffer(block, dtype=np.uint8) for block in tags.blocks.values()]
    done, data = writes(suffix, picture, list(tags.blocks), blocks, parameters)
    return data.tobytes() if done else None


def _orientation(exif: bytes) -> int:
    """Read one tag of the first directory of a TIFF block; 1 where it is not there."""
    exif = exif.removeprefix(b"Exif\x00\x00")
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return 1
    (at,) = struct.unpack_from(order + "I", exif, 4)
    if at + 2 > len(exif):
        return 1
    (count,) = struct.unpack_from(order + "H", exif, at)
    for entry in range(at + 2, min(at + 2 + 12 * count, len(exif) - 11), 12):
        tag, _, _, value = struct.unpack_from(order + "HHIH", exif, entry)
        if tag == _ORIENTATION:
            return int(value)
    return 1
