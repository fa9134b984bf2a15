"""Replaces samples of JPEG images; EXIF, XMP, profiles, resolution and comments stay.

Marker segments follow ITU-T T.81, annex B.
"""

import struct
from collections.abc import Iterator

import cv2
import numpy as np

from vidrestore.media.images.still_image import ImageFileError
from vidrestore.types import Plane

JPEG_QUALITY = 98
JPEG_START = b"\xff\xd8"
_SCAN = 0xDA
_APP0, _APP2, _APP14, _APP15, _COMMENT = 0xE0, 0xE2, 0xEE, 0xEF, 0xFE
_ICC = b"ICC_PROFILE\0"
_PROFILE_COLOR_SPACE = slice(len(_ICC) + 2 + 16, len(_ICC) + 2 + 20)


def jpeg_parameters(quality: int = JPEG_QUALITY) -> list[int]:
    """Return OpenCV's parameters for JPEG with chroma in full size."""
    return [
        cv2.IMWRITE_JPEG_QUALITY, quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]  # fmt: skip


def replace_jpeg_samples(data: bytes, planes: tuple[Plane, ...]) -> bytes:
    """Return a JPEG file with other samples, recompressed, and the metadata of ``data``.

    A CMYK profile is dropped, because the new samples are RGB; so is an index of further images.

    Args:
        data: The file.
        planes: G B R, or gray, with 8 bits and any size.

    Raises:
        ImageFileError: ``data`` is damaged.
    """
    channels = [planes[0]] if len(planes) == 1 else [planes[1], planes[0], planes[2]]
    _, encoded = cv2.imencode(".jpg", np.stack(channels, axis=2), jpeg_parameters())
    encoded_segments = _segments(encoded.tobytes())
    metadata = [segment for segment in _segments(data) if _is_metadata(*segment)]
    has_jfif = any(marker == _APP0 for marker, _ in metadata)
    coding = [
        (marker, body) for marker, body in encoded_segments if marker != _APP0 or not has_jfif
    ]
    # JFIF must come first.
    ordered = metadata + coding if has_jfif else coding[:1] + metadata + coding[1:]
    return JPEG_START + b"".join(_segment(marker, body) for marker, body in ordered)


def _is_metadata(marker: int, body: bytes) -> bool:
    """Whether a segment stays valid for other samples; APP14 states how the old ones are coded."""
    if marker == _APP2:
        is_index = body.startswith(b"MPF\0")
        return not is_index and not (
            body.startswith(_ICC) and body[_PROFILE_COLOR_SPACE] == b"CMYK"
        )
    return marker == _COMMENT or (_APP0 <= marker <= _APP15 and marker != _APP14)


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and body of each segment; the last is the scan, up to the end of the file."""
    offset = 2
    while offset + 4 <= len(data) and data[offset] == 0xFF:
        marker = data[offset + 1]
        if marker == 0xFF:
            offset += 1
            continue
        (length,) = struct.unpack_from(">H", data, offset + 2)
        if marker == _SCAN:
            yield marker, data[offset + 4 :]
            return
        yield marker, data[offset + 4 : offset + 2 + length]
        offset += 2 + length
    raise ImageFileError("it is a damaged JPEG; get another copy")


def _segment(marker: int, body: bytes) -> bytes:
    if marker == _SCAN:
        components = body[0]
        return struct.pack(">BBH", 0xFF, marker, 6 + 2 * components) + body
    return struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body
