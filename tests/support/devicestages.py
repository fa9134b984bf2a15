"""Frames and faces for the stages on a device, and how far two results differ."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from support.frames import FORMATS, random_frame

from vidrestore.types import ColorTags, DisplayGeometry, Frame, PixelFormat

HW = (152, 202)
ODD_HW = (151, 203)
YUV411 = PixelFormat(name="yuv411p", model="yuv", bit_depth=8, chroma_shift_xy=(2, 0))
YUV444P14 = PixelFormat(name="yuv444p14le", model="yuv", bit_depth=14)
YUV420P16 = PixelFormat(name="yuv420p16le", model="yuv", bit_depth=16, chroma_shift_xy=(1, 1))
DEVICE_FORMATS = (*FORMATS, YUV411, YUV444P14, YUV420P16)
RANGES = (False, True)


def tagged(pixel_format: PixelFormat, *, full_range: bool, index: int = 0) -> Frame:
    """Return a frame of noise with a range, in BT.709, chroma sited left and centered by turns."""
    color = ColorTags(
        matrix=1, full_range=full_range, range_known=True, chroma_location=1 + full_range
    )
    hw = ODD_HW if full_range else HW
    return random_frame(pixel_format, hw, seed=index, color=color, index=index)


def fields_of(frame: Frame) -> tuple[Frame, Frame]:
    """Return both fields of a frame."""
    top, bottom = (
        replace(
            frame,
            planes=tuple(plane[first::2] for plane in frame.planes),
            field_of=frame,
            is_bottom_field=bool(first),
            index=2 * frame.index + first,
        )
        for first in (0, 1)
    )
    return top, bottom


def geometry_of(frame: Frame) -> DisplayGeometry:
    """Return the geometry of a frame or field of square pixels."""
    return DisplayGeometry(coded_hw=frame.whole_hw).of(frame)


def levels_apart(first: Frame, second: Frame) -> float:
    """Return the largest difference of samples, in levels of 255."""
    level = (first.pixel_format.max_value + 1) / 256
    pairs = zip(first.planes, second.planes, strict=True)
    return max(float(np.abs(one.astype(float) - other).max()) for one, other in pairs) / level


def mean_levels_apart(first: Frame, second: Frame) -> float:
    """Return the mean difference of samples of the worst plane, in levels of 255."""
    level = (first.pixel_format.max_value + 1) / 256
    pairs = zip(first.planes, second.planes, strict=True)
    return max(float(np.abs(one.astype(float) - other).mean()) for one, other in pairs) / level


def names(formats: Sequence[PixelFormat]) -> list[str]:
    """Return the names of formats."""
    return [pixel_format.name for pixel_format in formats]
