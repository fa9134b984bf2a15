"""Frames made from nothing, in any of the package's pixel formats."""

from fractions import Fraction

import numpy as np

from vidrestore.types import ColorTags, Frame, PixelFormat, Plane, Timestamp

YUV420 = PixelFormat(name="yuv420p", model="yuv", bit_depth=8, chroma_shift_xy=(1, 1))
YUV422P10 = PixelFormat(name="yuv422p10le", model="yuv", bit_depth=10, chroma_shift_xy=(1, 0))
YUV420P10 = PixelFormat(name="yuv420p10le", model="yuv", bit_depth=10, chroma_shift_xy=(1, 1))
YUV444 = PixelFormat(name="yuv444p", model="yuv", bit_depth=8)
GRAY = PixelFormat(name="gray", model="gray", bit_depth=8)
GRAY16 = PixelFormat(name="gray16le", model="gray", bit_depth=16)
GBR = PixelFormat(name="gbrp", model="rgb", bit_depth=8)
GBRA16 = PixelFormat(name="gbrap16le", model="rgb", bit_depth=16, has_alpha=True)
FORMATS = (YUV420, YUV420P10, YUV422P10, YUV444, GRAY, GRAY16, GBR, GBRA16)


def random_frame(
    pixel_format: PixelFormat,
    coded_hw: tuple[int, int],
    *,
    seed: int = 0,
    color: ColorTags | None = None,
    index: int = 0,
    smooth: bool = False,
) -> Frame:
    """Return a frame of noise, or of slow waves where ``smooth``; chroma around its middle."""
    rng = np.random.default_rng(seed)
    dtype = np.uint8 if pixel_format.bit_depth == 8 else np.uint16
    planes: list[Plane] = []
    for at in range(pixel_format.plane_count):
        height, width = pixel_format.plane_hw(at, coded_hw)
        if smooth:
            y, x = np.mgrid[0:height, 0:width] / max(coded_hw)
            chroma = pixel_format.model == "yuv" and at > 0
            wave = 0.5 + (0.06 if chroma else 0.2) * np.sin(9 * x + 7 * y + at)
        else:
            wave = rng.random((height, width)) * 0.5 + 0.25
        plane = np.rint(wave * pixel_format.max_value).astype(dtype)
        plane.setflags(write=False)
        planes.append(plane)
    return Frame(
        index=index,
        timestamp=Timestamp(index, Fraction(1, 25)),
        duration_ticks=1,
        planes=tuple(planes),
        pixel_format=pixel_format,
        color=color or ColorTags(),
    )
