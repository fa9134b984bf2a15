"""Blends restored crops into the decoded planes, only inside the mask of each face."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vidrestore.affine import apply_affine, compose_affines, invert_affine, scale_of, scaling
from vidrestore.devices import retry_out_of_memory
from vidrestore.media.color.matrices import luma_weights
from vidrestore.media.color.region_rgb import add_rgb_change, aligned_box, region_sdr_rgb
from vidrestore.paste.grain import grain_to_add
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
from vidrestore.paste.settings import MaskShape, PasteConfig
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
from vidrestore.warp import average_areas, warp_image

_LUMA_CELLS = 128
"""Cells along the side of a crop, of each of which one sample counts for its mean."""
_TONE_CELL_PX = 32
"""Side of the cells in which color is matched, in crop pixels."""
_SMOOTH_STEP_PX = 4
"""Spacing of the pixels at which smooth changes are warped."""
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PasteResult:
    """A frame with faces blended in."""

    frame: Frame
    masks_xyxy: tuple[Box | None, ...]
    """Boxes outside of which each face changed nothing; None for a face that changed nothing."""


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
    region_to_crop = compose_affines(_shift(box), coded_to_crop)
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
    crop_to_region = invert_affine(compose_affines(_shift(box), coded_to_crop))
    to_region = compose_affines(cells_to_crop(HEAD_CELLS), crop_to_region)
    region_hw = (box[3] - box[1], box[2] - box[0])
    mask = warp_image(torch.from_numpy(cells)[None], to_region, region_hw, sharp=False)[0].numpy()
    skin = _middle(mapped_bounds(crop_to_region, ellipse.corners_xy()))
    return FaceMask(box_xyxy=box, mask_hw=mask, skin=skin)


def _middle(box_xyxy: tuple[float, float, float, float]) -> tuple[slice, slice]:
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


@retry_out_of_memory
def paste_faces(
    frame: Frame,
    geometry: DisplayGeometry,
    faces: tuple[RestoredFace, ...],
    *,
    config: PasteConfig,
    keep_chroma: bool,
    skipped_faces: Sequence[TrackedFace] = (),
) -> PasteResult:
    """Return ``frame`` with ``faces`` blended in under their masks.

    Where masks of faces overlap, a later face is blended over the earlier one. Masks of heads
    divide the area between them, and their changes to the decoded frame are added.

    Args:
        frame: The decoded frame.
        geometry: Display geometry of the frame.
        faces: The restored faces with their crops.
        config: Strength, grain and color matching.
        keep_chroma: Change luma only (black-and-white and tinted shots).
        skipped_faces: Other faces in the frame, which the mask of a head may not cover.
    """
    strengths = [
        config.strength_of(face.aligned.face.track_id) * face.assessment.strength for face in faces
    ]
    if not any(strengths):
        return PasteResult(frame=frame, masks_xyxy=(None,) * len(faces))
    planes = [np.array(plane) for plane in frame.planes]
    current = frame.with_planes(tuple(planes))
    before = frame if config.mask == "head" else current
    masks: list[Box | None] = []
    for face, strength in zip(faces, strengths, strict=True):
        others = [*(other.aligned.face for other in faces if other is not face), *skipped_faces]
        mask = None
        if strength > 0.0:
            mask = face_mask(frame, geometry, face, shape=config.mask, others=others)
        masks.append(None if mask is None else mask.box_xyxy)
        if mask is None:
            continue
        change = _face_change(before, geometry, face, mask, config)
        weight = mask.mask_hw * np.float32(strength)
        change = np.asarray(cv2.multiply(change, cv2.merge([weight] * 3)), dtype=np.float32)
        add_rgb_change(planes, frame, mask.box_xyxy, change, keep_chroma=keep_chroma)
    return PasteResult(frame=current, masks_xyxy=tuple(masks))


def face_luma(crop_chw: Tensor) -> float:
    """Return the mean of the middle of a crop, where the face is, 0 to 255."""
    side = crop_chw.shape[-1]
    inner = slice(side // 4, -side // 4, side // _LUMA_CELLS)
    return 255.0 * float(crop_chw[:, inner, inner].float().mean())


def _face_change(
    frame: Frame,
    geometry: DisplayGeometry,
    face: RestoredFace,
    mask: FaceMask,
    config: PasteConfig,
) -> FloatArray:
    """Return the change of the region's RGB under a full mask, ``(h, w, 3)``."""
    left, top, right, bottom = mask.box_xyxy
    region_hw = (bottom - top, right - left)
    coded_to_crop = compose_affines(geometry.coded_to_display(), face.aligned.display_to_crop)
    crop_to_region = invert_affine(compose_affines(_shift(mask.box_xyxy), coded_to_crop))
    source = region_sdr_rgb(frame, mask.box_xyxy)

    pixels_to_crop = scaling(CROP_SIZE_PX / face.aligned.side_px)
    raw_change = _raw_head_change if config.mask == "head" else _raw_change
    change = raw_change(source, face, compose_affines(pixels_to_crop, crop_to_region), region_hw)
    if config.color_match > 0:
        tone = _tone(face.restored_chw) - _tone(face.aligned.crop_chw)
        cells_to_region = compose_affines(
            cells_to_crop(CROP_SIZE_PX // _TONE_CELL_PX), crop_to_region
        )
        tone_hwc = _smooth_region(tone, cells_to_region, region_hw)
        cv2.scaleAdd(tone_hwc, -config.color_match, change, change)
    if config.grain > 0:
        weights = luma_weights(frame.color, frame.whole_hw)
        grain = grain_to_add(source, source + change, weights, mask.mask_hw, mask.skin)
        if grain is not None:
            grain *= np.float32(config.grain)
            change = np.asarray(cv2.add(change, cv2.merge([grain] * 3)), dtype=np.float32)
    return change


def _raw_change(
    source: FloatArray, face: RestoredFace, pixels_to_region: Affine, region_hw: tuple[int, int]
) -> FloatArray:
    """Return restored minus source, ``(h, w, 3)``, at the lower resolution of the two.

    If the frame has more pixels than the crop, the change of the crop is added, and detail finer
    than the crop stays. If it has fewer, the restored face replaces the source. In between, the
    two are mixed, so that nothing jumps when a face comes closer.
    """
    fine_ratio = _fine_ratio(pixels_to_region)
    if fine_ratio == 1.0:
        return _region(face.restored_chw - face.aligned.crop_chw, pixels_to_region, region_hw)
    change = _region(face.restored_chw, pixels_to_region, region_hw) - source
    if fine_ratio > 0.0:
        crop_rgb = _region(face.aligned.crop_chw, pixels_to_region, region_hw)
        change -= np.float32(fine_ratio) * (crop_rgb - source)
    return change


def _raw_head_change(
    source: FloatArray, face: RestoredFace, pixels_to_region: Affine, region_hw: tuple[int, int]
) -> FloatArray:
    """Return ``_raw_change`` up to rounding, resampled only once, because a head is large."""
    fine_ratio = _fine_ratio(pixels_to_region)
    mixed = face.restored_chw
    if fine_ratio > 0.0:
        mixed = torch.sub(mixed, face.aligned.crop_chw, alpha=fine_ratio)
    change = _region(mixed, pixels_to_region, region_hw)
    if fine_ratio < 1.0:
        cv2.scaleAdd(source, fine_ratio - 1.0, change, change)
    return change


def _fine_ratio(pixels_to_region: Affine) -> float:
    """Return how much finer than the crop the frame is: 0 if coarser, 1 if finer."""
    return float(np.clip((scale_of(pixels_to_region) - 0.8) / 0.4, 0.0, 1.0))


def _tone(crop_chw: Tensor) -> Tensor:
    """Return the means of a crop over overlapping cells, ``(3, S / cell, S / cell)``."""
    # Two steps read each sample once: half cells, then windows of 4 x 4 of these.
    side = 2 * CROP_SIZE_PX // _TONE_CELL_PX
    halves = average_areas(crop_chw, (side, side))
    return F.avg_pool2d(halves, kernel_size=4, stride=2, padding=1, count_include_pad=False)


def _region(image_chw: Tensor, to_region: Affine, region_hw: tuple[int, int]) -> FloatArray:
    image: Tensor = warp_image(image_chw, to_region, region_hw)
    return np.ascontiguousarray(image.permute(1, 2, 0).to(torch.float32).cpu().numpy())


def _smooth_region(cells_chw: Tensor, to_region: Affine, region_hw: tuple[int, int]) -> FloatArray:
    """Return cells much larger than a pixel interpolated over a region, ``(h, w, C)``.

    For speed, they are warped at every ``_SMOOTH_STEP_PX`` pixels and interpolated in between.
    Cells of a small face are hardly larger than that, and are warped at every pixel.
    """
    step = _SMOOTH_STEP_PX
    if scale_of(to_region) < 2 * step:
        return _region(cells_chw, to_region, region_hw)
    middle = (step - 1) / 2
    to_steps = np.array([[1 / step, 0.0, -middle / step], [0.0, 1 / step, -middle / step]])
    height, width = region_hw
    steps_hw = (-(-height // step), -(-width // step))
    small = _region(cells_chw, compose_affines(to_region, to_steps), steps_hw)
    large = cv2.resize(small, (steps_hw[1] * step, steps_hw[0] * step))
    return np.ascontiguousarray(large[:height, :width], dtype=np.float32)


def _shift(box_xyxy: tuple[int, int, int, int]) -> Affine:
    return np.array([[1.0, 0.0, box_xyxy[0]], [0.0, 1.0, box_xyxy[1]]])
