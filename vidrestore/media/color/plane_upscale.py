"""Bicubic upscaling of planes, in their own pixel format and chroma siting."""

from dataclasses import replace
from typing import cast

import cv2
import numpy as np

from vidrestore.media.color.chroma_resampling import chroma_offset_xy
from vidrestore.types import DisplayGeometry, Frame, Plane


def upscale_planes(frame: Frame, scale: int) -> Frame:
    """Return ``frame`` with ``scale`` times as many samples along both axes.

    Bicubic, clipped to the range of the samples. The outer edges of the luma samples stay in place,
    and chroma keeps its siting among the new samples.

    Args:
        frame: The frame.
        scale: At least 1, which returns the frame itself.
    """
    if scale == 1:
        return frame
    size_hw = upscaled_hw(frame.coded_hw, scale)
    offset_xy = chroma_offset_xy(frame)
    planes: list[Plane] = []
    for number, plane in enumerate(frame.planes):
        is_chroma = frame.pixel_format.model == "yuv" and number in (1, 2)
        shift_xy = frame.pixel_format.plane_shift_xy(number)
        offsets = offset_xy if is_chroma else (0.0, 0.0)
        # Position of sample 0 of the new plane among samples of the old one, along each axis.
        start_xy = [
            ((offset + 0.5) / scale - 0.5 - offset) / (1 << shift)
            for offset, shift in zip(offsets, shift_xy, strict=True)
        ]
        planes.append(
            _upscale(plane, frame.pixel_format.plane_hw(number, size_hw), scale, start_xy, frame)
        )
    return frame.with_planes(tuple(planes))


def _upscale(
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


def upscaled_hw(size_hw: tuple[int, int], scale: int) -> tuple[int, int]:
    """Return height and width times ``scale``."""
    return size_hw[0] * scale, size_hw[1] * scale


def upscaled_geometry(geometry: DisplayGeometry, scale: int) -> DisplayGeometry:
    """Return the display geometry of upscaled frames: same orientation and pixel aspect ratio."""
    return replace(geometry, coded_hw=upscaled_hw(geometry.coded_hw, scale))
