"""Pictures of any size in parts of bounded size, which overlap."""

from collections.abc import Iterator
from dataclasses import dataclass

ALIGN_PX = 32
"""Tiles start at multiples of this: of the windows and strides of all usual networks."""
CONTEXT_PX = 32
"""Source pixels around a tile that a network sees and whose result is dropped, where nothing more
is known of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A part of a picture, in its pixels; right and bottom exclusive."""

    core_xyxy: tuple[int, int, int, int]
    """What this tile is responsible for."""
    seen_xyxy: tuple[int, int, int, int]
    """The core with its surroundings, inside the picture."""

    @property
    def seen_hw(self) -> tuple[int, int]:
        """Height and width of what the network sees."""
        left, top, right, bottom = self.seen_xyxy
        return bottom - top, right - left


def tiles_of(size_hw: tuple[int, int], side_px: int, context_px: int = CONTEXT_PX) -> list[Tile]:
    """Return tiles whose cores cover a picture once, each at most ``side_px`` on a side."""
    return [
        Tile(
            core_xyxy=(left, top, right, bottom),
            seen_xyxy=(
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
