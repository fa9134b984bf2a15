"""Replaces samples of PNG images; text, profiles, resolution and EXIF stay.

Chunks follow the PNG specification, third edition (W3C, 2025), sections 5 and 9.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidrestore.media.images.openimageio import read_integer_image
from vidrestore.media.images.still_image import ImageFileError, StillImage
from vidrestore.types import Plane

_DAMAGED = "it is a damaged PNG; get another copy"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Planes by color type (gray with alpha has G, B, R and A), and the plane of each channel.
_GRAY, _RGB, _GRAY_ALPHA, _RGBA = 0, 2, 4, 6
_PLANE_COUNTS = {_GRAY: 1, _RGB: 3, _GRAY_ALPHA: 4, _RGBA: 4}
_PLANES = {_GRAY: (0,), _RGB: (2, 0, 1), _GRAY_ALPHA: (0, 3), _RGBA: (2, 0, 1, 3)}
_UP_FILTER = 2
_COMPRESSION_LEVEL = 3


def read_png(path: Path) -> StillImage:
    """Return the samples of a PNG image.

    Raises:
        ImageFileError: The file is damaged.
    """
    # Damage is found here, because libpng would print it on the terminal.
    for kind, body, checksum in _checked_chunks(path.read_bytes()):
        is_critical = not kind[0] & 0x20
        if is_critical and zlib.crc32(kind + body) != checksum:
            raise ImageFileError(_DAMAGED)
    return read_integer_image(path)


def replace_png_samples(data: bytes, planes: tuple[Plane, ...]) -> bytes | None:
    """Return a PNG file with other samples of the same size; all other chunks stay.

    Args:
        data: The file.
        planes: G B R [A], or gray.

    Returns:
        None if ``data`` cannot store them: it has a palette, or fewer than 8 bits.

    Raises:
        ImageFileError: ``data`` is damaged.
    """
    chunks = list(_chunks(data))
    header = next((body for kind, body in chunks if kind == b"IHDR"), b"")
    if len(header) != 13:
        raise ImageFileError(_DAMAGED)
    width, height, depth, color_type = struct.unpack(">IIBB", header[:10])
    new_format = (planes[0].shape, 8 * planes[0].itemsize, len(planes))
    has_transparent_color = any(kind == b"tRNS" for kind, _ in chunks)
    if has_transparent_color or new_format != (
        (height, width), depth, _PLANE_COUNTS.get(color_type),
    ):  # fmt: skip
        return None
    if color_type == _GRAY_ALPHA and not all(np.array_equal(planes[0], p) for p in planes[1:3]):
        return None
    samples = np.stack([planes[number] for number in _PLANES[color_type]], axis=2)
    # The last byte says that the samples are not interlaced.
    return PNG_SIGNATURE + b"".join(
        _replace_chunks(chunks, header[:12] + b"\0", _compress(samples))
    )


def _replace_chunks(
    chunks: list[tuple[bytes, bytes]], header: bytes, compressed: bytes
) -> Iterator[bytes]:
    is_written = False
    for kind, body in chunks:
        if kind != b"IDAT":
            yield _chunk(kind, header if kind == b"IHDR" else body)
        elif not is_written:
            yield _chunk(kind, compressed)
            is_written = True


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    yield from ((kind, body) for kind, body, _ in _checked_chunks(data))


def _checked_chunks(data: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield type, body and stated CRC of every chunk up to the last.

    Raises:
        ImageFileError: The last chunk is missing.
    """
    offset = len(PNG_SIGNATURE)
    while offset + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, offset)
        if offset + 12 + length > len(data):
            break
        kind = data[offset + 4 : offset + 8]
        (checksum,) = struct.unpack_from(">I", data, offset + 8 + length)
        yield kind, data[offset + 8 : offset + 8 + length], checksum
        offset += 12 + length
        if kind == b"IEND":
            return
    raise ImageFileError(_DAMAGED)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _compress(samples: NDArray[np.generic]) -> bytes:
    """Return filtered and compressed lines of ``(h, w, channels)`` samples."""
    stored = samples.astype(">u2" if samples.dtype.itemsize == 2 else "u1")
    lines = np.ascontiguousarray(stored).view(np.uint8).reshape(samples.shape[0], -1)
    above = np.vstack([np.zeros_like(lines[:1]), lines[:-1]])
    filtered = np.hstack([np.full((len(lines), 1), _UP_FILTER, np.uint8), lines - above])
    return zlib.compress(filtered.tobytes(), _COMPRESSION_LEVEL)
