"""What is known of a paste before its batch runs: boxes, maps, and what goes into one batch."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidrestore.affine import apply_affine, compose_affines, invert_affine, scaling, translation
from vidrestore.media.color.region_rgb import aligned_box
from vidrestore.paste.composite import TONE_CELL_PX, fine_ratio_of
from vidrestore.paste.face_mask import middle_of
from vidrestore.paste.head import COLOR_CELLS, HEAD_CELLS, nearest_face_weight
from vidrestore.paste.masks import FaceEllipse, cells_to_crop, face_ellipse, mapped_bounds
from vidrestore.paste.settings import MaskShape
from vidrestore.pipeline.on_device.images.planes import Layout, Region
from vidrestore.pipeline.on_device.images.resample import Warp, WarpShape
from vidrestore.types import (
    CROP_SIZE_PX,
    Affine,
    Box,
    DisplayGeometry,
    FloatArray,
    Frame,
    RestoredFace,
    TrackedFace,
)


class PasteShape(NamedTuple):
    """What faces must have in common to be pasted in one batch."""

    layout: Layout
    region_hw: tuple[int, int]
    """Padded size of the regions."""
    side_px: int
    has_parser: bool
    warps: tuple[WarpShape, ...]


class PastePlan(NamedTuple):
    """How one face is pasted."""

    region: Region
    side_px: int
    has_parser: bool
    crop_to_unit: Affine
    """To the space in which the ellipse of the face is the unit circle."""
    region_to_unit: Affine
    coded_to_crop: Affine
    crop_warp: Warp
    """Of the crop's pixels to the region."""
    tone_warp: Warp
    mask_warp: Warp
    fine_ratio: float
    skin_yx: tuple[int, int, int, int]
    nearest: FloatArray
    """``(COLOR_CELLS, COLOR_CELLS)``: how much each cell belongs to the face."""

    def shape(self, layout: Layout) -> PasteShape:
        """Return what it must have in common with the others of a batch."""
        warps = (self.crop_warp.shape, self.tone_warp.shape, self.mask_warp.shape)
        return PasteShape(layout, self.region.padded_hw, self.side_px, self.has_parser, warps)


def plan_paste(
    slot: int,
    frame: Frame,
    geometry: DisplayGeometry,
    face: RestoredFace,
    *,
    mask: MaskShape,
    others: Sequence[TrackedFace],
) -> PastePlan | None:
    """Return how a face is pasted; None if it is outside the frame.

    The mask of a head ends where its cells do, which only the device knows. So its region is that
    of the whole crop.

    Args:
        slot: Number of the frame in the batch.
        frame: The frame.
        geometry: Its display geometry.
        face: The restored face; its tensors are not read.
        mask: The face alone, or the whole head.
        others: The other faces in the frame.
    """
    to_crop = face.aligned.display_to_crop
    coded_to_crop = compose_affines(geometry.coded_to_display(), to_crop)
    ellipse = face_ellipse(apply_affine(to_crop, face.aligned.face.landmarks_xy))
    last = HEAD_CELLS - 1
    corners = ellipse.corners_xy() if mask == "face" else cell_corners((0, last, 0, last))
    box = aligned_box(frame, mapped_bounds(invert_affine(coded_to_crop), corners))
    if box is None:
        return None
    region_to_crop = compose_affines(translation(*box[:2]), coded_to_crop)
    crop_to_region = invert_affine(region_to_crop)
    side_px = face.aligned.side_px
    pixels_to_region = compose_affines(scaling(CROP_SIZE_PX / side_px), crop_to_region)
    tone_cells = CROP_SIZE_PX // TONE_CELL_PX
    cells = HEAD_CELLS if face.face_mask_hw is None else face.face_mask_hw.shape[-1]
    cells = HEAD_CELLS if mask == "head" else cells
    return PastePlan(
        region=Region.of(slot, frame, box),
        side_px=side_px,
        has_parser=face.face_mask_hw is not None,
        crop_to_unit=ellipse.to_unit,
        region_to_unit=compose_affines(region_to_crop, ellipse.to_unit),
        coded_to_crop=coded_to_crop,
        crop_warp=Warp.planned((side_px, side_px), pixels_to_region),
        tone_warp=_cell_warp(tone_cells, crop_to_region),
        mask_warp=_cell_warp(cells, crop_to_region, sharp=False),
        fine_ratio=fine_ratio_of(pixels_to_region),
        skin_yx=_skin(ellipse, crop_to_region, box, mask),
        nearest=_nearest(face, [other.landmarks_xy for other in others], mask),
    )


def _cell_warp(cells: int, crop_to_region: Affine, *, sharp: bool = True) -> Warp:
    to_region = compose_affines(cells_to_crop(cells), crop_to_region)
    return Warp.planned((cells, cells), to_region, sharp=sharp)


def cell_corners(bounds: tuple[int, int, int, int]) -> NDArray[np.float64]:
    """Return the corners of the area that interpolated cells of a head's mask cover.

    Args:
        bounds: First and last row, first and last column.
    """
    y0, y1, x0, x1 = bounds
    cells = [[column, row] for row in (y0 - 1, y1 + 1) for column in (x0 - 1, x1 + 1)]
    return apply_affine(cells_to_crop(HEAD_CELLS), cells)


def _skin(
    ellipse: FaceEllipse, crop_to_region: Affine, box: Box, mask: MaskShape
) -> tuple[int, int, int, int]:
    """Return the rows and columns of a region in which noise is measured."""
    if mask == "face":
        return (0, box[3] - box[1], 0, box[2] - box[0])
    rows, columns = middle_of(mapped_bounds(crop_to_region, ellipse.corners_xy()))
    return (
        rows.start,
        min(rows.stop, box[3] - box[1]),
        columns.start,
        min(columns.stop, box[2] - box[0]),
    )


def _nearest(face: RestoredFace, others_xy: Sequence[FloatArray], mask: MaskShape) -> FloatArray:
    if mask == "face" or not others_xy:
        return np.ones((COLOR_CELLS, COLOR_CELLS), np.float32)
    own_xy, *rest_xy = (
        apply_affine(face.aligned.display_to_crop, landmarks_xy)
        for landmarks_xy in (face.aligned.face.landmarks_xy, *others_xy)
    )
    return nearest_face_weight(own_xy, rest_xy)


def layers_of(boxes: Sequence[tuple[int, Box]]) -> list[int]:
    """Return in which layer each face is pasted: above all that it overlaps in its frame.

    Args:
        boxes: Frame and box of every face, in the order of pasting.
    """
    layers: list[int] = []
    for index, (slot, box) in enumerate(boxes):
        below = [
            layers[other]
            for other in range(index)
            if boxes[other][0] == slot and _overlap(boxes[other][1], box)
        ]
        layers.append(max(below, default=-1) + 1)
    return layers


def _overlap(first: Box, second: Box) -> bool:
    return (
        first[0] < second[2]
        and second[0] < first[2]
        and first[1] < second[3]
        and second[1] < first[3]
    )
