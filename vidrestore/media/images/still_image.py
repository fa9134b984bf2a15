"""What is read from a picture file, whatever its kind."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from vidrestore.types import ColorTags, PixelFormat, Plane

_SRGB = ColorTags(primaries=1, transfer=13, full_range=True, range_known=True)
_SRGB_IN_RGB = ColorTags(matrix=0, primaries=1, transfer=13, full_range=True, range_known=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """The samples of a picture file, and what the file says about them."""

    pixel_format: PixelFormat
    planes: tuple[Plane, ...]
    """Read-only, in the order of ``pixel_format``, exactly as the file has them."""
    color: ColorTags
    lies: tuple[bool, int] = (False, 0)
    """Whether a viewer mirrors the picture, and its quarter turns clockwise after that."""
    sample_aspect_ratio: Fraction = Fraction(1)
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    """What people look for in the header: ``timecode``, ``reel_name``, ..."""

    @property
    def coded_hw(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.planes[0].shape
        return height, width


class ImageFileError(ValueError):
    """A picture file is damaged or of a kind that is not supported; says which, and what to do."""


def own_plane(samples: NDArray[np.generic]) -> Plane:
    """Return a read-only copy of samples of 8 or 16 bits."""
    plane: Plane = np.array(samples, order="C")  # pyright: ignore[reportAssignmentType]
    plane.flags.writeable = False
    return plane


def picture_color(pixel_format: PixelFormat) -> ColorTags:
    """Return the colour tags of a picture that says nothing else: sRGB, full range."""
    return _SRGB_IN_RGB if pixel_format.model == "rgb" else _SRGB
