"""Samples outside of the masks: identical, or how far from it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.types import Box, Frame, PixelFormat, Plane

_PLANE_NAMES = {
    "yuv": ("Y", "U", "V", "alpha"),
    "rgb": ("G", "B", "R", "alpha"),
    "gray": ("gray", "alpha"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One sample that is not the source's."""

    frame: Frame
    """Of the source."""
    plane: str
    x: int
    y: int
    source_value: int
    result_value: int

    def __str__(self) -> str:
        """Name the place: ``frame 3, plane Y, x 12, y 40: 16 became 17``."""
        where = f"frame {self.frame.index}, plane {self.plane}, x {self.x}, y {self.y}"
        return f"{where}: {self.source_value} became {self.result_value}"


class SampleComparison:
    """Compares frames as they come; holds sums and the first difference only."""

    def __init__(self) -> None:
        self.first: Difference | None = None
        """Outside of the masks."""
        self.changed_samples = 0
        self.changed_frames = 0
        self.frames = 0
        self.inside_frames = 0
        """Frames in which something inside a mask is not the source's."""
        self._masked_px = 0
        self._all_px = 0
        self._squares = 0.0
        self._compared = 0
        self._worst: tuple[float, int] | None = None

    @property
    def masked_share(self) -> float:
        """Share of the film's area that lies under masks, 0 to 1."""
        return self._masked_px / self._all_px if self._all_px else 0.0

    @property
    def psnr_db(self) -> float:
        """Peak signal-to-noise ratio of all samples outside of the masks; infinite if identical."""
        return _psnr(self._squares, self._compared)

    @property
    def worst_frame(self) -> tuple[float, int] | None:
        """PSNR and index of the frame that is farthest from the source; None before the first."""
        return self._worst

    def add(self, source: Frame, result: Frame, masks_xyxy: Sequence[Box]) -> None:
        """Compare two frames of one size and pixel format.

        Args:
            source: As decoded.
            result: As decoded.
            masks_xyxy: What may differ, in coded pixels; alpha may not even there.
        """
        pixel_format = source.pixel_format
        changed, squares, compared, inside = 0, 0.0, 0, False
        for at, (before, after) in enumerate(zip(source.planes, result.planes, strict=True)):
            compared += before.size
            if np.array_equal(before, after):
                continue
            outside = _outside(pixel_format, at, before.shape, masks_xyxy)
            wrong = before != after
            total = int(np.count_nonzero(wrong))
            wrong &= outside.view(np.bool_)
            count = int(np.count_nonzero(wrong))
            inside |= total > count
            if not count:
                continue
            changed += count
            squares += _squared_error(before, after, outside) / pixel_format.max_value**2
            if self.first is None:
                self.first = _first_difference(source, at, before, after, wrong)
        self._take(source, changed, squares, compared)
        self.inside_frames += inside
        self._all_px += source.planes[0].size
        self._masked_px += _area(source.coded_hw, masks_xyxy)

    def _take(self, source: Frame, changed: int, squares: float, compared: int) -> None:
        self.frames += 1
        self.changed_samples += changed
        self.changed_frames += changed > 0
        self._squares += squares
        self._compared += compared
        found = (_psnr(squares, compared), source.index)
        self._worst = found if self._worst is None else min(self._worst, found)


def _psnr(squares: float, count: int) -> float:
    return 10 * math.log10(count / squares) if squares else math.inf


def _squared_error(before: Plane, after: Plane, outside: NDArray[np.uint8]) -> float:
    return float(cv2.norm(before, after, cv2.NORM_L2SQR, outside))


def _outside(
    pixel_format: PixelFormat,
    plane_index: int,
    shape: tuple[int, ...],
    masks_xyxy: Sequence[Box],
) -> NDArray[np.uint8]:
    """Return 1 for samples of a plane that no mask touches, else 0."""
    outside = np.ones(shape, dtype=np.uint8)
    if pixel_format.has_alpha and plane_index == pixel_format.plane_count - 1:
        return outside
    subsampled = pixel_format.model == "yuv" and plane_index in (1, 2)
    shift_x, shift_y = pixel_format.chroma_shift_xy if subsampled else (0, 0)
    for left, top, right, bottom in masks_xyxy:
        rows = slice(top >> shift_y, -(-bottom >> shift_y))
        columns = slice(left >> shift_x, -(-right >> shift_x))
        outside[rows, columns] = 0
    return outside


def _area(size_hw: tuple[int, int], masks_xyxy: Sequence[Box]) -> int:
    """Return how many pixels lie under masks, which may overlap."""
    if len(masks_xyxy) < 2:
        return sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in masks_xyxy)
    covered = np.zeros(size_hw, dtype=np.bool_)
    for left, top, right, bottom in masks_xyxy:
        covered[top:bottom, left:right] = True
    return int(np.count_nonzero(covered))


def _first_difference(
    source: Frame, plane_index: int, before: Plane, after: Plane, wrong: NDArray[np.bool_]
) -> Difference:
    y, x = divmod(int(np.argmax(wrong)), wrong.shape[1])
    names = _PLANE_NAMES[source.pixel_format.model]
    return Difference(
        frame=source,
        plane=names[plane_index],
        x=x,
        y=y,
        source_value=int(before[y, x]),
        result_value=int(after[y, x]),
    )
