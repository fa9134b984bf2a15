"""TIFF pictures: samples exactly as stored, and put back strip by strip.

Of a file that is written again, only strips (or tiles) whose samples changed are new: all tags,
other pages, private data and the bytes of other strips stay as they are. TIFF 6.0 (Adobe, 1992).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from vidrestore.media.color.pixel_formats import PLANAR
from vidrestore.media.images.image_tags import LIES
from vidrestore.media.images.still_image import ImageFileError, Picture, own_plane, picture_color
from vidrestore.media.images.tiff_coding import COMPRESSIONS, packed_bytes, unpacked_bytes
from vidrestore.types import Plane

_FORMATS = {
    1: "B",
    2: "B",
    3: "H",
    4: "I",
    6: "b",
    8: "h",
    9: "i",
    13: "I",
    16: "Q",
    17: "q",
    18: "Q",
}
_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL = 256, 257, 258, 259, 262, 266
_STRIPS, _ORIENTATION, _SAMPLES, _ROWS, _STRIP_SIZES = 273, 274, 277, 278, 279
_PLANAR_CONFIG, _PREDICTOR, _TILE_WIDTH, _TILE_LENGTH = 284, 317, 322, 323
_TILES, _TILE_SIZES, _SAMPLE_FORMAT = 324, 325, 339
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_SEPARATE = 2
_DIFFERENCES = 2
_STEMS = {1: "gray", 2: "gbrap", 3: "gbrp", 4: "gbrap"}
# Component of the file of each plane; of gray with alpha, the gray becomes G, B and R.
_PLANES = {1: (0,), 2: (0, 0, 0, 1), 3: (1, 2, 0), 4: (1, 2, 0, 3)}


def is_tiff(data: bytes) -> bool:
    """Whether the bytes of a file begin like a TIFF picture."""
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_tiff(data: bytes) -> Picture | None:
    """Return the samples of the first page; None where OpenCV must read it.

    Palettes, samples that are not integers of 8 or 16 bits and compressions that lose or are
    not known here are left to OpenCV.

    Raises:
        ImageFileError: It is damaged.
    """
    try:
        page = _page(data)
        if page is None:
            return None
        cube = page.cube()
    except (struct.error, IndexError, ValueError, KeyError, ZeroDivisionError) as error:
        raise ImageFileError("it is a damaged TIFF; get another copy") from error
    pixel_format = PLANAR[_STEMS[page.samples] + ("" if page.bits == 8 else "16le")]
    return Picture(
        pixel_format=pixel_format,
        planes=tuple(own_plane(cube[:, :, at]) for at in _PLANES[page.samples]),
        color=picture_color(pixel_format),
        lies=LIES.get(page.one(_ORIENTATION, 1), (False, 0)),
    )


def rewritten_tiff(data: bytes, planes: tuple[Plane, ...]) -> bytes | None:
    """Return a TIFF file with other samples of the same size; None where it cannot hold them.

    Raises:
        ImageFileError: ``data`` is damaged.
    """
    page = _page(data)
    if page is None or len(planes) != len(_PLANES[page.samples]):
        return None
    if planes[0].shape != page.hw or 8 * planes[0].itemsize != page.bits:
        return None
    if page.samples == 2:
        if not all(np.array_equal(planes[0], plane) for plane in planes[1:3]):
            return None
        parts = [planes[0], planes[3]]
    else:
        parts = [planes[_PLANES[page.samples].index(at)] for at in range(page.samples)]
    return page.rewritten(np.stack(parts, axis=2))


@dataclass(frozen=True, slots=True)
class _Field:
    """One entry of a directory."""

    values: tuple[int, ...]
    at: int
    """Offset of the values in the file."""
    code: str
    """Of ``struct``, byte order first."""


def _page(data: bytes) -> "_Page | None":
    """Return the first page; None where it is of a kind that is left to OpenCV."""
    fields = _directory(data)
    page = _Page(data, fields)
    return page if page.is_plain else None


def _directory(data: bytes) -> dict[int, _Field]:
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    count_code, offset_code, inline = ("Q", "Q", 8) if big else ("H", "I", 4)
    entry = struct.Struct(order + ("HHQ" if big else "HHI"))
    (at,) = struct.unpack_from(order + offset_code, data, 8 if big else 4)
    (count,) = struct.unpack_from(order + count_code, data, at)
    at += struct.calcsize(count_code)
    fields: dict[int, _Field] = {}
    for start in range(at, at + count * (entry.size + inline), entry.size + inline):
        tag, kind, length = entry.unpack_from(data, start)
        code = _FORMATS.get(kind)
        if code is None:
            continue
        place = start + entry.size
        if length * struct.calcsize(code) > inline:
            (place,) = struct.unpack_from(order + offset_code, data, place)
        values = struct.unpack_from(f"{order}{length}{code}", data, place)
        fields[tag] = _Field(values, place, order + code)
    return fields


@dataclass(frozen=True, slots=True)
class _Segment:
    """A strip or a tile."""

    number: int
    component: slice
    top: int
    left: int
    hw: tuple[int, int]
    """As stored: tiles at the edges hang over."""


class _Page:
    """The first page of a file."""

    def __init__(self, data: bytes, fields: dict[int, _Field]) -> None:
        self._data = data
        self._fields = fields
        self._order = "<" if data[:2] == b"II" else ">"

    def one(self, tag: int, default: int) -> int:
        """Return the first value of a tag."""
        return self._fields[tag].values[0] if tag in self._fields else default

    @property
    def hw(self) -> tuple[int, int]:
        return self.one(_LENGTH, 0), self.one(_WIDTH, 0)

    @property
    def samples(self) -> int:
        return self.one(_SAMPLES, 1)

    @property
    def bits(self) -> int:
        return self.one(_BITS, 1)

    @property
    def is_plain(self) -> bool:
        """Whether this module reads the page."""
        kinds = {
            (_WHITE_IS_ZERO, 1),
            (_BLACK_IS_ZERO, 1),
            (_BLACK_IS_ZERO, 2),
            (_RGB, 3),
            (_RGB, 4),
        }
        depths = set(self._fields[_BITS].values) if _BITS in self._fields else {1}
        formats = self._fields[_SAMPLE_FORMAT].values if _SAMPLE_FORMAT in self._fields else (1,)
        has_segments = {_STRIPS, _STRIP_SIZES} <= set(self._fields) or {
            _TILES, _TILE_SIZES, _TILE_WIDTH, _TILE_LENGTH,
        } <= set(self._fields)  # fmt: skip
        return (
            (self.one(_PHOTOMETRIC, -1), self.samples) in kinds
            and (depths in ({8}, {16}))
            and set(formats) == {1}
            and self.one(_COMPRESSION, 1) in COMPRESSIONS
            and self.one(_PREDICTOR, 1) in (1, _DIFFERENCES)
            and self.one(_FILL, 1) == 1
            and has_segments
            and min(self.hw) > 0
        )

    @cached_property
    def _tables(self) -> tuple[_Field, _Field]:
        tiled = _TILES in self._fields
        offsets, sizes = (_TILES, _TILE_SIZES) if tiled else (_STRIPS, _STRIP_SIZES)
        return self._fields[offsets], self._fields[sizes]

    def _segments(self) -> Iterator[_Segment]:
        height, width = self.hw
        tiled = _TILES in self._fields
        step_x = self.one(_TILE_WIDTH, width) if tiled else width
        step_y = self.one(_TILE_LENGTH, height) if tiled else min(height, self.one(_ROWS, height))
        separate = self.one(_PLANAR_CONFIG, 1) == _SEPARATE
        groups = [slice(at, at + 1) for at in range(self.samples)] if separate else [slice(None)]
        places = product(groups, range(0, height, step_y), range(0, width, step_x))
        for number, (component, top, left) in enumerate(places):
            rows = step_y if tiled else min(step_y, height - top)
            yield _Segment(number, component, top, left, (rows, step_x))

    def cube(self) -> NDArray[np.generic]:
        """Return the samples, ``(h, w, samples)``."""
        cube = np.empty((*self.hw, self.samples), np.uint8 if self.bits == 8 else np.uint16)
        for segment in self._segments():
            part = self._part(cube, segment)
            part[...] = self._stored(segment)[: part.shape[0], : part.shape[1]]
        return self._shown(cube)

    def _shown(self, cube: NDArray[np.generic]) -> NDArray[np.generic]:
        return ~cube if self.one(_PHOTOMETRIC, 1) == _WHITE_IS_ZERO else cube  # pyright: ignore

    def _part(self, cube: NDArray[np.generic], segment: _Segment) -> NDArray[np.generic]:
        rows, columns = segment.hw
        within = cube[segment.top : segment.top + rows, segment.left : segment.left + columns]
        return within[:, :, segment.component]

    def _packed(self, segment: _Segment) -> bytes:
        offsets, sizes = self._tables
        offset, size = offsets.values[segment.number], sizes.values[segment.number]
        found = self._data[offset : offset + size]
        if len(found) != size:
            raise ValueError("a strip lies outside the file")
        return found

    def _stored(self, segment: _Segment) -> NDArray[np.generic]:
        """Return the samples of a segment as they are stored, ``(rows, columns, samples)``."""
        depth = 1 if segment.component != slice(None) else self.samples
        shape = (*segment.hw, depth)
        line_bytes = segment.hw[1] * depth * self.bits // 8
        raw = unpacked_bytes(
            self._packed(segment), self.one(_COMPRESSION, 1), (segment.hw[0], line_bytes)
        )
        samples = np.frombuffer(raw, np.dtype(f"{self._order}u{self.bits // 8}")).reshape(shape)
        native = samples.astype(np.uint8 if self.bits == 8 else np.uint16)
        if self.one(_PREDICTOR, 1) == _DIFFERENCES and self.one(_COMPRESSION, 1) != 1:
            native = np.cumsum(native, axis=1, dtype=native.dtype)
        return native

    def rewritten(self, cube: NDArray[np.generic]) -> bytes | None:
        """Return the file with the samples of ``cube``; None where an offset grows too large."""
        cube = self._shown(cube)
        copy = bytearray(self._data)
        for segment in self._segments():
            old, new = self._stored(segment), self._part(cube, segment)
            rows, columns = new.shape[:2]
            if np.array_equal(old[:rows, :columns], new):
                continue
            whole = old.copy()
            whole[:rows, :columns] = new
            try:
                self._put(copy, segment, self._coded(whole))
            except struct.error:
                return None
        return bytes(copy)

    def _coded(self, samples: NDArray[np.generic]) -> bytes:
        compression = self.one(_COMPRESSION, 1)
        if self.one(_PREDICTOR, 1) == _DIFFERENCES and compression != 1:
            samples = np.concatenate([samples[:, :1], samples[:, 1:] - samples[:, :-1]], axis=1)  # pyright: ignore
        raw = samples.astype(f"{self._order}u{self.bits // 8}").tobytes()
        return packed_bytes(raw, compression, (len(samples), len(raw) // len(samples)))

    def _put(self, copy: bytearray, segment: _Segment, packed: bytes) -> None:
        """Lay a segment where it was, or at the end where it has grown."""
        offsets, sizes = self._tables
        place, room = offsets.values[segment.number], sizes.values[segment.number]
        if len(packed) > room:
            copy.extend(b"\0" * (len(copy) % 2))
            place = len(copy)
            copy.extend(packed)
        else:
            copy[place : place + len(packed)] = packed
        for field, value in ((offsets, place), (sizes, len(packed))):
            size = struct.calcsize(field.code)
            struct.pack_into(field.code, copy, field.at + segment.number * size, value)
