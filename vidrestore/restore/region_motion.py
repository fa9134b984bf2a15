"""Images of a region of a frame, and the motion between two of them, in pixels of the frame.

The region of a face moves with it, so two frames have different ones.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.optical_flow import fine_flow, gray_levels, invert_flow, sample_at
from vidrestore.types import FloatArray

Places = tuple[FloatArray, FloatArray]
"""x and y in pixels of the frame."""


class RegionImage(NamedTuple):
    """An image of a region; places are in pixels of the frame."""

    origin_xy: tuple[int, int]
    cell_xy: tuple[float, float]
    """Size of a cell of the image in pixels."""
    cells: FloatArray
    """``(h, w)``, or ``(h, w, C)``."""

    def places(self) -> Places:
        """Return x and y of the cells' centers, each ``(h, w)``."""
        height, width = self.cells.shape[:2]
        x, y = (
            np.asarray(origin + (np.arange(count) + 0.5) * cell - 0.5, dtype=np.float32)
            for origin, count, cell in zip(
                self.origin_xy, (width, height), self.cell_xy, strict=True
            )
        )
        return np.tile(x, (height, 1)), np.tile(y[:, None], (1, width))

    def at(self, places: Places) -> FloatArray:
        """Return what the image shows at places; beyond the region its border is repeated."""
        return sample_at(self.cells, *self.cells_at(places))

    def contains(self, places: Places) -> NDArray[np.bool_]:
        """Return which places are in the region."""
        x, y = self.cells_at(places)
        height, width = self.cells.shape[:2]
        return (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)

    def reduced(self, max_side: int) -> "RegionImage":
        """Return the image with at most so many cells along its longer side."""
        height, width = self.cells.shape[:2]
        ratio = max_side / max(height, width)
        if ratio >= 1.0:
            return self
        size_wh = max(1, round(width * ratio)), max(1, round(height * ratio))
        cells = np.asarray(
            cv2.resize(self.cells, size_wh, interpolation=cv2.INTER_AREA), dtype=np.float32
        )
        cell_x, cell_y = self.cell_xy
        return RegionImage(
            self.origin_xy, (cell_x * width / size_wh[0], cell_y * height / size_wh[1]), cells
        )

    def cells_at(self, places: Places) -> Places:
        """Return x and y of places in cells of the image."""
        x, y = (
            (place + np.float32(0.5 - origin)) * np.float32(1 / cell) - np.float32(0.5)
            for place, origin, cell in zip(places, self.origin_xy, self.cell_xy, strict=True)
        )
        return x, y


class RegionMotion(NamedTuple):
    """Motion between a frame and the previous one, in pixels, where the former has its region."""

    to_previous: RegionImage
    from_previous: RegionImage


def find_motion(current: RegionImage, previous: RegionImage, *, max_side: int) -> RegionMotion:
    """Return the motion between a frame and the previous one.

    Args:
        current: Luma, 0 to 1, with sides of at least ``MIN_FLOW_SIDE_PX`` cells.
        previous: Luma of the frame before.
        max_side: Maximum number of cells of the motion along its longer side.
    """
    there = previous.at(current.places())
    flow = fine_flow(gray_levels(current.cells), gray_levels(there))
    in_pixels = np.asarray(flow * np.array(current.cell_xy, dtype=np.float32), dtype=np.float32)
    to_previous = current._replace(cells=in_pixels).reduced(max_side)
    cell_xy = np.array(to_previous.cell_xy, dtype=np.float32)
    inverse = invert_flow(np.asarray(to_previous.cells / cell_xy, dtype=np.float32))
    from_previous = np.asarray(inverse * cell_xy, dtype=np.float32)
    return RegionMotion(to_previous, to_previous._replace(cells=from_previous))


def follow(motion: RegionImage, places: Places) -> Places:
    """Return where places of one frame are in the other.

    Args:
        motion: ``to_previous`` or ``from_previous``.
        places: In the frame that it starts from.
    """
    moved = motion.at(places)
    return places[0] + moved[:, :, 0], places[1] + moved[:, :, 1]
