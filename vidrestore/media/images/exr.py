"""OpenEXR pictures: half and float samples exactly as stored, and put back chunk by chunk.

Frames carry half floats as ordered codes (``half``). Floats of 32 bits are rounded to them for
the frame only: where a sample did not change the file keeps its own, and elsewhere it gets what
the change of the half float adds. Of a file that is written again, only chunks of lines whose
samples changed are new.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidrestore.media.color.code_points import HALF_FLOAT
from vidrestore.media.color.half_float import half_codes, halves_of_codes
from vidrestore.media.color.pixel_formats import PLANAR
from vidrestore.media.images.exr_coding import (
    COMPRESSIONS,
    ZIP_LIKE,
    decoded_by_ffmpeg,
    packed_chunk,
    unpacked_chunk,
)
from vidrestore.media.images.exr_header import MAGIC, ExrHeader
from vidrestore.media.images.still_image import ImageFileError, Picture, own_plane
from vidrestore.types import ColorTags, Plane

_FORMATS = {"GBR": "gbrp16le", "GBRA": "gbrap16le", "Y": "gray16le"}
_DAMAGED = "it is a damaged EXR; get another copy"


def is_exr(data: bytes) -> bool:
    """Whether the bytes of a file begin like an OpenEXR picture."""
    return data[:4] == MAGIC


def read_exr(data: bytes) -> Picture:
    """Return the samples of an EXR picture, as codes of half floats, and its header's values.

    Raises:
        ImageFileError: It is damaged, or of a kind that is not supported.
    """
    file = _opened(data)
    lines = file.lines()
    planes = tuple(own_plane(half_codes(_as_half(lines[name]))) for name in file.header.shown)
    return Picture(
        pixel_format=PLANAR[_FORMATS["".join(file.header.shown)]],
        planes=planes,
        color=ColorTags(
            matrix=2 if file.header.shown == ("Y",) else 0,
            primaries=file.header.primaries,
            transfer=HALF_FLOAT,
            full_range=True,
            range_known=True,
        ),
        sample_aspect_ratio=file.header.sample_aspect_ratio,
        metadata=file.header.metadata(),
    )


def rewritten_exr(data: bytes, planes: tuple[Plane, ...]) -> bytes:
    """Return an EXR file with other samples of the same size; all else is as in ``data``.

    Raises:
        ImageFileError: ``data`` is damaged, or of a kind that is not supported.
    """
    file = _opened(data)
    lines = file.lines()
    for name, plane in zip(file.header.shown, planes, strict=True):
        lines[name] = _changed(lines[name], plane.astype(np.uint16))
    return file.rewritten(lines)


def _changed(stored: NDArray[np.generic], codes: NDArray[np.uint16]) -> NDArray[np.generic]:
    """Return stored samples, changed where their codes are."""
    own = _as_half(stored)
    differs = half_codes(own) != codes
    if stored.dtype.itemsize == 2:
        return np.where(differs, halves_of_codes(codes), own).astype("<f2")
    wanted = halves_of_codes(codes).astype(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        moved = stored.astype(np.float32) + (wanted - own.astype(np.float32))
    # Rounding must not lead to another half float than the frame has.
    moved = np.where(half_codes(_as_half(moved)) == codes, moved, wanted)
    return np.where(differs, moved, stored).astype("<f4")


def _as_half(stored: NDArray[np.generic]) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        return stored.astype(np.float16)


def _opened(data: bytes) -> "_File":
    try:
        return _File(data)
    except (struct.error, IndexError, ValueError) as error:
        if isinstance(error, ImageFileError):
            raise
        raise ImageFileError(_DAMAGED) from error


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Some lines, one after the other."""

    entry: int
    """Number in the table of offsets."""
    top: int
    """First line, counted from the first of the data window."""
    rows: int
    packed: bytes


class _File:
    """A file of one part that is stored in lines."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.header = ExrHeader(data)

    def _chunks(self) -> Iterator[_Chunk]:
        height, _ = self.header.hw
        first = self.header.first_line
        per_chunk = COMPRESSIONS[self.header.compression]
        count = -(-height // per_chunk)
        offsets = struct.unpack_from(f"<{count}Q", self._data, self.header.table_at)
        for entry, offset in enumerate(offsets):
            line, size = struct.unpack_from("<ii", self._data, offset)
            packed = self._data[offset + 8 : offset + 8 + size]
            top = line - first
            if size < 0 or len(packed) != size or not 0 <= top < height or top % per_chunk:
                raise ValueError("a chunk lies outside the file")
            yield _Chunk(entry, top, min(per_chunk, height - top), packed)

    def _line_bytes(self) -> int:
        return (
            sum(np.dtype(each.dtype).itemsize for each in self.header.channels())
            * self.header.hw[1]
        )

    def lines(self) -> dict[str, NDArray[np.generic]]:
        """Return the samples of every channel, as stored.

        Raises:
            ImageFileError: They are damaged.
        """
        try:
            return self._lines()
        except (struct.error, ValueError, OverflowError) as error:
            raise ImageFileError(_DAMAGED) from error

    def _lines(self) -> dict[str, NDArray[np.generic]]:
        height, width = self.header.hw
        channels = self.header.channels()
        cubes = {each.name: np.zeros((height, width), each.dtype) for each in channels}
        whole: dict[str, NDArray[np.generic]] = {}
        if self.header.compression not in ZIP_LIKE:
            whole = decoded_by_ffmpeg(self._data, self.header.shown, (height, width))
        seen = 0
        for chunk in self._chunks():
            seen += chunk.rows
            if whole:
                continue
            raw = unpacked_chunk(
                chunk.packed, self.header.compression, chunk.rows * self._line_bytes()
            )
            self._unravel(raw, chunk, cubes)
        if seen != height:
            raise ValueError("lines are missing")
        for name, samples in whole.items():
            cubes[name] = samples.astype(cubes[name].dtype)
        return cubes

    def _unravel(self, raw: bytes, chunk: _Chunk, cubes: dict[str, NDArray[np.generic]]) -> None:
        rows = np.frombuffer(raw, np.uint8).reshape(chunk.rows, -1)
        at = 0
        for cube in cubes.values():
            size = cube.dtype.itemsize * cube.shape[1]
            part = np.ascontiguousarray(rows[:, at : at + size]).view(cube.dtype)
            cube[chunk.top : chunk.top + chunk.rows] = part
            at += size

    def _ravelled(self, chunk: _Chunk, cubes: dict[str, NDArray[np.generic]]) -> bytes:
        parts = [cube[chunk.top : chunk.top + chunk.rows] for cube in cubes.values()]
        rows = [np.ascontiguousarray(part).view(np.uint8) for part in parts]
        return np.hstack(rows).tobytes()

    def rewritten(self, lines: dict[str, NDArray[np.generic]]) -> bytes:
        """Return the file with the samples of ``lines``."""
        before = self._lines()
        chunks = list(self._chunks())
        start = self.header.table_at + 8 * len(chunks)
        first = self.header.first_line
        offsets = [0] * len(chunks)
        body = bytearray(self._data[:start])
        # In the order of the file, so that chunks that did not change stay where they can.
        by_place = sorted(chunks, key=lambda each: self._offset_of(each.entry))
        for chunk in by_place:
            old, new = self._ravelled(chunk, before), self._ravelled(chunk, lines)
            packed = chunk.packed if old == new else packed_chunk(new, self.header.compression)
            offsets[chunk.entry] = len(body)
            body += struct.pack("<ii", chunk.top + first, len(packed)) + packed
        struct.pack_into(f"<{len(offsets)}Q", body, self.header.table_at, *offsets)
        return bytes(body)

    def _offset_of(self, entry: int) -> int:
        return int(struct.unpack_from("<Q", self._data, self.header.table_at + 8 * entry)[0])
