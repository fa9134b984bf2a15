"""Replaces samples of TIFF images strip by strip; OpenImageIO reads them.

Only strips (or tiles) whose samples changed are rewritten: all tags, other pages, private data and
the bytes of other strips stay. TIFF 6.0 (Adobe, 1992).
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.types import Plane

TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# Code of ``struct`` by type of value; other types are skipped.
_CODES = {
    1: "B", 2: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q",
}  # fmt: skip
_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIPS, _CHANNELS, _ROWS_PER_STRIP, _STRIP_SIZES = 273, 277, 278, 279
_PLANAR_CONFIG, _PREDICTOR, _TILE_WIDTH, _TILE_LENGTH = 284, 317, 322, 323
_TILES, _TILE_SIZES, _SAMPLE_FORMAT = 324, 325, 339
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_SEPARATE = 2
_DIFFERENCES = 2
_NONE, _LZW, _ADOBE_DEFLATE, _DEFLATE, _PACK_BITS = 1, 5, 8, 32946, 32773
# Plane of each channel, by number of channels in the file.
_PLANES = {1: (0,), 2: (0, 3), 3: (2, 0, 1), 4: (2, 0, 1, 3)}

_Samples: TypeAlias = NDArray[np.uint8 | np.uint16]


def replace_tiff_samples(
    data: bytes, before: tuple[Plane, ...], after: tuple[Plane, ...]
) -> bytes | None:
    """Return a TIFF file with other samples of the same size.

    Args:
        data: The file.
        before: Its samples: G B R [A], or gray.
        after: The new samples, in the same order.

    Returns:
        None if the first page cannot store them: palettes, lossy compressions, other depths,
        gray with alpha that gained color, or offsets that no longer fit.
    """
    try:
        page = _Page(data)
        if not page.is_supported or len(after) != (1 if page.channel_count == 1 else len(before)):
            return None
        if page.hw != after[0].shape or page.bits != 8 * after[0].itemsize:
            return None
        if page.channel_count == 2 and not all(np.array_equal(after[0], p) for p in after[1:3]):
            return None
        order = _PLANES[page.channel_count]
        return page.with_samples(
            np.stack([before[plane] for plane in order], axis=2),
            np.stack([after[plane] for plane in order], axis=2),
        )
    except (struct.error, IndexError, KeyError):
        return None


@dataclass(frozen=True, slots=True)
class _Tag:
    """One entry of a directory."""

    values: tuple[int, ...]
    offset: int
    """Where the values are in the file."""
    code: str
    """Code of ``struct``, with the byte order."""


@dataclass(frozen=True, slots=True)
class _Segment:
    """A strip or a tile."""

    number: int
    channels: slice
    top: int
    left: int
    hw: tuple[int, int]
    """Stored size: tiles at the right and lower edges extend beyond the image."""

    def of(self, cube: _Samples) -> _Samples:
        """Return the part of ``(h, w, channels)`` samples inside the image."""
        rows, columns = self.hw
        return cube[self.top : self.top + rows, self.left : self.left + columns, self.channels]


class _Page:
    """The first page of a file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._order = "<" if data[:2] == b"II" else ">"
        self._tags = _directory(data, self._order)
        self.hw = self._first(_LENGTH, 0), self._first(_WIDTH, 0)
        self.channel_count = self._first(_CHANNELS, 1)
        self.bits = self._first(_BITS, 1)
        self._compression = self._first(_COMPRESSION, 1)
        self._tiled = _TILES in self._tags

    def _first(self, tag: int, default: int) -> int:
        return self._tags[tag].values[0] if tag in self._tags else default

    def _all(self, tag: int) -> set[int]:
        return set(self._tags[tag].values) if tag in self._tags else {1}

    @property
    def is_supported(self) -> bool:
        """Whether strips of this page can be written."""
        photometric = self._first(_PHOTOMETRIC, -1)
        models = {
            (_WHITE_IS_ZERO, 1),
            (_BLACK_IS_ZERO, 1),
            (_BLACK_IS_ZERO, 2),
            (_RGB, 3),
            (_RGB, 4),
        }
        tables = (_TILES, _TILE_SIZES) if self._tiled else (_STRIPS, _STRIP_SIZES)
        return (
            (photometric, self.channel_count) in models
            and self._all(_BITS) in ({8}, {16})
            and self._all(_SAMPLE_FORMAT) == {1}
            and self._compression in (_NONE, _LZW, _ADOBE_DEFLATE, _DEFLATE, _PACK_BITS)
            and self._first(_PREDICTOR, 1) in (1, _DIFFERENCES)
            and self._first(_FILL_ORDER, 1) == 1
            and set(tables) <= set(self._tags)
        )

    def _segments(self) -> Iterator[_Segment]:
        height, width = self.hw
        if self._tiled:
            rows, columns = self._first(_TILE_LENGTH, 0), self._first(_TILE_WIDTH, 0)
        else:
            rows, columns = min(height, self._first(_ROWS_PER_STRIP, height)), width
        separate = self._first(_PLANAR_CONFIG, 1) == _SEPARATE
        groups = (
            [slice(channel, channel + 1) for channel in range(self.channel_count)]
            if separate
            else [slice(None)]
        )
        corners = product(groups, range(0, height, rows), range(0, width, columns))
        for number, (channels, top, left) in enumerate(corners):
            stored_rows = rows if self._tiled else min(rows, height - top)
            yield _Segment(number, channels, top, left, (stored_rows, columns))

    def with_samples(self, before: _Samples, after: _Samples) -> bytes:
        """Return the file with the samples of ``after``, ``(h, w, channels)``.

        Raises:
            struct.error: An offset does not fit.
        """
        copy = bytearray(self._data)
        for segment in self._segments():
            new = segment.of(after)
            if not np.array_equal(segment.of(before), new):
                self._put(copy, segment, self._compress(self._stored(new, segment.hw)))
        return bytes(copy)

    def _stored(self, samples: _Samples, hw: tuple[int, int]) -> _Samples:
        """Return samples as stored: padded to a tile, inverted if white is 0, as differences."""
        missing = [(0, full - size) for full, size in zip(hw, samples.shape[:2], strict=True)]
        stored = np.pad(samples, [*missing, (0, 0)], mode="edge")
        if self._first(_PHOTOMETRIC, _BLACK_IS_ZERO) == _WHITE_IS_ZERO:
            stored = np.invert(stored)
        if self._first(_PREDICTOR, 1) == _DIFFERENCES and self._compression != _NONE:
            stored = np.concatenate([stored[:, :1], stored[:, 1:] - stored[:, :-1]], axis=1)
        return stored.astype(f"{self._order}u{self.bits // 8}")

    def _compress(self, samples: _Samples) -> bytes:
        raw = samples.tobytes()
        if self._compression == _NONE:
            return raw
        if self._compression in (_DEFLATE, _ADOBE_DEFLATE):
            return zlib.compress(raw)
        return _compress_with_libtiff(raw, self._compression, len(samples))

    def _put(self, copy: bytearray, segment: _Segment, payload: bytes) -> None:
        """Overwrite a segment, or append it if it has grown."""
        tags = (_TILES, _TILE_SIZES) if self._tiled else (_STRIPS, _STRIP_SIZES)
        offsets, sizes = (self._tags[tag] for tag in tags)
        offset = offsets.values[segment.number]
        if len(payload) > sizes.values[segment.number]:
            copy.extend(b"\0" * (len(copy) % 2))
            offset = len(copy)
        copy[offset : offset + len(payload)] = payload
        for table, value in ((offsets, offset), (sizes, len(payload))):
            entry = table.offset + segment.number * struct.calcsize(table.code)
            struct.pack_into(table.code, copy, entry, value)


def _directory(data: bytes, order: str) -> dict[int, _Tag]:
    """Return the tags of the first page of a TIFF or BigTIFF file."""
    big = data[2:4] in (b"+\0", b"\0+")
    count_code, offset_code, inline_bytes = ("Q", "Q", 8) if big else ("H", "I", 4)
    head = struct.Struct(order + ("HHQ" if big else "HHI"))
    (start,) = struct.unpack_from(order + offset_code, data, 8 if big else 4)
    (count,) = struct.unpack_from(order + count_code, data, start)
    start += struct.calcsize(count_code)
    tags: dict[int, _Tag] = {}
    for number in range(count):
        entry = start + number * (head.size + inline_bytes)
        tag, kind, length = head.unpack_from(data, entry)
        if (code := _CODES.get(kind)) is None:
            continue
        offset = entry + head.size
        if length * struct.calcsize(code) > inline_bytes:
            (offset,) = struct.unpack_from(order + offset_code, data, offset)
        values = struct.unpack_from(f"{order}{length}{code}", data, offset)
        tags[tag] = _Tag(values, offset, order + code)
    return tags


def _compress_with_libtiff(raw: bytes, compression: int, rows: int) -> bytes:
    """Compress bytes by LZW or PackBits: OpenCV writes them as a TIFF file with one gray strip."""
    parameters = [
        cv2.IMWRITE_TIFF_COMPRESSION, compression,
        cv2.IMWRITE_TIFF_PREDICTOR, cv2.IMWRITE_TIFF_PREDICTOR_NONE,
        cv2.IMWRITE_TIFF_ROWSPERSTRIP, rows,
    ]  # fmt: skip
    lines = np.frombuffer(raw, np.uint8).reshape(rows, -1)
    _, encoded = cv2.imencode(".tif", lines, parameters)
    data = encoded.tobytes()
    tags = _directory(data, "<")
    (offset,), (size,) = tags[_STRIPS].values, tags[_STRIP_SIZES].values
    return data[offset : offset + size]
