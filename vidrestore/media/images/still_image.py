"""The content of an image file of any format."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from vidrestore.types import ColorTags, Orientation, PixelFormat, Plane

_SRGB_GRAY = ColorTags(primaries=1, transfer=13, full_range=True, range_known=True)
_SRGB = ColorTags(matrix=0, primaries=1, transfer=13, full_range=True, range_known=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StillImage:
    """The samples of an image file, and what its header states."""

    pixel_format: PixelFormat
    planes: tuple[Plane, ...]
    """Read-only, in the order of ``pixel_format``, exactly as stored."""
    color: ColorTags
    orientation: Orientation = field(default_factory=Orientation)
    sample_aspect_ratio: Fraction = Fraction(1)
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    """Header values by name: ``timecode``, ``reel_name``, ``frame_rate``, ..."""

    @property
    def coded_hw(self) -> tuple[int, int]:
        """Height and width as stored."""
        height, width = self.planes[0].shape
        return height, width


class ImageFileError(ValueError):
    """An image file is damaged or not supported; the message says what to do."""


def read_only_plane(samples: NDArray[np.generic]) -> Plane:
    """Return a read-only copy of ``(h, w)`` samples of 8 or 16 bits."""
    plane: Plane = np.array(samples, order="C")  # pyright: ignore[reportAssignmentType]
    plane.flags.writeable = False
    return plane


def default_color(pixel_format: PixelFormat) -> ColorTags:
    """Return the color tags of an image that states none: sRGB, full range."""
    return _SRGB if pixel_format.model == "rgb" else _SRGB_GRAY


def timecode_text(packed: int) -> str:
    """Return a timecode from its 32 bits in a header; empty if it is undefined.

    Args:
        packed: Binary-coded decimals, hours highest, with flags between (SMPTE ST 12-1).
    """
    digits = f"{packed & 0x3F7F7F3F:08x}"
    if not digits.isdecimal():
        return ""
    hours, minutes, seconds, frames = (digits[start : start + 2] for start in (0, 2, 4, 6))
    drops_frames = packed & 0x40
    return f"{hours}:{minutes}:{seconds}{';' if drops_frames else ':'}{frames}"
