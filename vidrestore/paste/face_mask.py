"""The soft mask of a restored face or head, in coded pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vidrestore.affine import apply_affine, compose_affines, invert_affine, translation
from vidrestore.media.color.region_rgb import aligned_box
from vidrestore.paste.head import COLOR_CELLS, HEAD_CELLS, head_mask
from vidrestore.paste.masks import (
    cells_to_crop,
    combine_masks,
    face_ellipse,
    feather,
    mapped_bounds,
    mask_confidence,
    mask_on_grid,
)
from vidrestore.paste.settings import MaskShape
from vidrestore.types import (
    Box,
    DisplayGeometry,
    FloatArray,
    Frame,
    RestoredFace,
    TrackedFace,
)
from vidrestore.warp import average_areas, warp_image

_SKIN_MARGIN = 0.2
"""Margin on each side of a face, relative to its size, in which noise is not measured."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FaceMask:
    """The region in which a face may change samples, in coded pixels."""

    box_xyxy: Box
    mask_hw: FloatArray
    """``(h, w)`` in [0, 1]; samples where it is 0, and outside the box, do not change."""
    skin: tuple[slice, slice] = (slice(None), slice(None))
    """Rows and columns of the box in which noise is measured: skin, because hair looks like
    noise."""


def face_mask(
    frame: Frame,
    geometry: DisplayGeometry,
    face: RestoredFace,
    *,
    shape: MaskShape = "face",
    others: Sequence[TrackedFace] = (),
) -> FaceMask | None:
    """Return the soft mask of ``face`` in coded pixels; None if it is outside the frame.

    Args:
        frame: The decoded frame.
        geometry: Display geometry of the frame.
        face: The restored face with its crop.
        shape: The face alone, or the whole head.
        others: The other faces in the frame, which limit the mask of a head.
    """
    if shape == "head":
        return _head_mask(frame, geometry, face, others)
    coded_to_crop = compose_affines(geometry.coded_to_display(), face.aligned.display_to_crop)
    ellipse = face_ellipse(
        apply_affine(face.aligned.display_to_crop, face.aligned.face.landmarks_xy)
    )
    box = aligned_box(frame, mapped_bounds(invert_affine(coded_to_crop), ellipse.corners_xy()))
    if box is None:
        return None
    region_hw = (box[3] - box[1], box[2] - box[0])
    region_to_crop = compose_affines(translation(*box[:2]), coded_to_crop)
    region_to_unit = compose_affines(region_to_crop, ellipse.to_unit)
    if face.face_mask_hw is None:
        return FaceMask(box_xyxy=box, mask_hw=mask_on_grid(region_to_unit, region_hw))
    cells_hw = np.ascontiguousarray(face.face_mask_hw.cpu().numpy(), dtype=np.float32)
    confidence = mask_confidence(cells_hw, ellipse)
    to_region = compose_affines(cells_to_crop(len(cells_hw)), invert_affine(region_to_crop))
    cells_chw = torch.from_numpy(feather(cells_hw))[None]
    weight_hw = warp_image(cells_chw, to_region, region_hw, sharp=False)[0].numpy()
    return FaceMask(
        box_xyxy=box, mask_hw=combine_masks(weight_hw, region_to_unit, confidence=confidence)
    )


def _head_mask(
    frame: Frame, geometry: DisplayGeometry, face: RestoredFace, others: Sequence[TrackedFace]
) -> FaceMask | None:
    aligned = face.aligned
    means = average_areas(aligned.crop_chw, (COLOR_CELLS, COLOR_CELLS))
    ellipse = face_ellipse(apply_affine(aligned.display_to_crop, aligned.face.landmarks_xy))
    cells = head_mask(face, ellipse, means, [other.landmarks_xy for other in others])
    corners = _corners_of_cells(cells)
    coded_to_crop = compose_affines(geometry.coded_to_display(), aligned.display_to_crop)
    bounds = None if corners is None else mapped_bounds(invert_affine(coded_to_crop), corners)
    box = None if bounds is None else aligned_box(frame, bounds)
    if box is None:
        return None
    crop_to_region = invert_affine(compose_affines(translation(*box[:2]), coded_to_crop))
    to_region = compose_affines(cells_to_crop(HEAD_CELLS), crop_to_region)
    region_hw = (box[3] - box[1], box[2] - box[0])
    mask = warp_image(torch.from_numpy(cells)[None], to_region, region_hw, sharp=False)[0].numpy()
    skin = middle_of(mapped_bounds(crop_to_region, ellipse.corners_xy()))
    return FaceMask(box_xyxy=box, mask_hw=mask, skin=skin)


def middle_of(box_xyxy: tuple[float, float, float, float]) -> tuple[slice, slice]:
    """Return the rows and columns in the middle of a box, which have no hair in a face's box."""
    left, top, right, bottom = box_xyxy
    margin_x, margin_y = (right - left) * _SKIN_MARGIN, (bottom - top) * _SKIN_MARGIN
    rows, columns = (top + margin_y, bottom - margin_y), (left + margin_x, right - margin_x)
    first, second = (
        slice(max(0, round(low)), max(0, round(high))) for low, high in (rows, columns)
    )
    return first, second


def _corners_of_cells(cells_hw: FloatArray) -> NDArray[np.float64] | None:
    """Return the corners of the area that interpolated cells cover; None if all are 0."""
    y, x = (np.flatnonzero(cells_hw.any(axis=axis)) for axis in (1, 0))
    if not len(y):
        return None
    columns, rows = (x[0] - 1, x[-1] + 1), (y[0] - 1, y[-1] + 1)
    corners = [[column, row] for row in rows for column in columns]
    return apply_affine(cells_to_crop(len(cells_hw)), corners)
