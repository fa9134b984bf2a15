"""How samples encode color: the pixel format and the color tags."""

from dataclasses import dataclass
from typing import Literal

from vidrestore.types.arrays import Box


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelFormat:
    """A planar layout of samples, named as FFmpeg names it (``yuv420p10le``).

    Plane order is FFmpeg's: Y U V [A], or G B R [A], or gray (without A).
    """

    name: str
    model: Literal["yuv", "rgb", "gray"]
    bit_depth: int
    """Significant bits per sample; above 8 the samples are uint16."""
    chroma_shift_xy: tuple[int, int] = (0, 0)
    """log2 of the chroma subsampling along x and y: (1, 1) is 4:2:0."""
    has_alpha: bool = False

    def __post_init__(self) -> None:
        if not 8 <= self.bit_depth <= 16:
            raise ValueError(f"bit_depth must be 8 to 16, got {self.bit_depth}")

    @property
    def plane_count(self) -> int:
        """Planes of a frame, alpha included."""
        return (1 if self.model == "gray" else 3) + int(self.has_alpha)

    @property
    def max_value(self) -> int:
        """Largest sample value."""
        return (1 << self.bit_depth) - 1

    def plane_hw(self, index: int, coded_hw: tuple[int, int]) -> tuple[int, int]:
        """Height and width of plane ``index`` in a frame of ``coded_hw``, rounded up."""
        height, width = coded_hw
        shift_x, shift_y = self.plane_shift_xy(index)
        return -(-height >> shift_y), -(-width >> shift_x)

    def plane_shift_xy(self, index: int) -> tuple[int, int]:
        """log2 of the subsampling of plane ``index`` along x and y."""
        return self.chroma_shift_xy if self.model == "yuv" and index in (1, 2) else (0, 0)

    def plane_box(self, index: int, box_xyxy: Box) -> tuple[slice, slice]:
        """Rows and columns of plane ``index`` that a box of pixels touches."""
        left, top, right, bottom = box_xyxy
        rows, columns = self.plane_hw(index, (bottom, right))
        shift_x, shift_y = self.plane_shift_xy(index)
        return slice(top >> shift_y, rows), slice(left >> shift_x, columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColorTags:
    """How samples encode color: code points of ITU-T H.273, 2 meaning unspecified."""

    matrix: int = 2
    primaries: int = 2
    transfer: int = 2
    full_range: bool = False
    range_known: bool = False
    """Whether the source states its range; if not, YUV is taken as limited."""
    chroma_location: int = 0
    """FFmpeg's ``AVChromaLocation``: 0 unspecified, 1 left, 2 center, 3 top left."""
