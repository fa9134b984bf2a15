"""OpenEXR images: reads half and float samples exactly, and replaces them chunk by chunk.

Frames store half floats as ordered codes (``half_float``). Floats of 32 bits are rounded to half
only for the frame: samples that did not change keep their value in the file; others change by as
much as the half float did. OpenImageIO decodes. A rewritten file keeps its header and every chunk
whose samples did not change, byte for byte.

The layout follows "OpenEXR File Layout" (openexr.com, 2024).
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidrestore.media.color.code_points import HALF_FLOAT
from vidrestore.media.color.half_float import half_codes, half_floats
from vidrestore.media.color.pixel_formats import PLANAR
from vidrestore.media.images.exr_header import exr_attributes, exr_metadata, exr_primaries
from vidrestore.media.images.openimageio import DecodedImage, decode_image
from vidrestore.media.images.still_image import ImageFileError, StillImage, read_only_plane
from vidrestore.types import ColorTags, Plane

EXR_MAGIC = b"\x76\x2f\x31\x01"
_TILED, _DEEP, _MULTIPART = 0x200, 0x800, 0x1000
_DAMAGED = "it is a damaged EXR; get another copy"
_FORMATS = {"GBR": "gbrp16le", "GBRA": "gbrap16le", "Y": "gray16le"}
# Lines of a chunk for each compression: none, RLE, ZIPS, ZIP, PIZ, PXR24, B44, B44A, DWAA, DWAB.
_CHUNK_LINES = (1, 1, 1, 16, 32, 16, 32, 32, 32, 256)
_ZIPS, _ZIP = 2, 3


def read_exr(path: Path) -> StillImage:
    """Return the samples of an EXR image as codes of half floats, and what its header states.

    Raises:
        ImageFileError: The file is damaged or not supported.
    """
    _, decoded = _open(path.read_bytes(), path)
    names = _image_channels(decoded)
    attributes = decoded.attributes
    ratio = float(str(attributes.get("PixelAspectRatio", 1.0)))
    return StillImage(
        pixel_format=PLANAR[_FORMATS["".join(names)]],
        planes=tuple(
            read_only_plane(half_codes(_as_half(decoded.channels[name]))) for name in names
        ),
        color=ColorTags(
            matrix=2 if names == ("Y",) else 0,
            primaries=exr_primaries(attributes.get("chromaticities")),
            transfer=HALF_FLOAT,
            full_range=True,
            range_known=True,
        ),
        sample_aspect_ratio=(
            Fraction(ratio).limit_denominator(1000) if 1 / 8 <= ratio <= 8 else Fraction(1)
        ),
        metadata=exr_metadata(attributes),
    )


def replace_exr_samples(path: Path, planes: tuple[Plane, ...]) -> bytes:
    """Return an EXR file with other samples of the same size; all else stays.

    Raises:
        ImageFileError: The file is damaged or not supported.
    """
    layout, decoded = _open(path.read_bytes(), path)
    after = dict(decoded.channels)
    for name, plane in zip(_image_channels(decoded), planes, strict=True):
        after[name] = _with_codes(after[name], plane.astype(np.uint16))
    return layout.with_samples(decoded.channels, after)


def _open(data: bytes, path: Path) -> "tuple[_Layout, DecodedImage]":
    try:
        layout = _Layout.parse(data)
        decoded = decode_image(path)
        layout.check_chunks(next(iter(decoded.channels.values())).shape[0])
    except (struct.error, IndexError, ValueError) as error:
        if isinstance(error, ImageFileError) and "damaged" not in str(error):
            raise
        raise ImageFileError(_DAMAGED) from error
    if layout.channel_names != sorted(decoded.channels):
        raise ImageFileError("its channels are not in alphabetical order; export it again")
    _image_channels(decoded)
    return layout, decoded


def _image_channels(decoded: DecodedImage) -> tuple[str, ...]:
    """Return the channels of the image, in the order of planes.

    Raises:
        ImageFileError: There are none, or they differ in type.
    """
    stored = decoded.channels
    names: tuple[str, ...] = ("Y",) if "Y" in stored else ()
    if {"R", "G", "B"} <= set(stored):
        names = ("G", "B", "R", "A") if "A" in stored else ("G", "B", "R")
    types = {stored[name].dtype.name for name in names}
    if types not in ({"float16"}, {"float32"}):
        raise ImageFileError(
            f"its channels are {', '.join(sorted(stored))}; it needs R, G and B, or Y, all half "
            "or all float"
        )
    return names


def _with_codes(stored: NDArray[np.generic], codes: NDArray[np.uint16]) -> NDArray[np.generic]:
    """Return stored samples, changed only where their codes differ from ``codes``."""
    before = _as_half(stored)
    differs = half_codes(before) != codes
    if stored.dtype.itemsize == 2:
        return np.where(differs, half_floats(codes), before)
    target = half_floats(codes).astype(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        moved = stored.astype(np.float32) + (target - before.astype(np.float32))
    # Rounding must not change the half float.
    moved = np.where(half_codes(_as_half(moved)) == codes, moved, target)
    return np.where(differs, moved, stored).astype(np.float32)


def _as_half(stored: NDArray[np.generic]) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        return stored.astype(np.float16)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Consecutive lines of the image."""

    offset: int
    number: int
    """Number in the table of offsets."""
    top: int
    """First line, counted from the first of the data window."""
    payload: bytes


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the chunks are in a file with one part, stored as scan lines."""

    data: bytes
    channel_names: list[str]
    compression: int
    first_line: int
    line_count: int
    table_offset: int

    @classmethod
    def parse(cls, data: bytes) -> "_Layout":
        """Parse a header.

        Raises:
            ImageFileError: The file is not supported.
            struct.error, IndexError, ValueError: The header is damaged.
        """
        (version,) = struct.unpack_from("<I", data, 4)
        if version & 0xFF != 2:
            raise ImageFileError("it is not an EXR of version 2; convert it to one")
        if version & (_TILED | _DEEP | _MULTIPART):
            raise ImageFileError(
                "tiled, deep and multi-part EXR are not supported; convert it to scan lines"
            )
        attributes, offset = exr_attributes(data)
        compression = attributes["compression"][0]
        if compression >= len(_CHUNK_LINES):
            raise ImageFileError(
                f"compression {compression} is not supported; convert it to ZIP or PIZ"
            )
        _, top, _, bottom = struct.unpack("<4i", attributes["dataWindow"])
        names, start = list[str](), 0
        while attributes["channels"][start]:
            end = attributes["channels"].index(b"\0", start)
            names.append(attributes["channels"][start:end].decode("utf-8"))
            start = end + 17
        return cls(data, names, compression, top, bottom - top + 1, offset)

    def check_chunks(self, height: int) -> None:
        """Refuse a file whose chunks do not match an image of ``height`` lines."""
        tops = sorted(chunk.top for chunk in self._chunks())
        if height != self.line_count or tops != list(range(0, height, self._lines_per_chunk)):
            raise ImageFileError(_DAMAGED)

    @property
    def _lines_per_chunk(self) -> int:
        return _CHUNK_LINES[self.compression]

    def _chunks(self) -> Iterator[_Chunk]:
        count = -(-self.line_count // self._lines_per_chunk)
        offsets = struct.unpack_from(f"<{count}Q", self.data, self.table_offset)
        for number, offset in enumerate(offsets):
            line, size = struct.unpack_from("<ii", self.data, offset)
            payload = self.data[offset + 8 : offset + 8 + size]
            if size < 0 or len(payload) != size:
                raise ImageFileError(_DAMAGED)
            yield _Chunk(offset, number, line - self.first_line, payload)

    def with_samples(
        self,
        before: Mapping[str, NDArray[np.generic]],
        after: Mapping[str, NDArray[np.generic]],
    ) -> bytes:
        """Return the file with the samples of ``after`` in all chunks where they differ."""
        chunks = list(self._chunks())
        offsets = [0] * len(chunks)
        body = bytearray(self.data[: self.table_offset + 8 * len(chunks)])
        # In the order of the file, so that unchanged chunks stay in place if possible.
        for chunk in sorted(chunks, key=lambda chunk: chunk.offset):
            old, new = self._interleave(chunk, before), self._interleave(chunk, after)
            payload = chunk.payload if old == new else self._compress(new)
            offsets[chunk.number] = len(body)
            body += struct.pack("<ii", chunk.top + self.first_line, len(payload)) + payload
        struct.pack_into(f"<{len(offsets)}Q", body, self.table_offset, *offsets)
        return bytes(body)

    def _interleave(self, chunk: _Chunk, channels: Mapping[str, NDArray[np.generic]]) -> bytes:
        """Return the lines of a chunk, channel by channel in alphabetical order."""
        lines = slice(chunk.top, chunk.top + self._lines_per_chunk)
        parts = [np.ascontiguousarray(channels[name][lines]) for name in self.channel_names]
        little = [part.astype(part.dtype.newbyteorder("<")).view(np.uint8) for part in parts]
        return np.hstack(little).tobytes()

    def _compress(self, raw: bytes) -> bytes:
        """Return the payload of a chunk, compressed only by ZIP.

        A lossy compression would alter samples that did not change. Readers treat a payload as
        large as its samples as uncompressed, whatever the compression of the file.
        """
        if self.compression not in (_ZIPS, _ZIP):
            return raw
        sample_bytes = np.frombuffer(raw, np.uint8)
        # Even bytes before odd ones, then differences of neighbors.
        reordered = np.concatenate([sample_bytes[::2], sample_bytes[1::2]])
        differences = reordered.copy()
        differences[1:] = reordered[1:] - reordered[:-1] + np.uint8(128)
        payload = zlib.compress(differences.tobytes())
        return payload if len(payload) < len(raw) else raw
