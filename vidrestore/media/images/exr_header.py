"""Headers of OpenEXR pictures: channels, window, compression and what the film is.

OpenEXR file layout, openexr.com, "OpenEXR File Layout" (2024).
"""

import struct
from dataclasses import dataclass
from fractions import Fraction

from vidrestore.media.images.exr_coding import COMPRESSIONS, ZIP_LIKE
from vidrestore.media.images.still_image import ImageFileError

MAGIC = b"\x76\x2f\x31\x01"
_TILED, _DEEP, _MULTIPART = 0x200, 0x800, 0x1000
_DTYPES = {0: "<u4", 1: "<f2", 2: "<f4"}
_LARGEST_SIDE = 1 << 16

# CIE x and y of red, green and blue -> code point of ITU-T H.273.
_PRIMARIES = {
    (0.640, 0.330, 0.300, 0.600, 0.150, 0.060): 1,
    (0.708, 0.292, 0.170, 0.797, 0.131, 0.046): 9,
    (0.680, 0.320, 0.265, 0.690, 0.150, 0.060): 12,
}
_TOLERANCE = 0.005


@dataclass(frozen=True, slots=True)
class ExrChannel:
    """A channel of every pixel."""

    name: str
    dtype: str
    """Of NumPy: half, float or unsigned, lowest byte first."""


class ExrHeader:
    """The header of a file of one part that is stored in lines."""

    def __init__(self, data: bytes) -> None:
        """Read the header of a file.

        Raises:
            ImageFileError: It is of a kind that is not supported.
            ValueError, IndexError, struct.error: It is damaged.
        """
        (version,) = struct.unpack_from("<I", data, 4)
        if data[:4] != MAGIC or version & 0xFF != 2:
            raise ImageFileError("it is not an EXR of version 2; convert it to one")
        if version & (_TILED | _DEEP | _MULTIPART):
            raise ImageFileError(
                "tiled, deep and multi-part EXR are not supported; convert it to scan lines"
            )
        self._attributes, self.table_at = _attributes(data)
        self._check_supported()

    def _check_supported(self) -> None:
        names = {each.name for each in self.channels()}
        used = {each.dtype for each in self.channels() if each.name in self.shown}
        if not self.shown or len(used) != 1 or "<u4" in used:
            found = ", ".join(sorted(names)) or "none"
            raise ImageFileError(
                f"its channels are {found}; it needs R, G and B, or Y, all half or all float"
            )
        if self.compression not in COMPRESSIONS:
            raise ImageFileError(
                f"compression {self.compression} is not supported; convert it to ZIP or PIZ"
            )
        if self.compression not in ZIP_LIKE and len(names) != len(self.shown):
            raise ImageFileError(
                f"its channels are {', '.join(sorted(names))}, but this compression can keep only "
                "those of the picture; convert it to ZIP"
            )

    def channels(self) -> list[ExrChannel]:
        """Return the channels in the order of the file."""
        body, at = self._attributes["channels"], 0
        found: list[ExrChannel] = []
        while body[at]:
            name, at = _text(body, at)
            kind, _, across, down = struct.unpack_from("<IIii", body, at)
            if kind not in _DTYPES or (across, down) != (1, 1):
                raise ImageFileError("subsampled channels are not supported; convert it to RGB")
            found.append(ExrChannel(name, _DTYPES[kind]))
            at += 16
        return found

    @property
    def shown(self) -> tuple[str, ...]:
        """The channels of the picture, in the order of planes."""
        names = {each.name for each in self.channels()}
        if {"R", "G", "B"} <= names:
            return ("G", "B", "R", "A") if "A" in names else ("G", "B", "R")
        return ("Y",) if "Y" in names else ()

    @property
    def compression(self) -> int:
        """The code of the compression."""
        return self._attributes["compression"][0]

    def _window(self) -> tuple[int, int, int, int]:
        return struct.unpack("<4i", self._attributes["dataWindow"])

    @property
    def first_line(self) -> int:
        """Number of the first line of the data window."""
        return self._window()[1]

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width of the data window."""
        left, top, right, bottom = self._window()
        height, width = bottom - top + 1, right - left + 1
        if not (0 < height <= _LARGEST_SIDE and 0 < width <= _LARGEST_SIDE):
            raise ValueError("impossible size")
        return height, width

    @property
    def primaries(self) -> int:
        """Code point of the primaries; BT.709's where the file says nothing or others."""
        body = self._attributes.get("chromaticities", b"")
        if len(body) != 32:
            return 1
        found = struct.unpack("<8f", body)[:6]
        near = (
            code
            for known, code in _PRIMARIES.items()
            if max(abs(a - b) for a, b in zip(known, found, strict=True)) < _TOLERANCE
        )
        return next(near, 1)

    @property
    def sample_aspect_ratio(self) -> Fraction:
        """Width of a pixel over its height."""
        (ratio,) = struct.unpack("<f", self._attributes.get("pixelAspectRatio", b"\0\0\x80\x3f"))
        return Fraction(ratio).limit_denominator(1000) if 1 / 8 <= ratio <= 8 else Fraction(1)

    def metadata(self) -> dict[str, str]:
        """Return time code, reel and what else is text."""
        found: dict[str, str] = {}
        for key, name in (
            ("owner", "owner"), ("comments", "comments"), ("reelName", "reel_name"),
            ("capDate", "captured"),
        ):  # fmt: skip
            if key in self._attributes:
                found[name] = self._attributes[key].decode("utf-8", errors="replace").strip("\0")
        if len(self._attributes.get("timeCode", b"")) == 8:
            found["timecode"] = _timecode(struct.unpack("<I", self._attributes["timeCode"][:4])[0])
        if len(self._attributes.get("framesPerSecond", b"")) == 8:
            rate = struct.unpack("<iI", self._attributes["framesPerSecond"])
            found["frame_rate"] = f"{rate[0]}/{rate[1]}"
        return {key: value for key, value in found.items() if value}


def _attributes(data: bytes) -> tuple[dict[str, bytes], int]:
    """Return the values of all attributes by name, and where the table of offsets begins."""
    found: dict[str, bytes] = {}
    at = 8
    while data[at]:
        name, at = _text(data, at)
        _, at = _text(data, at)
        (size,) = struct.unpack_from("<i", data, at)
        if size < 0 or at + 4 + size > len(data):
            raise ValueError("an attribute lies outside the file")
        found[name] = data[at + 4 : at + 4 + size]
        at += 4 + size
    missing = {"channels", "compression", "dataWindow"} - found.keys()
    if missing:
        raise ValueError(f"attributes are missing: {missing}")
    return found, at + 1


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(b"\0", at)
    return data[at:end].decode("latin-1"), end + 1


def _timecode(packed: int) -> str:
    """Return a time code of SMPTE ST 12-1 as OpenEXR packs it: hours highest, flags between."""
    fields = (packed >> 24 & 0x3F, packed >> 16 & 0x7F, packed >> 8 & 0x7F, packed & 0x3F)
    digits = [f"{field:02x}" for field in fields]
    if not all(each.isdecimal() for each in digits):
        return ""
    mark = ";" if packed & 0x40 else ":"
    return ":".join(digits[:3]) + mark + digits[3]
