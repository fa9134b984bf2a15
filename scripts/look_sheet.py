"""The sheet of ``look.py``: the box of each face, its scale, and the layout."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from film_pairs import scaled_box

from vidrestore.review.jpeg import Rgb
from vidrestore.types import Box, Detection

HEAD_SIDES, MAX_HEAD_SIDES = 2.0, 3.0
"""Side of the square around a face, in longer sides of its box, and how far it may grow to fill a
tile."""
MAX_ENLARGING = 4.0
"""Larger scales only show single pixels."""
DIFFERENCE_GAIN = 4
_BAR_PX, _GAP_PX = 20, 6
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.4
_GRAY, _WHITE = (40, 40, 40), (255, 255, 255)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FacePair:
    """The same box of the source and of the result."""

    seconds: Fraction
    """Time of the frame in the source."""
    frame_name: str
    """Number or file name of the frame; empty if unknown."""
    side_px: int
    """Side of the box in pixels of the source."""
    before: Rgb
    after: Rgb
    """The box in the result, which may have more pixels."""


def head_box(face: Detection, display_hw: tuple[int, int], tile_px: int) -> Box:
    """Return the square of whole pixels around a head, moved and shrunk to fit into the frame.

    Args:
        face: In display pixels.
        display_hw: Size of the frame.
        tile_px: Side of the tile that it fills when scaled.
    """
    left, top, right, bottom = face.box_xyxy
    height, width = display_hw
    longer = max(right - left, bottom - top)
    least = round(longer * HEAD_SIDES)
    filling = int(tile_px / enlarging(least, tile_px))
    side = min(filling, round(longer * MAX_HEAD_SIDES), height, width)
    x = round(min(max((left + right - side) / 2, 0), width - side))
    y = round(min(max((top + bottom - side) / 2, 0), height - side))
    return x, y, x + side, y + side


def cut(picture: Rgb, box_xyxy: Box, source_hw: tuple[int, int]) -> Rgb:
    """Return a box of the source from a frame of any size.

    Args:
        picture: A frame of the source or of the result.
        box_xyxy: Whole pixels of the source.
        source_hw: Size of the source.
    """
    height, width = picture.shape[:2]
    left, top, right, bottom = scaled_box(box_xyxy, source_hw, (height, width))
    return np.ascontiguousarray(picture[top:bottom, left:right])


def enlarging(side_px: int, tile_px: int) -> float:
    """Return how many times a piece of the source is enlarged: in quarters, from 1 on.

    Only a piece larger than a tile is shrunk to it.
    """
    if side_px >= tile_px:
        return tile_px / side_px
    return min(MAX_ENLARGING, int(4 * tile_px / side_px) / 4)


def sheet(
    pairs: Sequence[FacePair], names: tuple[str, str], *, tile_px: int, difference: bool
) -> Rgb:
    """Return all pairs in one picture, two to a line where there are three or more.

    Args:
        pairs: One or more.
        names: Of source and result.
        tile_px: Side of the largest tile.
        difference: Whether a third tile shows what was changed.
    """
    room_px = max(_tile_side(pair, tile_px) for pair in pairs)
    cells = [_cell(pair, names, tile_px, room_px, difference) for pair in pairs]
    columns = 1 if len(cells) < 3 else 2
    cells += [np.full_like(cells[0], _GRAY)] * (-len(cells) % columns)
    lines = [
        np.concatenate(cells[index : index + columns], axis=1)
        for index in range(0, len(cells), columns)
    ]
    return np.concatenate(lines)


def _tile_side(pair: FacePair, tile_px: int) -> int:
    return round(pair.side_px * enlarging(pair.side_px, tile_px))


def _cell(
    pair: FacePair, names: tuple[str, str], tile_px: int, room_px: int, difference: bool
) -> Rgb:
    side = _tile_side(pair, tile_px)
    before, after = _resized(pair.before, side), _resized(pair.after, side)
    factor = f"x{enlarging(pair.side_px, tile_px):.3g}"
    minutes, seconds = divmod(float(pair.seconds), 60)
    when = " ".join(filter(None, (f"{int(minutes)}:{seconds:05.2f}", pair.frame_name)))
    tiles = [
        _labeled(before, f"before {when} {factor} {names[0]}", room_px),
        _labeled(after, f"after {names[1]}", room_px),
    ]
    if difference:
        change = (after.astype(np.int16) - before) * DIFFERENCE_GAIN + 128
        clipped = np.clip(change, 0, 255).astype(np.uint8)
        tiles.append(_labeled(clipped, f"difference x{DIFFERENCE_GAIN}", room_px))
    row = np.concatenate(tiles, axis=1)
    edge = ((0, _GAP_PX), (0, _GAP_PX), (0, 0))
    framed = np.pad(row, edge)
    framed[-_GAP_PX:], framed[:, -_GAP_PX:] = _GRAY, _GRAY
    return framed


def _resized(picture: Rgb, side_px: int) -> Rgb:
    if picture.shape[:2] == (side_px, side_px):
        return picture
    filter_ = cv2.INTER_AREA if picture.shape[0] > side_px else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (side_px, side_px), interpolation=filter_), np.uint8)


def _labeled(picture: Rgb, text: str, room_px: int) -> Rgb:
    """Return an image centerd in a square, under a line of text that is shortened to fit."""
    tile = np.full((room_px + _BAR_PX, room_px + _GAP_PX // 2, 3), _GRAY, dtype=np.uint8)
    top = _BAR_PX + (room_px - len(picture)) // 2
    left = (room_px - len(picture)) // 2
    tile[top : top + len(picture), left : left + len(picture)] = picture
    plain = text.encode("ascii", "replace").decode("ascii")
    while cv2.getTextSize(plain, _FONT, _FONT_SCALE, 1)[0][0] > room_px - 4:
        plain = plain[:-1]
    cv2.putText(tile, plain, (3, _BAR_PX - 6), _FONT, _FONT_SCALE, _WHITE, 1, cv2.LINE_AA)
    return tile
