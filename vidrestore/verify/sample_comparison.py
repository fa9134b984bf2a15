"""Compare samples outside the masks: identical, or how different."""

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
    """One sample that differs from the source."""

    frame: Frame
    """The frame of the source."""
    plane: str
    x: int
    y: int
    source_value: int
    result_value: int

    def __str__(self) -> str:
        """Return the place: ``frame 3, plane Y, x 12, y 40: 16 became 17``."""
        place = f"frame {self.frame.index}, plane {self.plane}, x {self.x}, y {self.y}"
        return f"{place}: {self.source_value} became {self.result_value}"


class SampleComparison:
    """Compares pairs of frames; stores only totals and the first difference."""

    def __init__(self) -> None:
        self.first: Difference | None = None
        """The first difference outside the masks."""
        self.changed_samples = 0
        self.changed_frames = 0
        self.frames = 0
        self._masked_px = 0
        self._frame_px = 0
        self._squared_errors = 0.0
        self._compared = 0
        self._worst: tuple[float, int] | None = None

    @property
    def masked_ratio(self) -> float:
        """Fraction of the area of all frames that masks cover, 0 to 1."""
        return self._masked_px / self._frame_px if self._frame_px else 0.0

    @property
    def psnr_db(self) -> float:
        """Peak signal-to-noise ratio of all samples outside the masks; infinite if identical."""
        return _psnr(self._squared_errors, self._compared)

    @property
    def worst_frame(self) -> tuple[float, int] | None:
        """PSNR and index of the most different frame; None before the first."""
        return self._worst

    def add(self, source: Frame, result: Frame, masks_xyxy: Sequence[Box]) -> None:
        """Compare two frames of one size and pixel format.

        Args:
            source: As decoded.
            result: As decoded.
            masks_xyxy: Where samples may differ, in coded pixels, except for alpha.
        """
        pixel_format = source.pixel_format
        changed, squares, compared = 0, 0.0, 0
        for plane_index, (before, after) in enumerate(
            zip(source.planes, result.planes, strict=True)
        ):
            compared += before.size
            if np.array_equal(before, after):
                continue
            outside = _outside_masks(pixel_format, plane_index, before.shape, masks_xyxy)
            differs = before != after
            differs &= outside.view(np.bool_)
            count = int(np.count_nonzero(differs))
            if not count:
                continue
            changed += count
            squares += _squared_error(before, after, outside) / pixel_format.max_value**2
            if self.first is None:
                self.first = _first_difference(source, plane_index, before, after, differs)
        self._add_sums(source, changed, squares, compared)
        self._frame_px += source.planes[0].size
        self._masked_px += _area(source.coded_hw, masks_xyxy)

    def _add_sums(self, source: Frame, changed: int, squares: float, compared: int) -> None:
        self.frames += 1
        self.changed_samples += changed
        self.changed_frames += changed > 0
        self._squared_errors += squares
        self._compared += compared
        psnr_and_index = (_psnr(squares, compared), source.index)
        self._worst = min(self._worst or psnr_and_index, psnr_and_index)


def _psnr(squares: float, count: int) -> float:
    return 10 * math.log10(count / squares) if squares else math.inf


def _squared_error(before: Plane, after: Plane, outside: NDArray[np.uint8]) -> float:
    return float(cv2.norm(before, after, cv2.NORM_L2SQR, outside))


def _outside_masks(
    pixel_format: PixelFormat,
    plane_index: int,
    shape: tuple[int, ...],
    masks_xyxy: Sequence[Box],
) -> NDArray[np.uint8]:
    """Return 1 for samples of a plane that no mask touches, else 0."""
    outside = np.ones(shape, dtype=np.uint8)
    if pixel_format.has_alpha and plane_index == pixel_format.plane_count - 1:
        return outside
    for mask_xyxy in masks_xyxy:
        outside[pixel_format.plane_box(plane_index, mask_xyxy)] = 0
    return outside


def _area(size_hw: tuple[int, int], masks_xyxy: Sequence[Box]) -> int:
    """Return how many pixels the masks cover; they may overlap."""
    if len(masks_xyxy) < 2:
        return sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in masks_xyxy)
    covered = np.zeros(size_hw, dtype=np.bool_)
    for left, top, right, bottom in masks_xyxy:
        covered[top:bottom, left:right] = True
    return int(np.count_nonzero(covered))


def _first_difference(
    source: Frame, plane_index: int, before: Plane, after: Plane, differs: NDArray[np.bool_]
) -> Difference:
    y, x = divmod(int(np.argmax(differs)), differs.shape[1])
    names = _PLANE_NAMES[source.pixel_format.model]
    return Difference(
        frame=source,
        plane=names[plane_index],
        x=x,
        y=y,
        source_value=int(before[y, x]),
        result_value=int(after[y, x]),
    )
