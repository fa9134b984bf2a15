"""Blends restored crops into the decoded planes, only inside the mask of each face."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.affine import compose_affines, invert_affine, scale_of, scaling, translation
from vidrestore.devices import retry_out_of_memory
from vidrestore.media.color.region_rgb import add_rgb_change, region_sdr_rgb
from vidrestore.paste.face_mask import FaceMask, face_mask
from vidrestore.paste.masks import cells_to_crop
from vidrestore.paste.settings import PasteConfig
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
TONE_CELL_PX = 32
"""Side of the cells in which color is matched, in crop pixels."""
FINE_NOISE = 8.0 / 255.0
"""Detail of this strength, finer than a small crop, is kept by half; weaker detail, by less."""
_SMOOTH_STEP_PX = 4
"""Spacing of the pixels at which smooth changes are warped."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PastedFace:
    """Where a face is in a frame."""

    mask: FaceMask
    strength: float
    """Factor of the mask, above 0 up to 1."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PasteResult:
    """A frame with faces blended in."""

    frame: Frame
    faces: tuple[PastedFace | None, ...]
    """In the order of the restored faces; None for a face that changed nothing."""

    @property
    def masks_xyxy(self) -> tuple[Box | None, ...]:
        """Boxes outside of which each face changed nothing."""
        return tuple(None if face is None else face.mask.box_xyxy for face in self.faces)


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
        config: Strength, mask and color matching.
        keep_chroma: Change luma only (black-and-white and tinted shots).
        skipped_faces: Other faces in the frame, which the mask of a head may not cover.
    """
    strengths = [
        config.strength_of(face.aligned.face.track_id) * face.assessment.strength for face in faces
    ]
    if not any(strengths):
        return PasteResult(frame=frame, faces=(None,) * len(faces))
    planes = [np.array(plane) for plane in frame.planes]
    current = frame.with_planes(tuple(planes))
    before = frame if config.mask == "head" else current
    pasted: list[PastedFace | None] = []
    for face, strength in zip(faces, strengths, strict=True):
        others = [*(other.aligned.face for other in faces if other is not face), *skipped_faces]
        mask = None
        if strength > 0.0:
            mask = face_mask(frame, geometry, face, shape=config.mask, others=others)
        pasted.append(None if mask is None else PastedFace(mask=mask, strength=strength))
        if mask is None:
            continue
        change = _face_change(before, geometry, face, mask, config)
        weight = mask.mask_hw * np.float32(strength)
        change = np.asarray(
            cv2.multiply(change, cv2.cvtColor(weight, cv2.COLOR_GRAY2RGB)), dtype=np.float32
        )
        add_rgb_change(planes, frame, mask.box_xyxy, change, keep_chroma=keep_chroma)
    return PasteResult(frame=current, faces=tuple(pasted))


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
    crop_to_region = invert_affine(compose_affines(translation(left, top), coded_to_crop))
    source = region_sdr_rgb(frame, mask.box_xyxy)

    pixels_to_crop = scaling(CROP_SIZE_PX / face.aligned.side_px)
    pixels_to_region = compose_affines(pixels_to_crop, crop_to_region)
    raw_change = _raw_head_change if config.mask == "head" else _raw_change
    if face.aligned.side_px < CROP_SIZE_PX and fine_ratio_of(pixels_to_region) > 0.0:
        raw_change = _small_crop_change
    change = raw_change(source, face, pixels_to_region, region_hw)
    if config.color_match > 0:
        tone = _tone(face.restored_chw - face.aligned.crop_chw)
        cells_to_region = compose_affines(
            cells_to_crop(CROP_SIZE_PX // TONE_CELL_PX), crop_to_region
        )
        tone_hwc = _smooth_region(tone, cells_to_region, region_hw)
        cv2.scaleAdd(tone_hwc, -config.color_match, change, change)
    return change


def _raw_change(
    source: FloatArray, face: RestoredFace, pixels_to_region: Affine, region_hw: tuple[int, int]
) -> FloatArray:
    """Return restored minus source, ``(h, w, 3)``, at the lower resolution of the two.

    If the frame has more pixels than the crop, the change of the crop is added, and detail finer
    than the crop stays. If it has fewer, the restored face replaces the source. In between, the
    two are mixed, so that nothing jumps when a face comes closer.
    """
    fine_ratio = fine_ratio_of(pixels_to_region)
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
    fine_ratio = fine_ratio_of(pixels_to_region)
    mixed = face.restored_chw
    if fine_ratio > 0.0:
        mixed = torch.sub(mixed, face.aligned.crop_chw, alpha=fine_ratio)
    change = _region(mixed, pixels_to_region, region_hw)
    if fine_ratio < 1.0:
        cv2.scaleAdd(source, fine_ratio - 1.0, change, change)
    return change


def _small_crop_change(
    source: FloatArray, face: RestoredFace, pixels_to_region: Affine, region_hw: tuple[int, int]
) -> FloatArray:
    """Return ``_raw_change`` with the fine detail of the source, but without its noise.

    The face of a small crop is soft. What the frame has beyond the crop is mostly noise, which
    would make the restored face flicker.
    """
    fine = source - _region(face.aligned.crop_chw, pixels_to_region, region_hw)
    kept = fine * fine
    np.divide(kept, kept + np.float32(FINE_NOISE**2), out=kept)
    fine *= kept
    change = _region(face.restored_chw, pixels_to_region, region_hw)
    cv2.subtract(change, source, dst=change)
    cv2.scaleAdd(fine, fine_ratio_of(pixels_to_region), change, change)
    return change


def fine_ratio_of(pixels_to_region: Affine) -> float:
    """Return how much finer than the crop the frame is: 0 if coarser, 1 if finer."""
    return float(np.clip((scale_of(pixels_to_region) - 0.8) / 0.4, 0.0, 1.0))


def _tone(change_chw: Tensor) -> Tensor:
    """Return the means of a change over overlapping cells, ``(3, S / cell, S / cell)``."""
    # Two steps read each sample once: half cells, then windows of 4 x 4 of these.
    side = 2 * CROP_SIZE_PX // TONE_CELL_PX
    halves = average_areas(change_chw, (side, side))
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
    height, width = region_hw
    steps_hw = (-(-height // step), -(-width // step))
    small = _region(cells_chw, compose_affines(to_region, scaling(1 / step)), steps_hw)
    large = cv2.resize(small, (steps_hw[1] * step, steps_hw[0] * step))
    return np.ascontiguousarray(large[:height, :width], dtype=np.float32)
