"""Headers of DPX images (SMPTE ST 268-1:2014): layout, color and metadata."""

import struct
from fractions import Fraction
from math import isfinite

from vidrestore.media.color.code_points import PRINTING_DENSITY
from vidrestore.media.color.pixel_formats import PLANAR
from vidrestore.media.images.still_image import ImageFileError, timecode_text
from vidrestore.types import ColorTags, Orientation, PixelFormat

DPX_ORDERS = {b"SDPX": ">", b"XPDS": "<"}
"""First bytes of a file -> its byte order."""
_HEADERS_BYTES = 2048
_MIN_HEADER_BYTES = 1408
_UNDEFINED = 0xFFFF_FFFF

# Plane of each component in the order of the file, by descriptor (G B R A, or Y, or Y Cb Cr).
_RGB, _RGBA, _ABGR = (2, 0, 1), (2, 0, 1, 3), (3, 1, 0, 2)
COMPONENTS = {6: (0,), 50: _RGB, 51: _RGBA, 52: _ABGR, 102: (1, 0, 2)}
_STEMS = {6: "gray", 50: "gbrp", 51: "gbrap", 52: "gbrap", 102: "yuv444p"}

# Code point of ITU-T H.273 of each transfer characteristic (table 5A).
_TRANSFERS = {1: PRINTING_DENSITY, 2: 8, 3: PRINTING_DENSITY, 5: 1, 6: 1, 7: 6, 8: 6}
_PRIMARIES = {5: 1, 6: 1, 7: 5, 8: 6}
_LINEAR = 2
_VIDEO = 1


class DpxHeader:
    """The generic, orientation, film and television headers."""

    def __init__(self, data: bytes) -> None:
        """Read the headers of a file.

        Raises:
            ImageFileError: The file is damaged, or its layout is not supported.
        """
        self.order = DPX_ORDERS.get(data[:4], "")
        if not self.order or len(data) < _MIN_HEADER_BYTES:
            raise ImageFileError("it is not a complete DPX file; get another copy")
        self._data = data
        self._check_supported()

    def _u8(self, offset: int) -> int:
        return self._data[offset]

    def _u16(self, offset: int) -> int:
        return int(struct.unpack_from(self.order + "H", self._data, offset)[0])

    def _u32(self, offset: int) -> int:
        return int(struct.unpack_from(self.order + "I", self._data, offset)[0])

    def _real(self, offset: int) -> float | None:
        """Return a number of the film or television header; None if it is undefined."""
        if self._u32(offset) == _UNDEFINED:
            return None
        value = float(struct.unpack_from(self.order + "f", self._data, offset)[0])
        return value if isfinite(value) and value > 0 else None

    def _text(self, offset: int, length: int) -> str:
        raw = self._data[offset : offset + length].split(b"\0", 1)[0].strip(b"\xff ")
        return raw.decode("utf-8", errors="replace")

    def _check_supported(self) -> None:
        if self._u16(770) != 1:
            raise ImageFileError(
                f"it has {self._u16(770)} image elements; convert it to a DPX with one"
            )
        if self.descriptor not in COMPONENTS:
            raise ImageFileError(
                f"image descriptor {self.descriptor} is not supported; convert it to RGB or gray"
            )
        if self.bits not in (8, 16) and (self.bits not in (10, 12) or self.packing > 2):
            raise ImageFileError(
                f"{self.bits} bits in packing {self.packing} are not supported; convert it to 10, "
                "12 or 16 bits"
            )
        if self._u16(806) == 1:
            raise ImageFileError("it is run-length coded; convert it to a plain DPX")
        if self._u32(780) == 1:
            raise ImageFileError("its samples are signed; convert it to unsigned ones")
        if not (0 < self._u32(772) < 1 << 20 and 0 < self._u32(776) < 1 << 20):
            raise ImageFileError("its header is damaged; get another copy")

    @property
    def descriptor(self) -> int:
        """Code of the components."""
        return self._u8(800)

    @property
    def bits(self) -> int:
        """Bits of a sample."""
        return self._u8(803)

    @property
    def packing(self) -> int:
        """How samples fill words: 0 without gaps, 1 with gaps below, 2 above."""
        return self._u16(804)

    @property
    def orientation(self) -> Orientation:
        """How a viewer turns the image."""
        return Orientation.from_dpx(self._u16(768))

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width."""
        return self._u32(776), self._u32(772)

    @property
    def line_padding(self) -> int:
        """Bytes after every line."""
        return self._u32(812) if self._u32(812) < 1 << 16 else 0

    @property
    def components(self) -> tuple[int, ...]:
        """Plane of each component, in the order of the file."""
        return COMPONENTS[self.descriptor]

    @property
    def pixel_format(self) -> PixelFormat:
        """Pixel format of the components."""
        suffix = "" if self.bits == 8 else f"{self.bits}le"
        return PLANAR[_STEMS[self.descriptor] + suffix]

    @property
    def color(self) -> ColorTags:
        """Color tags from the header."""
        transfer = self._u8(801)
        # FFmpeg up to version 4.3 flagged everything as linear.
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
        """Width of a pixel over its height."""
        if self.image_offset < 1664:
            return Fraction(1)
        horizontal, vertical = self._u32(1628), self._u32(1632)
        is_stated = 0 < horizontal < _UNDEFINED and 0 < vertical < _UNDEFINED
        ratio = Fraction(horizontal, vertical) if is_stated else Fraction(1)
        return ratio if Fraction(1, 8) <= ratio <= 8 else Fraction(1)

    @property
    def image_offset(self) -> int:
        """Offset of the first sample."""
        element_offset, file_offset = self._u32(808), self._u32(4)
        is_stated = _MIN_HEADER_BYTES <= element_offset < _UNDEFINED
        return element_offset if is_stated else file_offset

    def metadata(self) -> dict[str, str]:
        """Return timecode, reel name, keycode and other metadata."""
        values = {
            "creator": self._text(160, 100),
            "project": self._text(260, 200),
            "copyright": self._text(460, 200),
        }
        if self.image_offset >= 1664:
            values["source_file"] = self._text(1432, 100)
            values["reel_name"] = self._text(1556, 32)
        if self.image_offset >= _HEADERS_BYTES:
            values["film_frame"] = self._text(1732, 32)
            values["slate"] = self._text(1764, 100)
            values["timecode"] = timecode_text(self._u32(1920))
            values["keycode"] = self._keycode()
            rate = self._real(1724) or self._real(1940)
            values["frame_rate"] = "" if rate is None else f"{rate:.6g}"
        return {key: value for key, value in values.items() if value}

    def _keycode(self) -> str:
        parts = [self._text(*field) for field in ((1664, 2), (1666, 2), (1670, 6), (1676, 4))]
        return " ".join(part for part in parts if part)
