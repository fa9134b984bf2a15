"""Removes lines from the planes of a frame.

As in Kokaram 1998, "Motion Picture Restoration", a line scratch has one cross section along its
length. It is measured; its strength is fitted row by row, and subtracted. The film's texture under
the scratch stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vidrestore.optical_flow import sample_at
from vidrestore.repair.samples import Mask, with_repair
from vidrestore.types import Box, FloatArray, Frame, Plane


def gaussian_weights(rows: int, sigma_rows: float) -> FloatArray:
    """Return the weights of an odd number of rows, ``(rows, 1)``."""
    return np.asarray(cv2.getGaussianKernel(rows, sigma_rows, cv2.CV_32F), dtype=np.float32)


def smooth_rows(rows: FloatArray, kernel: FloatArray) -> FloatArray:
    """Average rows with those above and below.

    Args:
        rows: ``(H, W)``.
        kernel: From ``gaussian_weights``.
    """
    identity = np.ones((1, 1), dtype=np.float32)
    filtered = cv2.sepFilter2D(rows, -1, identity, kernel, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(filtered, dtype=np.float32)


_BOX_ROWS = 16
"""Rows of a recorded box."""
_NEAR_ROWS = 33
"""Rows around one with a scratch in luma in which chroma may have it, too."""
_ALONG_KERNEL = gaussian_weights(33, 6.0)
"""Weights of rows above and below when a line's profile is measured."""
_POSITION_KERNEL = gaussian_weights(61, 10.0)
"""Weights of rows above and below when a line's position is measured."""
_CENTERING_STEPS = 2
"""Number of times that a line's position is refined."""
_MIN_LEVELS = (3.0, 6.0)
"""Minimum change of a pixel, of 255 levels: in a flat film, and in a textured one, where smaller
changes are as often texture as scratch."""
_MIN_LEVELS_PER_TEXTURE = 3.0
"""Increase of the minimum with the root mean square of the texture beside and under a line."""
_MIN_EXCESS_RATIO = 0.6
"""Minimum excess of a pixel over its surroundings, relative to the line's strength."""
_MAX_TIMES_MEDIAN = 2.0
"""Maximum strength of a line relative to its median."""
_PROFILE_END_RATIO = 0.1
"""Value of a line's profile relative to its peak at which it ends sideways."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scratch:
    """A line from the top to the bottom of a frame."""

    x: FloatArray
    """Position in each row, ``(H,)``."""
    half_px: int
    """Number of samples to each side that belong to it."""


def remove_lines(frame: Frame, scratches: Sequence[Scratch]) -> Frame:
    """Return a frame without scratches."""
    planes = [np.array(plane) for plane in frame.planes]
    pixel_format = frame.pixel_format
    height, width = frame.coded_hw
    boxes: list[Box] = []
    for scratch in scratches:
        is_scratched = np.ones(height, dtype=np.bool_)
        for index in range(pixel_format.plane_count - int(pixel_format.has_alpha)):
            plane = planes[index]
            rows_ratio, columns_ratio = height / plane.shape[0], width / plane.shape[1]
            rows = np.arange(plane.shape[0], dtype=np.float64) * rows_ratio
            rows = np.minimum(rows.astype(np.intp), height - 1)
            x = ((scratch.x[rows] + 0.5) / columns_ratio - 0.5).astype(np.float32)
            half_px = max(2, round(scratch.half_px / columns_ratio))
            changed = _subtract(plane, x, half_px, pixel_format.max_value, is_scratched[rows])
            if pixel_format.model == "yuv" and index == 0:
                # A line of color without a scratch in luma belongs to the film.
                near = cv2.dilate(changed.astype(np.uint8)[:, None], np.ones((_NEAR_ROWS, 1)))
                is_scratched = near[:, 0] > 0
        boxes += _boxes(scratch, width)
    return with_repair(
        frame, planes, scratches_xyxy=tuple(sorted(boxes, key=lambda box: box[1::-1]))
    )


def _subtract(
    plane: Plane, x: FloatArray, half_px: int, max_value: int, is_scratched: Mask
) -> Mask:
    """Subtract a line from rows of a plane, in place; return the rows that changed, ``(H,)``.

    The line has the same profile from top to bottom. Its strength changes from row to row, and is
    fitted together with the brightness to both sides.
    """
    levels = plane.astype(np.float32)
    strip = _strip(levels, x, half_px)
    for _ in range(_CENTERING_STEPS):
        x = x + _off_center(strip, half_px)
        strip = _strip(levels, x, half_px)
    profile = _profile(strip, half_px)
    offsets = np.arange(-2 * half_px, 2 * half_px + 1, dtype=np.float32)
    # Across a strip, the film's own brightness is a parabola: with a straight line, every curve of
    # it would count as a part of the scratch.
    terms = np.stack([profile, np.ones_like(offsets), offsets, offsets**2], axis=1)
    fitted = np.linalg.pinv(terms) @ strip.T
    strength, *background = fitted
    texture = np.sqrt(np.square(strip - (terms @ fitted).T).mean(axis=1))
    sign = np.sign(np.median(strength))
    # Where the line seems much stronger than elsewhere, the film has an edge along it.
    max_strength = _MAX_TIMES_MEDIAN * abs(float(np.median(strength)))
    strength = sign * np.clip(sign * strength, 0, max_strength)
    columns = np.floor(x).astype(int)[:, None] + np.arange(-half_px, half_px + 2)[None]
    distance = columns - x[:, None]
    change = np.rint(strength[:, None] * np.interp(distance, offsets, profile))
    # A pixel that does not differ from its surroundings is not scratched.
    values = levels[np.arange(len(plane))[:, None], np.clip(columns, 0, plane.shape[1] - 1)]
    middle, slope, curvature = (term[:, None] for term in background)
    excess = values - (middle + slope * distance + curvature * distance**2)
    change[sign * excess < _MIN_EXCESS_RATIO * np.abs(change)] = 0
    flat, textured = (limit * max_value / 255 for limit in _MIN_LEVELS)
    min_change = np.clip(flat + _MIN_LEVELS_PER_TEXTURE * texture, None, textured)
    change[(np.abs(change) < min_change[:, None]) | ~is_scratched[:, None]] = 0
    inside = (columns >= 0) & (columns < plane.shape[1])
    rows = np.broadcast_to(np.arange(len(plane))[:, None], columns.shape)[inside]
    values = np.clip(values - change, 0, max_value)
    plane[rows, columns[inside]] = values[inside].astype(plane.dtype)
    return np.asarray(((change != 0) & inside).any(axis=1), dtype=np.bool_)


def _strip(levels: FloatArray, x: FloatArray, half_px: int) -> FloatArray:
    """Return the samples around a line, ``(H, 4 half + 1)``, averaged along it.

    Faster changes along the line belong to the film.
    """
    offsets = np.arange(-2 * half_px, 2 * half_px + 1, dtype=np.float32)
    rows = np.arange(len(x), dtype=np.float32)[:, None] + 0 * offsets
    strip = sample_at(levels, (x[:, None] + offsets).astype(np.float32), rows)
    return smooth_rows(strip, _ALONG_KERNEL)


def _excess(strip: FloatArray, half_px: int) -> FloatArray:
    """Return how much brighter a strip's middle is than its two sides, ``(H, 2 half + 1)``."""
    middle = slice(half_px, 3 * half_px + 1)
    sides = [side.mean(axis=1, keepdims=True) for side in (strip[:, :half_px], strip[:, -half_px:])]
    weight = np.linspace(0.2, 0.8, 2 * half_px + 1, dtype=np.float32)
    return strip[:, middle] - (sides[0] * (1 - weight) + sides[1] * weight)


def _profile(strip: FloatArray, half_px: int) -> FloatArray:
    """Return the cross section of a line, with maximum 1, ``(4 half + 1,)``."""
    median = np.median(_excess(strip, half_px), axis=0)
    peak = half_px - 1 + int(np.abs(median[half_px - 1 : half_px + 2]).argmax())
    shape = median / median[peak] if median[peak] else np.zeros_like(median)
    is_line = shape >= _PROFILE_END_RATIO
    # Only what is connected to the peak.
    is_line[:peak] = np.logical_and.accumulate(is_line[:peak][::-1])[::-1]
    is_line[peak:] = np.logical_and.accumulate(is_line[peak:])
    return np.pad(np.where(is_line, shape, 0), half_px).astype(np.float32)


def _off_center(strip: FloatArray, half_px: int) -> FloatArray:
    """Return the offset of a line from the middle in each row, smoothed along it."""
    excess = _excess(strip, half_px)
    median = np.median(excess, axis=0)[half_px - 1 : half_px + 2]
    sign = np.sign(median[np.abs(median).argmax()])
    offsets = np.arange(-half_px, half_px + 1, dtype=np.float32)
    limit = 2 * np.abs(median).max()
    weights = np.square(np.clip(sign * excess, 0, limit)) * (np.abs(offsets) <= half_px / 2 + 1)
    sums = np.stack([weights @ offsets, weights.sum(axis=1)], axis=1).astype(np.float32)
    moment, mass = smooth_rows(sums, _POSITION_KERNEL).T
    return np.clip(moment / np.maximum(mass, 1e-3), -1, 1).astype(np.float32)


def _boxes(scratch: Scratch, width: int) -> list[Box]:
    boxes: list[Box] = []
    margin = scratch.half_px + 2
    for top in range(0, len(scratch.x), _BOX_ROWS):
        rows_x = scratch.x[top : top + _BOX_ROWS]
        left = max(0, int(np.floor(rows_x.min())) - margin)
        right = min(width, int(np.ceil(rows_x.max())) + margin + 1)
        boxes.append((left, top, right, top + len(rows_x)))
    return boxes
