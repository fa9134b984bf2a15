"""Splits images of any size into tiles of bounded size, which overlap."""

from collections.abc import Iterator
from dataclasses import dataclass

ALIGN_PX = 32
"""Tiles start at multiples of this: of the windows and strides of all usual networks."""
CONTEXT_PX = 32
"""Source pixels around a tile that a network sees and whose result is dropped, if its receptive
field is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A part of an image, in its pixels; right and bottom exclusive."""

    core_xyxy: tuple[int, int, int, int]
    """The part of the output that comes from this tile."""
    padded_xyxy: tuple[int, int, int, int]
    """The core with its surroundings, inside the image."""

    @property
    def padded_hw(self) -> tuple[int, int]:
        """Height and width of what the network sees."""
        left, top, right, bottom = self.padded_xyxy
        return bottom - top, right - left


def split_into_tiles(
    size_hw: tuple[int, int], side_px: int, context_px: int = CONTEXT_PX
) -> list[Tile]:
    """Return tiles whose cores cover an image once, each at most ``side_px`` on a side."""
    return [
        Tile(
            core_xyxy=(left, top, right, bottom),
            padded_xyxy=(
                max(0, left - context_px),
                max(0, top - context_px),
                min(size_hw[1], right + context_px),
                min(size_hw[0], bottom + context_px),
            ),
        )
        for top, bottom in _spans(size_hw[0], side_px)
        for left, right in _spans(size_hw[1], side_px)
    ]


def _spans(length_px: int, side_px: int) -> Iterator[tuple[int, int]]:
    count = -(-length_px // side_px)
    step = -(-length_px // (count * ALIGN_PX)) * ALIGN_PX
    for start in range(0, length_px, step):
        yield start, min(length_px, start + step)
