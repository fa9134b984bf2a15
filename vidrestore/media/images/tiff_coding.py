"""The compressions of TIFF, byte for byte.

LZW and PackBits are read by FFmpeg, which finds damage, and written by libtiff in OpenCV.
"""

import struct
import zlib
from collections.abc import Generator
from contextlib import contextmanager

import av
import av.error
import cv2
import numpy as np

from vidrestore.media.color.pixel_formats import PLANAR, plane_views

_NONE, _LZW, _ADOBE_DEFLATE, _DEFLATE, _PACK_BITS = 1, 5, 8, 32946, 32773
COMPRESSIONS = frozenset({_NONE, _LZW, _ADOBE_DEFLATE, _DEFLATE, _PACK_BITS})
"""Codes of what is read and written here: all lose nothing."""


def unpacked_bytes(packed: bytes, compression: int, hw: tuple[int, int]) -> bytes:
    """Return the bytes of ``hw[0]`` lines of ``hw[1]`` bytes.

    Raises:
        ValueError: They are damaged.
    """
    size = hw[0] * hw[1]
    if compression == _NONE:
        raw = packed
    elif compression in (_DEFLATE, _ADOBE_DEFLATE):
        try:
            raw = zlib.decompressobj().decompress(packed, size)
        except zlib.error as error:
            raise ValueError(str(error)) from error
    else:
        raw = _unpacked_by_ffmpeg(packed, compression, hw)
    if len(raw) < size:
        raise ValueError("a strip is too short")
    return raw[:size]


def _unpacked_by_ffmpeg(packed: bytes, compression: int, hw: tuple[int, int]) -> bytes:
    decoder = av.CodecContext.create("tiff", "r")
    # Without it what is missing would be black.
    decoder.options = {"err_detect": "explode"}
    picture = av.Packet(_wrapped(packed, compression, hw))
    try:
        frames = [*decoder.decode(picture), *decoder.decode(None)]
    except av.error.FFmpegError as error:
        raise ValueError("a strip is damaged") from error
    if len(frames) != 1:
        raise ValueError("a strip is damaged")
    return plane_views(frames[0], PLANAR["gray"])[0].tobytes()


@contextmanager
def silent_opencv() -> Generator[None]:
    """Keep OpenCV's complaints about damaged files off the terminal."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def packed_bytes(raw: bytes, compression: int, hw: tuple[int, int]) -> bytes:
    """Return ``hw[0]`` lines of ``hw[1]`` bytes, compressed."""
    if compression == _NONE:
        return raw
    if compression in (_DEFLATE, _ADOBE_DEFLATE):
        return zlib.compress(raw)
    lines = np.frombuffer(raw, np.uint8).reshape(hw)
    parameters = [
        cv2.IMWRITE_TIFF_COMPRESSION, compression,
        cv2.IMWRITE_TIFF_PREDICTOR, cv2.IMWRITE_TIFF_PREDICTOR_NONE,
        cv2.IMWRITE_TIFF_ROWSPERSTRIP, hw[0],
    ]  # fmt: skip
    done, encoded = cv2.imencode(".tif", lines, parameters)
    if not done:
        raise ValueError("OpenCV cannot compress a strip")
    return _only_strip(encoded.tobytes())


def _wrapped(packed: bytes, compression: int, hw: tuple[int, int]) -> bytes:
    """Return a TIFF file of 8-bit gray whose only strip is ``packed``."""
    tags = (
        (256, hw[1]), (257, hw[0]), (258, 8), (259, compression), (262, 1), (273, 0), (277, 1),
        (278, hw[0]), (279, len(packed)),
    )  # fmt: skip
    directory_bytes = 2 + 12 * len(tags) + 4
    entries = b"".join(
        struct.pack("<HHII", tag, 4, 1, 8 + directory_bytes if tag == 273 else value)
        for tag, value in tags
    )
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    return head + entries + bytes(4) + packed


def _only_strip(data: bytes) -> bytes:
    """Return the strip of a small-endian TIFF file with one."""
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    found: dict[int, int] = {}
    for start in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, length = struct.unpack_from("<HHI", data, start)
        if tag in (273, 279):
            if length != 1:
                raise ValueError("OpenCV wrote more than one strip")
            (found[tag],) = struct.unpack_from("<H" if kind == 3 else "<I", data, start + 8)
    return data[found[273] : found[273] + found[279]]
