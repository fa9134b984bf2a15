"""PNG pictures with other samples and everything else as it was: text, profiles, resolution, EXIF.

Chunks follow the PNG specification, third edition (W3C, 2025), sections 5 and 9.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.media.images.still_image import ImageFileError
from vidrestore.types import Plane

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY, _RGB, _GRAY_ALPHA, _RGBA = 0, 2, 4, 6
_UP = 2
_LEVEL = 3


def is_png(data: bytes) -> bool:
    """Whether the bytes of a file begin like a PNG picture."""
    return data.startswith(_SIGNATURE)


def rewritten_png(data: bytes, planes: tuple[Plane, ...]) -> bytes | None:
    """Return a PNG file with other samples of the same size, and every other chunk as in ``data``.

    Args:
        data: The file.
        planes: G B R [A], or gray, as ``read_picture`` gives them.

    Returns:
        None where the samples need another kind of PNG: of palettes, of fewer than 8 bits.

    Raises:
        ImageFileError: ``data`` is damaged.
    """
    chunks = list(_chunks(data))
    header = next((body for kind, body in chunks if kind == b"IHDR"), b"")
    if len(header) != 13:
        raise ImageFileError("it is a damaged PNG; get another copy")
    width, height, depth, color_type = struct.unpack(">IIBB", header[:10])
    wanted = (planes[0].shape, 8 * planes[0].itemsize, len(planes))
    channels = {_GRAY: 1, _RGB: 3, _RGBA: 4, _GRAY_ALPHA: 4}.get(color_type)
    transparent = any(kind == b"tRNS" for kind, _ in chunks)
    if wanted != ((height, width), depth, channels) or transparent:
        return None
    if color_type == _GRAY_ALPHA:
        green, blue, red, alpha = planes
        if not (np.array_equal(green, blue) and np.array_equal(green, red)):
            return None
        compressed = [_compressed(np.stack([green, alpha], axis=2))]
    else:
        compressed = _compressed_by_opencv(planes)
    # What OpenCV and this module write is not interlaced.
    plain = header[:12] + b"\0"
    return _SIGNATURE + b"".join(_replaced(chunks, plain, compressed))


def _replaced(
    chunks: list[tuple[bytes, bytes]], header: bytes, compressed: list[bytes]
) -> Iterator[bytes]:
    written = False
    for kind, body in chunks:
        if kind == b"IDAT":
            if not written:
                yield from (_chunk(b"IDAT", part) for part in compressed)
            written = True
            continue
        yield _chunk(kind, header if kind == b"IHDR" else body)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if at + 12 + length > len(data):
            break
        kind = data[at + 4 : at + 8]
        yield kind, data[at + 8 : at + 8 + length]
        at += 12 + length
        if kind == b"IEND":
            return
    raise ImageFileError("it is a damaged PNG; get another copy")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _compressed_by_opencv(planes: tuple[Plane, ...]) -> list[bytes]:
    order = (0,) if len(planes) == 1 else (1, 0, 2, 3)[: len(planes)]
    picture = cv2.merge([planes[at] for at in order]) if len(order) > 1 else planes[0]
    parameters = [cv2.IMWRITE_PNG_COMPRESSION, _LEVEL]
    done, encoded = cv2.imencode(".png", cast("NDArray[np.uint8]", picture), parameters)
    if not done:
        raise ImageFileError("OpenCV cannot write it as PNG; convert it to TIFF")
    return [body for kind, body in _chunks(encoded.tobytes()) if kind == b"IDAT"]


def _compressed(cube: NDArray[np.generic]) -> bytes:
    """Return filtered and compressed lines of ``(h, w, channels)`` samples."""
    wide = cube.astype(">u2" if cube.dtype.itemsize == 2 else "u1")
    lines = np.ascontiguousarray(wide).view(np.uint8).reshape(cube.shape[0], -1)
    above = np.vstack([np.zeros_like(lines[:1]), lines[:-1]])
    filtered = np.hstack([np.full((len(lines), 1), _UP, np.uint8), lines - above])
    return zlib.compress(filtered.tobytes(), _LEVEL)
