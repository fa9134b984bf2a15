"""Resamples faces from decoded planes to aligned crops, on the restorer's device."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from vidrestore.affine import apply_affine, compose_affines, invert_affine, scaling, translation
from vidrestore.devices import retry_out_of_memory
from vidrestore.faces.template import similarity_to_template
from vidrestore.media.color.region_rgb import aligned_box, region_sdr_rgb
from vidrestore.types import (
    CROP_SIZE_PX,
    Affine,
    AlignedFace,
    Box,
    CropPart,
    DisplayGeometry,
    Frame,
    TrackedFace,
)
from vidrestore.warp import warp_image

_MARGIN_PX = 4
"""How far beyond the crop interpolation may read, in coded pixels."""

CROP_CORNERS_XY = np.array(
    [
        [-0.5, -0.5],
        [CROP_SIZE_PX - 0.5, -0.5],
        [-0.5, CROP_SIZE_PX - 0.5],
        [CROP_SIZE_PX - 0.5, CROP_SIZE_PX - 0.5],
    ]
)


class CropRegion(NamedTuple):
    """The part of a frame that a crop is resampled from."""

    box_xyxy: Box
    """In coded pixels, of whole chroma samples."""
    region_to_pixels: Affine
    """Maps pixels of the box to those of the crop."""
    display_to_crop: Affine


def crop_region(
    frame: Frame, geometry: DisplayGeometry, face: TrackedFace, side_px: int = CROP_SIZE_PX
) -> CropRegion | None:
    """Return the region under the crop of ``face``; None if all of it is outside the frame."""
    return _region_under(frame, geometry, face, CROP_CORNERS_XY, side_px / CROP_SIZE_PX)


def _region_under(
    frame: Frame,
    geometry: DisplayGeometry,
    face: TrackedFace,
    corners_xy: NDArray[np.float64],
    pixels_per_unit: float = 1.0,
) -> CropRegion | None:
    """Return the region under a part of the crop, given by its corners in the space of crops."""
    display_to_crop = similarity_to_template(face.landmarks_xy)
    coded_to_crop = compose_affines(geometry.coded_to_display(), display_to_crop)
    corners = apply_affine(invert_affine(coded_to_crop), corners_xy)
    low, high = corners.min(axis=0) - _MARGIN_PX, corners.max(axis=0) + _MARGIN_PX
    box = aligned_box(frame, (float(low[0]), float(low[1]), float(high[0]), float(high[1])))
    if box is None:
        return None
    region_to_crop = compose_affines(translation(*box[:2]), coded_to_crop)
    to_pixels = compose_affines(region_to_crop, scaling(pixels_per_unit))
    return CropRegion(box, to_pixels, display_to_crop)


@retry_out_of_memory
def align_face(
    frame: Frame,
    geometry: DisplayGeometry,
    face: TrackedFace,
    *,
    device: torch.device,
    side_px: int = CROP_SIZE_PX,
) -> AlignedFace | None:
    """Return the aligned crop of ``face``.

    Only the region under the crop is converted to RGB. Beyond the frame its border is repeated.

    Args:
        frame: Decoded planes.
        geometry: How the planes map to the display.
        face: Landmarks in display pixels.
        device: Device of the returned crop.
        side_px: Side of the crop: ``CROP_SIZE_PX`` or ``SMALL_CROP_SIZE_PX``.

    Returns:
        None if the crop is completely outside the frame.
    """
    source = crop_region(frame, geometry, face, side_px)
    if source is None:
        return None
    region = torch.from_numpy(region_sdr_rgb(frame, source.box_xyxy)).permute(2, 0, 1).to(device)
    crop = warp_image(region, source.region_to_pixels, (side_px, side_px), sharp=False)
    return AlignedFace(face=face, display_to_crop=source.display_to_crop, crop_chw=crop)


@retry_out_of_memory
def align_part(
    frame: Frame, geometry: DisplayGeometry, face: TrackedFace, part: tuple[slice, slice]
) -> CropPart | None:
    """Return a part of the crop of ``face``, on the CPU; None if it is outside the frame.

    It is what ``align_face`` returns there. Of a large face, which is shrunk, areas of other pixels
    are averaged.

    Args:
        frame: Decoded planes.
        geometry: How the planes map to the display.
        face: Landmarks in display pixels.
        part: Rows and columns of a crop of ``CROP_SIZE_PX``.
    """
    (top, bottom), (left, right) = ((side.start, side.stop) for side in part)
    corners_xy = np.array([[x - 0.5, y - 0.5] for y in (top, bottom) for x in (left, right)])
    source = _region_under(frame, geometry, face, corners_xy)
    if source is None:
        return None
    region = torch.from_numpy(region_sdr_rgb(frame, source.box_xyxy)).permute(2, 0, 1)
    to_part = compose_affines(source.region_to_pixels, translation(-left, -top))
    rgb = warp_image(region, to_part, (bottom - top, right - left), sharp=False)
    return CropPart(display_to_crop=source.display_to_crop, rgb_chw=rgb)
