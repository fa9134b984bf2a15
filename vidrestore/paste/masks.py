"""Soft mask of a face: an ellipse through its five landmarks, and the face inside it.

If the restorer has a parser, the mask follows its face class: a hand or hair in front of the face
stays as it was. Three things keep the mask from jumping between frames: it is a smooth
function of probabilities, not of labels; its border is wide; and the less of the middle of the
ellipse is classified as face, the more the plain ellipse counts, so that a face that the parser
briefly misses does not flash.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.affine import apply_affine, compose_affines, scaling
from vidrestore.types import CROP_SIZE_PX, Affine, FloatArray

# In units of the distance from the middle of the eyes to the middle of the mouth. The ellipse
# ends in the hair, below the chin and at the ears, where a seam is least visible.
_CENTER_BELOW_EYES = 0.33
_HALF_HEIGHT = 1.65
_HALF_WIDTH = 1.33
FULL_INSIDE = 0.70
"""Radius relative to the ellipse's within which the mask is 1."""
FULL_INSIDE_OF_PARSED = 0.85
"""The same if the parser's mask defines the border."""
CORE = 0.5
"""Radius of the core, nearly all of which is face unless it is occluded."""
CORE_FACE_RATIOS = (0.25, 0.65)
"""Fraction of the core classified as face: up to the first the parser's mask is ignored, from the
second it counts fully."""
FEATHER_PX = 10.0
"""Standard deviation of the blur of the parser's mask, in crop pixels."""
SATURATION = 0.125
"""Blurred probabilities this close to 0 or 1 count as 0 or 1."""
_BORDER_PX = 4.0
"""Minimum distance of the ellipse from the border of the crop, in crop pixels."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FaceEllipse:
    """The ellipse in which a restored face is shown."""

    to_unit: Affine
    """Map from crop pixels to the space in which the ellipse is the unit circle."""
    bounds_xyxy: tuple[float, float, float, float]
    """The smallest box around it, in crop pixels."""

    def corners_xy(self) -> NDArray[np.float64]:
        """Return the corners of ``bounds_xyxy``, ``(4, 2)``."""
        left, top, right, bottom = self.bounds_xyxy
        return np.array([[left, top], [right, top], [left, bottom], [right, bottom]])


def face_ellipse(landmarks_xy: NDArray[np.float64]) -> FaceEllipse:
    """Return the ellipse of a face, shrunk to fit into the crop.

    Args:
        landmarks_xy: ``(5, 2)`` landmarks in crop pixels.
    """
    center, across, axis, half_width, half_height = _axes(landmarks_xy)
    center = np.clip(center, CROP_SIZE_PX * 0.3, CROP_SIZE_PX * 0.7)

    extent = np.hypot(across * half_width, axis * half_height)
    room = np.minimum(center, CROP_SIZE_PX - 1 - center) - _BORDER_PX
    shrink = np.minimum(1.0, room / extent)
    # Each half axis is shortened by the side of the crop that it mostly points at.
    half_width *= float(shrink @ across**2)
    half_height *= float(shrink @ axis**2)
    half_width, half_height = max(half_width, 1.0), max(half_height, 1.0)

    to_unit = _to_unit(center, across / half_width, axis / half_height)
    extent = np.hypot(across * half_width, axis * half_height)
    low = np.maximum(center - extent, 0.0)
    high = np.minimum(center + extent, CROP_SIZE_PX - 1.0)
    return FaceEllipse(
        to_unit=to_unit,
        bounds_xyxy=(float(low[0]), float(low[1]), float(high[0]), float(high[1])),
    )


def face_units(landmarks_xy: NDArray[np.float64]) -> Affine:
    """Return the map from the space of ``landmarks_xy`` to one with the face as the unit circle.

    The circle is the ellipse of ``face_ellipse``, not shrunk to fit into a crop.

    Args:
        landmarks_xy: ``(5, 2)`` landmarks.
    """
    center, across, axis, half_width, half_height = _axes(landmarks_xy)
    return _to_unit(center, across / half_width, axis / half_height)


def _axes(
    landmarks_xy: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float, float]:
    """Return the center of an ellipse, the directions of its axes, and its half axes."""
    eyes, mouth = landmarks_xy[:2].mean(axis=0), landmarks_xy[3:].mean(axis=0)
    down = mouth - eyes
    # A lower limit from the distance of the eyes: a face bent down is short, not small.
    length = max(
        float(np.hypot(*down)), 0.8 * float(np.hypot(*(landmarks_xy[1] - landmarks_xy[0]))), 1.0
    )
    axis = down / max(float(np.hypot(*down)), 1e-6)
    center = eyes + _CENTER_BELOW_EYES * length * axis
    across = np.array([-axis[1], axis[0]])
    return center, across, axis, _HALF_WIDTH * length, _HALF_HEIGHT * length


def _to_unit(
    center: NDArray[np.float64], first_row: NDArray[np.float64], second_row: NDArray[np.float64]
) -> Affine:
    linear = np.stack([first_row, second_row])
    return np.concatenate([linear, (-linear @ center)[:, None]], axis=1)


def smooth_step(values: FloatArray, low: float, high: float) -> FloatArray:
    """Return 0 up to ``low``, 1 from ``high``, and between them ``3 x^2 - 2 x^3``."""
    scaled = (values - np.float32(low)) * np.float32(1.0 / (high - low))
    ramp = np.asarray(np.clip(scaled, 0.0, 1.0), dtype=np.float32)
    return np.asarray(ramp * ramp * (3.0 - 2.0 * ramp), dtype=np.float32)


def mask_on_grid(
    region_to_unit: Affine, region_hw: tuple[int, int], *, full_inside: float = FULL_INSIDE
) -> FloatArray:
    """Return the mask at every pixel of a region, ``(h, w)`` in [0, 1].

    Args:
        region_to_unit: Map from region pixels to the space of ``FaceEllipse.to_unit``.
        region_hw: Size of the region.
        full_inside: Radius relative to the ellipse's within which the mask is 1.
    """
    height, width = region_hw
    x = np.arange(width, dtype=np.float32)
    y = np.arange(height, dtype=np.float32)
    affine = region_to_unit.astype(np.float32)
    u = (affine[0, 0] * x)[None, :] + (affine[0, 1] * y + affine[0, 2])[:, None]
    v = (affine[1, 0] * x)[None, :] + (affine[1, 1] * y + affine[1, 2])[:, None]
    u *= u
    v *= v
    u += v
    radius = np.sqrt(u, out=u)
    ramp = np.clip((1.0 - radius) * np.float32(1.0 / (1.0 - full_inside)), 0.0, 1.0)
    return ramp * ramp * (3.0 - 2.0 * ramp)


def feather(cells_hw: FloatArray) -> FloatArray:
    """Return the weight of the restored face in each cell of the crop, ``(R, R)`` in [0, 1].

    Args:
        cells_hw: Fraction of each cell that is face, in [0, 1].
    """
    sigma = FEATHER_PX * cells_hw.shape[0] / CROP_SIZE_PX
    blurred = cv2.GaussianBlur(cells_hw, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    gain = np.float32(1.0 / (1.0 - 2.0 * SATURATION))
    weight = (np.asarray(blurred, np.float32) - np.float32(SATURATION)) * gain
    return np.clip(weight, 0.0, 1.0, dtype=np.float32)


def mask_confidence(cells_hw: FloatArray, ellipse: FaceEllipse) -> float:
    """Return the confidence in a parser's mask, in [0, 1], by how much of the core is face.

    Args:
        cells_hw: Fraction of each cell that is face, in [0, 1].
        ellipse: Position of the face by its landmarks.
    """
    side = cells_hw.shape[0]
    cells_to_unit = compose_affines(cells_to_crop(side), ellipse.to_unit)
    x = np.arange(side, dtype=np.float64)
    units = apply_affine(cells_to_unit, np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2))
    core = np.hypot(units[:, 0], units[:, 1]).reshape(side, side) <= CORE
    ratio = float(cells_hw[core].mean()) if core.any() else 0.0
    low, high = CORE_FACE_RATIOS
    ramp = float(np.clip((ratio - low) / (high - low), 0.0, 1.0))
    return ramp * ramp * (3.0 - 2.0 * ramp)


def combine_masks(
    weight_hw: FloatArray, region_to_unit: Affine, *, confidence: float
) -> FloatArray:
    """Return the mask of a parsed face at every pixel of a region, ``(h, w)`` in [0, 1].

    It is 0 outside the ellipse.

    Args:
        weight_hw: Result of ``feather`` at every pixel of the region.
        region_to_unit: Map from region pixels to the space of ``FaceEllipse.to_unit``.
        confidence: Result of ``mask_confidence``.
    """
    height, width = weight_hw.shape
    plain = mask_on_grid(region_to_unit, (height, width))
    if confidence == 0.0:
        return plain
    wide = mask_on_grid(region_to_unit, (height, width), full_inside=FULL_INSIDE_OF_PARSED)
    mixed = plain + np.float32(confidence) * (wide * weight_hw - plain)
    return np.asarray(mixed, dtype=np.float32)


def cells_to_crop(cells: int) -> Affine:
    """Return the map from cells to crop pixels, with ``cells`` along the side of the crop."""
    return scaling(CROP_SIZE_PX / cells)


def mapped_bounds(
    affine: Affine, corners_xy: NDArray[np.float64]
) -> tuple[float, float, float, float]:
    """Return the box around the mapped corners; right and bottom are exclusive."""
    mapped = apply_affine(affine, corners_xy)
    low, high = mapped.min(axis=0), mapped.max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]) + 1.0, float(high[1]) + 1.0
