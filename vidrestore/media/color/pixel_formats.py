"""FFmpeg's pixel formats as planes.

Most decoders return planar frames, whose planes are used directly. Packed formats (``nv12``,
``yuyv422``, ``rgb24``, ...) are repacked, not converted: every sample keeps its value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, cast

import av
import numpy as np
from av.video.plane import VideoPlane

from vidrestore.errors import MediaError
from vidrestore.types import PixelFormat, Plane

_SHIFTS = {
    "410": (2, 2),
    "411": (2, 0),
    "420": (1, 1),
    "422": (1, 0),
    "440": (0, 1),
    "444": (0, 0),
}
_DEPTHS = (9, 10, 12, 14, 16)


def _planar_formats() -> dict[str, PixelFormat]:
    table: dict[str, PixelFormat] = {}

    def add(
        stem: str,
        model: Literal["yuv", "rgb", "gray"],
        depths: tuple[int, ...],
        shift_xy: tuple[int, int] = (0, 0),
        has_alpha: bool = False,
    ) -> None:
        for depth in depths:
            name = stem if depth == 8 else f"{stem}{depth}le"
            table[name] = PixelFormat(
                name=name,
                model=model,
                bit_depth=depth,
                chroma_shift_xy=shift_xy,
                has_alpha=has_alpha,
            )

    for sampling in ("410", "411"):
        add(f"yuv{sampling}p", "yuv", (8,), _SHIFTS[sampling])
    add("yuv440p", "yuv", (8, 10, 12), _SHIFTS["440"])
    for sampling in ("420", "422", "444"):
        add(f"yuv{sampling}p", "yuv", (8, *_DEPTHS), _SHIFTS[sampling])
        alpha_depths = (8, 9, 10, 16) if sampling == "420" else (8, 9, 10, 12, 16)
        add(f"yuva{sampling}p", "yuv", alpha_depths, _SHIFTS[sampling], has_alpha=True)
    add("gbrp", "rgb", (8, *_DEPTHS))
    add("gbrap", "rgb", (8, 10, 12, 14, 16), has_alpha=True)
    add("gray", "gray", (8, *_DEPTHS))
    return table


PLANAR: Mapping[str, PixelFormat] = MappingProxyType(_planar_formats())
"""All supported planar formats, by FFmpeg's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedLayout:
    """How frames of one FFmpeg pixel format become planes."""

    planar: PixelFormat
    via: str | None = None
    """Format to which libswscale repacks the samples without loss; None if they are planar."""
    full_range: bool = False
    """Whether the format implies full range (``yuvj420p``)."""
    interleaved: Literal["gray alpha", "chroma"] | None = None
    """Samples that alternate in one plane. They are separated here: libswscale would convert gray
    with alpha, and drops the last chroma sample of odd sizes."""
    chroma_swapped: bool = False
    """Whether Cr comes before Cb."""
    low_bits: int = 0
    """Unused bits below every sample."""


_REPACKED = {
    "yuyv422": "yuv422p",
    "uyvy422": "yuv422p",
    "yvyu422": "yuv422p",
    "y210le": "yuv422p10le",
    "y212le": "yuv422p12le",
    "rgb24": "gbrp",
    "bgr24": "gbrp",
    "rgb0": "gbrp",
    "bgr0": "gbrp",
    "0rgb": "gbrp",
    "0bgr": "gbrp",
    "rgba": "gbrap",
    "bgra": "gbrap",
    "argb": "gbrap",
    "abgr": "gbrap",
    "pal8": "gbrap",
    "rgb48le": "gbrp16le",
    "rgb48be": "gbrp16le",
    "bgr48le": "gbrp16le",
    "rgba64le": "gbrap16le",
    "rgba64be": "gbrap16le",
    "x2rgb10le": "gbrp10le",
    "x2bgr10le": "gbrp10le",
    "monow": "gray",
    "monob": "gray",
}


# Luma in one plane, Cb and Cr in another: the planar format, and the number of unused low bits.
_SEMI_PLANAR = {
    "nv12": ("yuv420p", 0),
    "nv21": ("yuv420p", 0),
    "nv16": ("yuv422p", 0),
    "nv24": ("yuv444p", 0),
    "nv42": ("yuv444p", 0),
    "nv20le": ("yuv422p10le", 0),
    "p010le": ("yuv420p10le", 6),
    "p012le": ("yuv420p12le", 4),
    "p016le": ("yuv420p16le", 0),
    "p210le": ("yuv422p10le", 6),
    "p212le": ("yuv422p12le", 4),
    "p216le": ("yuv422p16le", 0),
    "p410le": ("yuv444p10le", 6),
    "p412le": ("yuv444p12le", 4),
    "p416le": ("yuv444p16le", 0),
}


def source_layout(name: str) -> DecodedLayout:
    """Return how frames of FFmpeg's format ``name`` become planes.

    Raises:
        MediaError: No lossless planar equivalent of 8 to 16 bits is known.
    """
    if name in PLANAR:
        return DecodedLayout(planar=PLANAR[name])
    if name.startswith("yuvj") and (plain := "yuv" + name[4:]) in PLANAR:
        return DecodedLayout(planar=PLANAR[plain], full_range=True)
    if name in ("ya8", "ya16le", "ya16be"):
        planar = PLANAR["gbrap" if name == "ya8" else "gbrap16le"]
        return DecodedLayout(planar=planar, interleaved="gray alpha")
    if name in _SEMI_PLANAR:
        planar_name, low_bits = _SEMI_PLANAR[name]
        return DecodedLayout(
            planar=PLANAR[planar_name],
            interleaved="chroma",
            chroma_swapped=name in ("nv21", "nv42"),
            low_bits=low_bits,
        )
    if name in _REPACKED:
        return DecodedLayout(planar=PLANAR[_REPACKED[name]], via=_REPACKED[name])
    if name.endswith("be") and (swapped := name[:-2] + "le") in PLANAR:
        return DecodedLayout(planar=PLANAR[swapped], via=swapped)
    raise MediaError(
        f"pixel format {name} is not supported; convert the video to FFV1 or ProRes first "
        "(8 to 16 bit YUV, RGB or gray)"
    )


def frame_planes(av_frame: av.VideoFrame, layout: DecodedLayout) -> tuple[Plane, ...]:
    """Return read-only copies of the samples of a frame, plane by plane."""
    if layout.interleaved == "gray alpha":
        planes = _gray_alpha_planes(av_frame)
    elif layout.interleaved == "chroma":
        planes = _semi_planar_planes(av_frame, layout)
    else:
        if layout.via is not None:
            av_frame = repacked(av_frame, layout.via)
        planes = tuple(view.copy(order="C") for view in plane_views(av_frame, layout.planar))
    for plane in planes:
        plane.flags.writeable = False
    return planes


def plane_views(av_frame: av.VideoFrame, pixel_format: PixelFormat) -> list[Plane]:
    """Return the planes of a frame of a planar format as views into FFmpeg's buffers."""
    hw = (av_frame.height, av_frame.width)
    return [
        _view(plane, pixel_format.plane_hw(number, hw), pixel_format.bit_depth > 8)
        for number, plane in enumerate(av_frame.planes)
    ]


def _view(plane: VideoPlane, plane_hw: tuple[int, int], is_deep: bool, count: int = 1) -> Plane:
    """Return the samples of a plane without the padding of its lines.

    If ``count`` samples alternate, the shape is ``(h, w, count)``.
    """
    dtype = np.dtype(np.uint16 if is_deep else np.uint8)
    height, width = plane_hw
    stride = plane.line_size
    return np.ndarray(
        (height, width) if count == 1 else (height, width, count),
        dtype,
        buffer=memoryview(plane),  # pyright: ignore[reportArgumentType]  (a buffer, untyped in 3.11)
        offset=0 if stride > 0 else -stride * (height - 1),
        strides=(stride, count * dtype.itemsize, dtype.itemsize)[: 2 if count == 1 else 3],
    )


def _semi_planar_planes(av_frame: av.VideoFrame, layout: DecodedLayout) -> tuple[Plane, ...]:
    planar, hw = layout.planar, (av_frame.height, av_frame.width)
    is_deep = planar.bit_depth > 8
    luma = _view(av_frame.planes[0], hw, is_deep)
    pairs = _view(av_frame.planes[1], planar.plane_hw(1, hw), is_deep, count=2)
    order = (1, 0) if layout.chroma_swapped else (0, 1)
    planes = (luma, *(pairs[:, :, channel] for channel in order))
    return tuple(cast(Plane, plane >> layout.low_bits) for plane in planes)


def repacked(av_frame: av.VideoFrame, name: str) -> av.VideoFrame:
    """Return the same samples in a pixel format that packs them differently."""
    # With the same matrix and range on both sides, libswscale only moves samples.
    packed = av_frame.reformat(
        format=name,
        src_colorspace="DEFAULT",
        dst_colorspace="DEFAULT",
        src_color_range="JPEG",
        dst_color_range="JPEG",
        interpolation="POINT",
    )
    packed.pts = av_frame.pts
    return packed


def _gray_alpha_planes(av_frame: av.VideoFrame) -> tuple[Plane, ...]:
    name = av_frame.format.name
    pairs = _view(av_frame.planes[0], (av_frame.height, av_frame.width), name != "ya8", count=2)
    if name == "ya16be":
        pairs = pairs.byteswap()
    gray, alpha = (pairs[:, :, channel].copy() for channel in (0, 1))
    return gray, gray, gray, alpha
