"""The soft mask of a face: an ellipse laid through its five points, and the face found inside.

Where the restorer tells which part of the crop the face fills, the mask follows that: a hand or
hair before the face stays as it was. Three things keep it from jumping between frames: it is a
smooth function of probabilities, not of labels; its border is wide; and the less of the middle of
the ellipse is called face, the more the plain ellipse counts, so that a face which the parser
misses for a moment does not flash.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.affine import apply_affine, compose_affines
from vidrestore.types import CROP_SIZE_PX, Affine, FloatArray

# In units of the distance between the middle of the eyes and the middle of the mouth. The
# ellipse ends in the hair, below the chin and at the ears, where a seam is least seen.
_CENTRE_BELOW_EYES = 0.33
_HALF_HEIGHT = 1.65
_HALF_WIDTH = 1.33
_FULL_INSIDE = 0.70
"""Radius, as a share of the ellipse's, within which the mask is 1."""
_FULL_INSIDE_OF_REGION = 0.85
"""The same where the face's region is known, so that the ellipse need not be its border."""
_CORE = 0.5
"""Radius, likewise, within which nearly all of an unoccluded face's ellipse is face."""
_CORE_FACE = (0.25, 0.65)
"""Share of the core that is called face: at or below the first the region is not believed, at or
above the second it is believed in full."""
_FEATHER_PX = 10.0
"""Standard deviation of the blur of the region's border, in crop pixels."""
_CERTAIN = 0.125
"""Blurred probabilities this near to 0 or 1 count as 0 or 1."""
_BORDER_PX = 4.0
"""Distance the ellipse keeps from the crop's border, in crop pixels."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FaceEllipse:
    """Where a restored face is shown, in crop pixels: 1 inside, falling smoothly to 0."""

    to_unit: Affine
    """From crop pixels to the space in which the ellipse is the unit circle."""
    bounds_xyxy: tuple[float, float, float, float]
    """The smallest box around it, in crop pixels."""

    def corners_xy(self) -> NDArray[np.float64]:
        """Return the corners of ``bounds_xyxy``, ``(4, 2)``."""
        left, top, right, bottom = self.bounds_xyxy
        return np.array([[left, top], [right, top], [left, bottom], [right, bottom]])


def face_ellipse(landmarks_xy: NDArray[np.float64]) -> FaceEllipse:
    """Return the ellipse through a face's geometry.

    Args:
        landmarks_xy: ``(5, 2)`` landmarks in crop pixels.
    """
    centre, across, axis, half_width, half_height = _axes(landmarks_xy)
    centre = np.clip(centre, CROP_SIZE_PX * 0.3, CROP_SIZE_PX * 0.7)

    reach = np.hypot(across * half_width, axis * half_height)
    room = np.minimum(centre, CROP_SIZE_PX - 1 - centre) - _BORDER_PX
    shrink = np.minimum(1.0, room / reach)
    # Each half axis is cut by the crop side it mostly points at.
    half_width *= float(shrink @ across**2)
    half_height *= float(shrink @ axis**2)
    half_width, half_height = max(half_width, 1.0), max(half_height, 1.0)

    to_unit = _to_unit(centre, across / half_width, axis / half_height)
    reach = np.hypot(across * half_width, axis * half_height)
    low = np.maximum(centre - reach, 0.0)
    high = np.minimum(centre + reach, CROP_SIZE_PX - 1.0)
    return FaceEllipse(
        to_unit=to_unit,
        bounds_xyxy=(float(low[0]), float(low[1]), float(high[0]), float(high[1])),
    )


def face_units(landmarks_xy: NDArray[np.float64]) -> Affine:
    """Return the map from the space of ``landmarks_xy`` to one with the face as the unit circle.

    The circle is the ellipse of ``face_ellipse``, which no crop cuts here.

    Args:
        landmarks_xy: ``(5, 2)`` landmarks.
    """
    centre, across, axis, half_width, half_height = _axes(landmarks_xy)
    return _to_unit(centre, across / half_width, axis / half_height)


def _axes(
    landmarks_xy: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float, float]:
    """Return an ellipse's centre, the directions of its axes, and half its width and height."""
    eyes, mouth = landmarks_xy[:2].mean(axis=0), landmarks_xy[3:].mean(axis=0)
    down = mouth - eyes
    # Half the eye distance bounds the length from below: a face bent down is short, not small.
    length = max(
        float(np.hypot(*down)), 0.8 * float(np.hypot(*(landmarks_xy[1] - landmarks_xy[0]))), 1.0
    )
    axis = down / max(float(np.hypot(*down)), 1e-6)
    centre = eyes + _CENTRE_BELOW_EYES * length * axis
    across = np.array([-axis[1], axis[0]])
    return centre, across, axis, _HALF_WIDTH * length, _HALF_HEIGHT * length


def _to_unit(
    centre: NDArray[np.float64], first_row: NDArray[np.float64], second_row: NDArray[np.float64]
) -> Affine:
    linear = np.stack([first_row, second_row])
    return np.concatenate([linear, (-linear @ centre)[:, None]], axis=1)


def smooth_step(values: FloatArray, low: float, high: float) -> FloatArray:
    """Return 0 up to ``low``, 1 from ``high``, and between them ``3 x^2 - 2 x^3``."""
    scaled = (values - np.float32(low)) * np.float32(1.0 / (high - low))
    ramp = np.asarray(np.clip(scaled, 0.0, 1.0), dtype=np.float32)
    return np.asarray(ramp * ramp * (3.0 - 2.0 * ramp), dtype=np.float32)


def mask_on_grid(
    region_to_unit: Affine, region_hw: tuple[int, int], *, full_inside: float = _FULL_INSIDE
) -> FloatArray:
    """Return the mask at every pixel of a region, ``(h, w)`` in [0, 1].

    Args:
        region_to_unit: From region pixels to the space of ``FaceEllipse.to_unit``.
        region_hw: Size of the region.
        full_inside: Radius, as a share of the ellipse's, within which the mask is 1.
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
    """Return how much of the restored face each cell of the crop shows, ``(R, R)`` in [0, 1].

    Args:
        cells_hw: How much of each cell the face fills, in [0, 1].
    """
    sigma = _FEATHER_PX * cells_hw.shape[0] / CROP_SIZE_PX
    blurred = cv2.GaussianBlur(cells_hw, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    gain = np.float32(1.0 / (1.0 - 2.0 * _CERTAIN))
    shown = (np.asarray(blurred, np.float32) - np.float32(_CERTAIN)) * gain
    return np.clip(shown, 0.0, 1.0, dtype=np.float32)


def mask_confidence(cells_hw: FloatArray, ellipse: FaceEllipse) -> float:
    """Return how far the region is believed, in [0, 1]: by the share of the core that is face.

    Args:
        cells_hw: How much of each cell the face fills, in [0, 1].
        ellipse: Where the landmarks say that the face is.
    """
    side = cells_hw.shape[0]
    cells_to_unit = compose_affines(cells_to_crop(side), ellipse.to_unit)
    x = np.arange(side, dtype=np.float64)
    units = apply_affine(cells_to_unit, np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2))
    core = np.hypot(units[:, 0], units[:, 1]).reshape(side, side) <= _CORE
    share = float(cells_hw[core].mean()) if core.any() else 0.0
    low, high = _CORE_FACE
    ramp = float(np.clip((share - low) / (high - low), 0.0, 1.0))
    return ramp * ramp * (3.0 - 2.0 * ramp)


def combine_masks(shown: FloatArray, region_to_unit: Affine, *, trust: float) -> FloatArray:
    """Return the mask at every pixel of a region whose face is known, ``(h, w)`` in [0, 1].

    It is 0 wherever the ellipse's is.

    Args:
        shown: ``(h, w)``: ``feather`` at every pixel of the region.
        region_to_unit: From region pixels to the space of ``FaceEllipse.to_unit``.
        trust: From ``mask_confidence``.
    """
    height, width = shown.shape
    plain = mask_on_grid(region_to_unit, (height, width))
    if trust == 0.0:
        return plain
    wide = mask_on_grid(region_to_unit, (height, width), full_inside=_FULL_INSIDE_OF_REGION)
    mixed = plain + np.float32(trust) * (wide * shown - plain)
    return np.asarray(mixed, dtype=np.float32)


def cells_to_crop(cells: int) -> Affine:
    """Return the map from cells to crop pixels, ``cells`` along the crop's side."""
    side = CROP_SIZE_PX / cells
    return np.array([[side, 0.0, (side - 1) / 2], [0.0, side, (side - 1) / 2]])


def mapped_bounds(
    affine: Affine, corners_xy: NDArray[np.float64]
) -> tuple[float, float, float, float]:
    """Return the box around mapped corners, right and bottom exclusive of the next pixel."""
    moved = apply_affine(affine, corners_xy)
    low, high = moved.min(axis=0), moved.max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]) + 1.0, float(high[1]) + 1.0
