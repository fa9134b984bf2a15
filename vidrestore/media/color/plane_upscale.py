"""Frames of more samples: planes enlarged by interpolation, in their own format and siting."""

from dataclasses import replace
from typing import cast

import cv2
import numpy as np

from vidrestore.media.color.region_rgb import chroma_offset_xy
from vidrestore.types import ColorTags, DisplayGeometry, Frame, PixelFormat, Plane

_UNSPECIFIED_MATRICES = (0, 2, 3)
_BT709, _BT601 = 1, 6
_MOST_LINES_OF_BT601 = 576


def enlarged_planes(frame: Frame, scale: int) -> Frame:
    """Return ``frame`` with ``scale`` times as many samples along both axes.

    Bicubic, clipped to the range of the samples. The picture keeps its place: the outer edges of
    the samples of luma coincide, and chroma is sited as before among the new ones.

    Args:
        frame: The frame.
        scale: At least 1; 1 gives the samples as they are.
    """
    if scale == 1:
        return frame
    size_hw = enlarged_hw(frame.coded_hw, scale)
    offset_xy = chroma_offset_xy(frame)
    planes: list[Plane] = []
    for at, plane in enumerate(frame.planes):
        is_chroma = frame.pixel_format.model == "yuv" and at in (1, 2)
        shift_xy = frame.pixel_format.chroma_shift_xy if is_chroma else (0, 0)
        offsets = offset_xy if is_chroma else (0.0, 0.0)
        # Where sample 0 of the new plane lies in samples of the old one, along each axis.
        start_xy = [
            ((offset + 0.5) / scale - 0.5 - offset) / (1 << shift)
            for offset, shift in zip(offsets, shift_xy, strict=True)
        ]
        planes.append(
            _enlarged(plane, frame.pixel_format.plane_hw(at, size_hw), scale, start_xy, frame)
        )
    return frame.with_planes(tuple(planes))


def _enlarged(
    plane: Plane, size_hw: tuple[int, int], scale: int, start_xy: list[float], frame: Frame
) -> Plane:
    to_source = np.array([[1 / scale, 0.0, start_xy[0]], [0.0, 1 / scale, start_xy[1]]])
    large = cv2.warpAffine(
        plane,
        to_source,
        (size_hw[1], size_hw[0]),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    clipped = np.minimum(large, frame.pixel_format.max_value, dtype=plane.dtype)
    clipped.flags.writeable = False
    return cast(Plane, clipped)


def enlarged_hw(size_hw: tuple[int, int], scale: int) -> tuple[int, int]:
    """Return height and width times ``scale``."""
    return size_hw[0] * scale, size_hw[1] * scale


def enlarged_geometry(geometry: DisplayGeometry, scale: int) -> DisplayGeometry:
    """Return the display geometry of enlarged frames: same orientation and pixel aspect."""
    return replace(geometry, coded_hw=enlarged_hw(geometry.coded_hw, scale))


def stated_color(
    color: ColorTags, pixel_format: PixelFormat, coded_hw: tuple[int, int]
) -> ColorTags:
    """Return ``color`` with the matrix stated that an untagged film of this size is shown with.

    Players guess it from the number of lines, and would guess another one for a larger picture.
    """
    if pixel_format.model != "yuv" or color.matrix not in _UNSPECIFIED_MATRICES:
        return color
    return replace(color, matrix=guessed_matrix(coded_hw))


def guessed_matrix(coded_hw: tuple[int, int]) -> int:
    """Return the matrix (ITU-T H.273) of a film that does not say its own."""
    return _BT709 if coded_hw[0] > _MOST_LINES_OF_BT601 else _BT601
