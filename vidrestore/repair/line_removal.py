"""Takes lines out of the planes of a frame.

As in Kokaram 1998, "Motion Picture Restoration", a line scratch has one cross section along its
length. It is measured, and its strength is fitted row by row and taken away. The film's texture
below it stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vidrestore.optical_flow import sample_at
from vidrestore.repair.samples import repaired
from vidrestore.types import Box, FloatArray, Frame, Plane


def gaussian_weights(rows: int, sigma_rows: float) -> FloatArray:
    """Return the weights of an odd number of rows, ``(rows, 1)``."""
    return np.asarray(cv2.getGaussianKernel(rows, sigma_rows, cv2.CV_32F), dtype=np.float32)


def smoothed(rows: FloatArray, kernel: FloatArray) -> FloatArray:
    """Return rows averaged with those above and below.

    Args:
        rows: ``(H, W)``.
        kernel: From ``gaussian_weights``.
    """
    alone = np.ones((1, 1), dtype=np.float32)
    filtered = cv2.sepFilter2D(rows, -1, alone, kernel, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(filtered, dtype=np.float32)


_BOX_ROWS = 16
"""Rows of a recorded box."""
_ALONG_KERNEL = gaussian_weights(33, 6.0)
"""Weights of the rows above and below, where a line is measured."""
_PLACE_KERNEL = gaussian_weights(61, 10.0)
"""Likewise, where its place is measured."""
_CENTERINGS = 2
"""Times that a line's place is measured again."""
_LEAST_LEVELS = 3.0
"""What a line adds at least where it is taken away, of 255 levels."""
_LEAST_SHARE = 0.6
"""Share of it by which a pixel stands out at least."""
_MAX_TIMES_MEDIAN = 2.0
"""What a line adds at most, in units of what it adds usually."""
_FEET_SHARE = 0.1
"""Share of its peak below which a line ends sideways."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scratch:
    """A line from the top of a frame to its bottom."""

    x: FloatArray
    """Its place in each row, ``(H,)``."""
    half_px: int
    """Samples to each side that belong to it."""


def without_scratches(frame: Frame, scratches: Sequence[Scratch]) -> Frame:
    """Return a frame without what scratches add to it."""
    planes = [np.array(plane) for plane in frame.planes]
    pixel_format = frame.pixel_format
    height, width = frame.coded_hw
    boxes: list[Box] = []
    for scratch in scratches:
        for index in range(pixel_format.plane_count - int(pixel_format.has_alpha)):
            plane = planes[index]
            down, across = height / plane.shape[0], width / plane.shape[1]
            rows = np.arange(plane.shape[0], dtype=np.float64) * down
            rows = np.minimum(rows.astype(np.intp), height - 1)
            x = ((scratch.x[rows] + 0.5) / across - 0.5).astype(np.float32)
            _subtract(plane, x, max(2, round(scratch.half_px / across)), pixel_format.max_value)
        boxes += _boxes(scratch, width)
    return repaired(frame, planes, scratches_xyxy=tuple(sorted(boxes, key=lambda box: box[1::-1])))


def _subtract(plane: Plane, x: FloatArray, half_px: int, max_value: int) -> None:
    """Take away in place what a line adds to a plane.

    The line has one profile from top to bottom, as a scratch has. Its strength changes from row to
    row, and is fitted together with the brightness to both sides.
    """
    levels = plane.astype(np.float32)
    strip = _strip(levels, x, half_px)
    for _ in range(_CENTERINGS):
        x = x + _off_center(strip, half_px)
        strip = _strip(levels, x, half_px)
    profile = _profile(strip, half_px)
    offsets = np.arange(-2 * half_px, 2 * half_px + 1, dtype=np.float32)
    terms = np.stack([profile, np.ones_like(offsets), offsets], axis=1)
    strength, middle, slope = np.linalg.pinv(terms) @ strip.T
    sign = np.sign(np.median(strength))
    # Where the line seems much stronger than elsewhere, the film has an edge along it.
    most = _MAX_TIMES_MEDIAN * abs(float(np.median(strength)))
    strength = sign * np.clip(sign * strength, 0, most)
    columns = np.floor(x).astype(int)[:, None] + np.arange(-half_px, half_px + 2)[None]
    distance = columns - x[:, None]
    change = np.rint(strength[:, None] * np.interp(distance, offsets, profile))
    # A pixel that does not stand out is not scratched.
    values = levels[np.arange(len(plane))[:, None], np.clip(columns, 0, plane.shape[1] - 1)]
    standing_out = values - (middle[:, None] + slope[:, None] * distance)
    change[sign * standing_out < _LEAST_SHARE * np.abs(change)] = 0
    change[np.abs(change) < _LEAST_LEVELS * max_value / 255] = 0
    inside = (columns >= 0) & (columns < plane.shape[1])
    rows = np.broadcast_to(np.arange(len(plane))[:, None], columns.shape)[inside]
    values = np.clip(values - change, 0, max_value)
    plane[rows, columns[inside]] = values[inside].astype(plane.dtype)


def _strip(levels: FloatArray, x: FloatArray, half_px: int) -> FloatArray:
    """Return a plane along a line, ``(H, 4 half + 1)``, averaged along it.

    What changes faster along the line is the film's.
    """
    offsets = np.arange(-2 * half_px, 2 * half_px + 1, dtype=np.float32)
    rows = np.arange(len(x), dtype=np.float32)[:, None] + 0 * offsets
    strip = sample_at(levels, (x[:, None] + offsets).astype(np.float32), rows)
    return smoothed(strip, _ALONG_KERNEL)


def _added(strip: FloatArray, half_px: int) -> FloatArray:
    """Return how far the middle of a strip is above its two sides, ``(H, 2 half + 1)``."""
    middle = slice(half_px, 3 * half_px + 1)
    sides = [side.mean(axis=1, keepdims=True) for side in (strip[:, :half_px], strip[:, -half_px:])]
    share = np.linspace(0.2, 0.8, 2 * half_px + 1, dtype=np.float32)
    return strip[:, middle] - (sides[0] * (1 - share) + sides[1] * share)


def _profile(strip: FloatArray, half_px: int) -> FloatArray:
    """Return what a line adds across, 1 at most, ``(4 half + 1,)``."""
    usual = np.median(_added(strip, half_px), axis=0)
    peak = half_px - 1 + int(np.abs(usual[half_px - 1 : half_px + 2]).argmax())
    shape = usual / usual[peak] if usual[peak] else np.zeros_like(usual)
    is_line = shape >= _FEET_SHARE
    # Only what hangs together with the peak.
    is_line[:peak] = np.logical_and.accumulate(is_line[:peak][::-1])[::-1]
    is_line[peak:] = np.logical_and.accumulate(is_line[peak:])
    return np.pad(np.where(is_line, shape, 0), half_px).astype(np.float32)


def _off_center(strip: FloatArray, half_px: int) -> FloatArray:
    """Return how far from the middle a line is in each row, smoothed along it."""
    added = _added(strip, half_px)
    usual = np.median(added, axis=0)[half_px - 1 : half_px + 2]
    sign = np.sign(usual[np.abs(usual).argmax()])
    offsets = np.arange(-half_px, half_px + 1, dtype=np.float32)
    limit = 2 * np.abs(usual).max()
    weights = np.square(np.clip(sign * added, 0, limit)) * (np.abs(offsets) <= half_px / 2 + 1)
    sums = np.stack([weights @ offsets, weights.sum(axis=1)], axis=1).astype(np.float32)
    moment, mass = smoothed(sums, _PLACE_KERNEL).T
    return np.clip(moment / np.maximum(mass, 1e-3), -1, 1).astype(np.float32)


def _boxes(scratch: Scratch, width: int) -> list[Box]:
    boxes: list[Box] = []
    margin = scratch.half_px + 2
    for top in range(0, len(scratch.x), _BOX_ROWS):
        part = scratch.x[top : top + _BOX_ROWS]
        left = max(0, int(np.floor(part.min())) - margin)
        right = min(width, int(np.ceil(part.max())) + margin + 1)
        boxes.append((left, top, right, top + len(part)))
    return boxes
