"""DPX pictures, SMPTE ST 268-1:2014: samples exactly as stored, and put back in their place.

A file is never written anew: its samples are replaced where they lie, and every other byte, in
the headers, the user data and between the samples, stays.
"""

import struct
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from vidrestore.media.bitwords import WordPacking
from vidrestore.media.curves import PRINTING_DENSITY
from vidrestore.media.formats import PLANAR
from vidrestore.media.picture import Picture, UnreadablePictureError, own_plane
from vidrestore.types import ColorTags, PixelFormat, Plane

_MAGICS = {b"SDPX": ">", b"XPDS": "<"}
_HEADERS_BYTES = 2048
_LEAST_HEADER_BYTES = 1408
_UNDEFINED_32 = 0xFFFF_FFFF

# Descriptor -> the planes of the components in the file's order (G B R A, or Y, or Y Cb Cr).
_RGB, _RGBA, _ABGR = (2, 0, 1), (2, 0, 1, 3), (3, 1, 0, 2)
_COMPONENTS = {6: (0,), 50: _RGB, 51: _RGBA, 52: _ABGR, 102: (1, 0, 2)}
_STEMS = {6: "gray", 50: "gbrp", 51: "gbrap", 52: "gbrap", 102: "yuv444p"}

# Transfer characteristic (table 5A) -> code point of ITU-T H.273.
_TRANSFERS = {1: PRINTING_DENSITY, 2: 8, 3: PRINTING_DENSITY, 5: 1, 6: 1, 7: 6, 8: 6}
_PRIMARIES = {5: 1, 6: 1, 7: 5, 8: 6}
_LINEAR = 2
_VIDEO = 1

# Image orientation (table 2) -> mirrored left to right first, then quarter turns clockwise.
_LIES = (
    (False, 0), (True, 0), (True, 2), (False, 2), (True, 3), (False, 1), (False, 3), (True, 1),
)  # fmt: skip


def is_dpx(data: bytes) -> bool:
    """Whether the bytes of a file begin like a DPX picture."""
    return data[:4] in _MAGICS


def read_dpx(data: bytes) -> Picture:
    """Return the samples of a DPX picture and what its header says.

    Raises:
        UnreadablePictureError: It is damaged, or its layout is not supported.
    """
    header = _Header(data)
    layout = header.layout()
    samples = layout.samples(data)
    components = _COMPONENTS[header.descriptor]
    cube = samples.reshape(*layout.hw, len(components))
    by_plane = sorted(range(len(components)), key=lambda at: components[at])
    dtype = np.uint8 if header.bits == 8 else np.uint16
    return Picture(
        pixel_format=header.pixel_format,
        planes=tuple(own_plane(cube[:, :, at].astype(dtype)) for at in by_plane),
        color=header.color,
        lies=_LIES[header.orientation],
        sample_aspect_ratio=header.sample_aspect_ratio,
        metadata=header.metadata(),
    )


def rewritten_dpx(data: bytes, planes: tuple[Plane, ...]) -> bytes:
    """Return a DPX file with other samples, and every other bit as in ``data``.

    Raises:
        UnreadablePictureError: ``data`` is damaged, or its layout is not supported.
    """
    header = _Header(data)
    cube = np.stack([planes[at] for at in _COMPONENTS[header.descriptor]], axis=2)
    return header.layout().rewritten(data, cube)


def resized_dpx(data: bytes, planes: tuple[Plane, ...]) -> bytes:
    """Return a DPX file with samples of another size; its headers differ in sizes only.

    Raises:
        UnreadablePictureError: ``data`` is damaged, or its layout is not supported.
    """
    header = _Header(data)
    height, width = planes[0].shape
    return rewritten_dpx(header.blank(height, width), planes)


class _Header:
    """The fields of the four headers that are of use here."""

    def __init__(self, data: bytes) -> None:
        self._order = _MAGICS.get(data[:4], "")
        if not self._order or len(data) < _LEAST_HEADER_BYTES:
            raise UnreadablePictureError("it is no whole DPX file; get another copy")
        self._data = data
        self._check_supported()

    def _u8(self, at: int) -> int:
        return self._data[at]

    def _u16(self, at: int) -> int:
        return int(struct.unpack_from(self._order + "H", self._data, at)[0])

    def _u32(self, at: int) -> int:
        return int(struct.unpack_from(self._order + "I", self._data, at)[0])

    def _real(self, at: int) -> float | None:
        """Return a number of the film or television header; None where it is undefined."""
        if self._u32(at) == _UNDEFINED_32:
            return None
        value = float(struct.unpack_from(self._order + "f", self._data, at)[0])
        return value if isfinite(value) and value > 0 else None

    def _text(self, at: int, length: int) -> str:
        raw = self._data[at : at + length].split(b"\0", 1)[0].strip(b"\xff ")
        return raw.decode("utf-8", errors="replace")

    def _check_supported(self) -> None:
        if self._u16(770) != 1:
            raise UnreadablePictureError(
                f"it has {self._u16(770)} image elements; convert it to a DPX with one"
            )
        if self.descriptor not in _COMPONENTS:
            raise UnreadablePictureError(
                f"image descriptor {self.descriptor} is not supported; convert it to RGB or gray"
            )
        if (self.bits, self.packing) not in _PACKINGS and self.bits not in (8, 16):
            raise UnreadablePictureError(
                f"{self.bits} bits in packing {self.packing} are not supported; convert it to 10, "
                "12 or 16 bits"
            )
        if self._u16(806) == 1:
            raise UnreadablePictureError("it is run-length coded; convert it to a plain DPX")
        if self._u32(780) == 1:
            raise UnreadablePictureError("its samples are signed; convert it to unsigned ones")
        if not (0 < self._u32(772) < 1 << 20 and 0 < self._u32(776) < 1 << 20):
            raise UnreadablePictureError("its header is damaged; get another copy")

    @property
    def descriptor(self) -> int:
        return self._u8(800)

    @property
    def bits(self) -> int:
        return self._u8(803)

    @property
    def packing(self) -> int:
        return self._u16(804)

    @property
    def orientation(self) -> int:
        value = self._u16(768)
        return value if value < len(_LIES) else 0

    @property
    def pixel_format(self) -> PixelFormat:
        suffix = "" if self.bits == 8 else f"{self.bits}le"
        return PLANAR[_STEMS[self.descriptor] + suffix]

    @property
    def color(self) -> ColorTags:
        transfer = self._u8(801)
        # FFmpeg up to version 4.3 called everything linear.
        if transfer == _LINEAR and self._text(160, 100).startswith("Lavc"):
            transfer = 0
        return ColorTags(
            matrix=0 if self.pixel_format.model == "rgb" else 2,
            primaries=_PRIMARIES.get(self._u8(802), 1),
            transfer=_TRANSFERS.get(transfer, _VIDEO),
            full_range=self.pixel_format.model != "yuv",
            range_known=self.pixel_format.model != "yuv",
        )

    @property
    def sample_aspect_ratio(self) -> Fraction:
        if self._image_offset < 1664:
            return Fraction(1)
        across, down = self._u32(1628), self._u32(1632)
        sane = 0 < across < _UNDEFINED_32 and 0 < down < _UNDEFINED_32
        ratio = Fraction(across, down) if sane else Fraction(1)
        return ratio if Fraction(1, 8) <= ratio <= 8 else Fraction(1)

    @property
    def _image_offset(self) -> int:
        own = self._u32(808)
        offset = self._u32(4)
        return own if _LEAST_HEADER_BYTES <= own < _UNDEFINED_32 else offset

    def metadata(self) -> dict[str, str]:
        """Return time code, reel and other marks of the film."""
        found = {
            "creator": self._text(160, 100),
            "project": self._text(260, 200),
            "copyright": self._text(460, 200),
        }
        if self._image_offset >= 1664:
            found["source_file"] = self._text(1432, 100)
            found["reel_name"] = self._text(1556, 32)
        if self._image_offset >= _HEADERS_BYTES:
            found["film_frame"] = self._text(1732, 32)
            found["slate"] = self._text(1764, 100)
            found["timecode"] = _timecode(self._u32(1920))
            found["keycode"] = self._keycode()
            rate = self._real(1724) or self._real(1940)
            found["frame_rate"] = "" if rate is None else f"{rate:.6g}"
        return {key: value for key, value in found.items() if value}

    def _keycode(self) -> str:
        parts = [self._text(*field) for field in ((1664, 2), (1666, 2), (1670, 6), (1676, 4))]
        return " ".join(part for part in parts if part)

    def layout(self) -> "_Layout":
        """Return where the samples lie.

        Raises:
            UnreadablePictureError: The file is shorter than its header says.
        """
        hw = (self._u32(776), self._u32(772))
        per_line = hw[1] * len(_COMPONENTS[self.descriptor])
        packing = self._word_packing()
        word_bytes = packing.word_bits // 8
        line = packing.word_count(per_line) * word_bytes
        padding = self._u32(812) if self._u32(812) < 1 << 16 else 0
        left = len(self._data) - self._image_offset
        # Lines begin on words of 32 bits by the standard, and do not in files of some writers.
        for stride in (-(-line // 4) * 4 + padding, line + padding):
            if stride * (hw[0] - 1) + line <= left:
                lines = hw[0]
                return _Layout(hw, self._image_offset, stride, lines, packing, self._order)
        # Some scanners go on in the middle of a word.
        stream = packing.word_count(per_line * hw[0]) * word_bytes
        if self.bits == 10 and stream <= left:
            return _Layout(hw, self._image_offset, stream, 1, packing, self._order)
        raise UnreadablePictureError("it is shorter than its header says; get another copy")

    def blank(self, height: int, width: int) -> bytes:
        """Return a file with these headers and black samples of another size."""
        per_line = width * len(_COMPONENTS[self.descriptor])
        packing = self._word_packing()
        line = -(-packing.word_count(per_line) * packing.word_bits // 8 // 4) * 4
        padding = self._u32(812) if self._u32(812) < 1 << 16 else 0
        offset = self._image_offset
        blank = bytearray(self._data[:offset]) + bytes((line + padding) * height)
        for at, value in ((16, len(blank)), (772, width), (776, height)):
            struct.pack_into(self._order + "I", blank, at, value)
        return bytes(blank)

    def _word_packing(self) -> WordPacking:
        if self.bits in (8, 16):
            return WordPacking(word_bits=self.bits, sample_bits=self.bits, positions=(0,))
        found = _PACKINGS[self.bits, self.packing]
        if self.bits == 10 and self.packing and self.descriptor == 6:
            # Of luma alone, the first of three samples lies lowest.
            positions = tuple(reversed(found.positions))
            return WordPacking(word_bits=32, sample_bits=10, positions=positions)
        return found


def _packed(bits: int, samples: int, words: int) -> WordPacking:
    positions = tuple(bits * at for at in range(samples))
    return WordPacking(word_bits=32, sample_bits=bits, positions=positions, words=words)


# Bits and packing: 0 without gaps, 1 with gaps below (method A), 2 with gaps above (method B).
_PACKINGS = {
    (10, 0): _packed(10, 16, 5),
    (10, 1): WordPacking(word_bits=32, sample_bits=10, positions=(22, 12, 2)),
    (10, 2): WordPacking(word_bits=32, sample_bits=10, positions=(20, 10, 0)),
    (12, 0): _packed(12, 8, 3),
    (12, 1): WordPacking(word_bits=16, sample_bits=12, positions=(4,)),
    (12, 2): WordPacking(word_bits=16, sample_bits=12, positions=(0,)),
}


@dataclass(frozen=True)
class _Layout:
    """Where the samples of a picture lie in its file."""

    hw: tuple[int, int]
    offset: int
    stride: int
    """Bytes from line to line."""
    lines: int
    """Lines that begin on a word of their own: those of the picture, or one for all of it."""
    packing: WordPacking
    order: str

    @cached_property
    def _word(self) -> np.dtype[np.generic]:
        return np.dtype(f"{self.order}u{self.packing.word_bits // 8}")

    def samples(self, data: bytes) -> NDArray[np.uint16]:
        """Return all samples in the order of the file, ``(lines, samples)``."""
        return self.packing.samples(self._words(data), self._per_line(data))

    def rewritten(self, data: bytes, samples: NDArray[np.generic]) -> bytes:
        """Return ``data`` with other samples."""
        copy = bytearray(data)
        words = self._words(copy)
        words[...] = self.packing.put(words, samples.reshape(self.lines, -1))
        return bytes(copy)

    def _per_line(self, data: bytes) -> int:
        components = len(_COMPONENTS[data[800]])
        return self.hw[0] * self.hw[1] * components // self.lines

    def _words(self, data: bytes | bytearray) -> NDArray[np.generic]:
        components = len(_COMPONENTS[data[800]])
        per_line = self.hw[0] * self.hw[1] * components // self.lines
        return np.ndarray(
            (self.lines, self.packing.word_count(per_line)),
            self._word,
            buffer=data,
            offset=self.offset,
            strides=(self.stride, self._word.itemsize),
        )


def _timecode(bcd: int) -> str:
    """Return a time code of binary-coded decimals, hours first; empty where there is none."""
    digits = f"{bcd & 0x3F7F7F3F:08x}"
    if bcd == _UNDEFINED_32 or not digits.isdecimal():
        return ""
    parts = [digits[at : at + 2] for at in (0, 2, 4, 6)]
    drops = bcd & 0x40
    return ":".join(parts[:3]) + (";" if drops else ":") + parts[3]
