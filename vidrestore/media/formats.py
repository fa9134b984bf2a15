"""FFmpeg's pixel formats as planes: which layout a frame has, and what repacks it losslessly.

Most decoders give planar frames, whose planes are taken as they are. Packed ones (``nv12``,
``yuyv422``, ``rgb24``, ...) are only moved, never converted: every sample keeps its value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import av
import numpy as np
from av.video.plane import VideoPlane
from numpy.typing import NDArray

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
"""Every planar layout this package works in, by FFmpeg's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLayout:
    """How frames of one FFmpeg pixel format become planes."""

    planar: PixelFormat
    via: str | None = None
    """Format that libswscale moves the samples to, losslessly; None: planes are taken as is."""
    full_range: bool = False
    """Whether the name itself says full range (``yuvj420p``)."""
    gray_alpha: bool = False
    """Gray with alpha, unpacked to three equal colour planes and alpha by us."""


_MOVED = {
    "nv12": "yuv420p",
    "nv21": "yuv420p",
    "nv16": "yuv422p",
    "nv24": "yuv444p",
    "nv42": "yuv444p",
    "yuyv422": "yuv422p",
    "uyvy422": "yuv422p",
    "yvyu422": "yuv422p",
    "p010le": "yuv420p10le",
    "p012le": "yuv420p12le",
    "p016le": "yuv420p16le",
    "p210le": "yuv422p10le",
    "p212le": "yuv422p12le",
    "p216le": "yuv422p16le",
    "p410le": "yuv444p10le",
    "p412le": "yuv444p12le",
    "p416le": "yuv444p16le",
    "nv20le": "yuv422p10le",
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


def source_layout(name: str) -> SourceLayout:
    """Return how frames of FFmpeg's format ``name`` become planes.

    Raises:
        MediaError: No lossless planar equivalent of 8 to 16 bits is known.
    """
    if name in PLANAR:
        return SourceLayout(planar=PLANAR[name])
    if name.startswith("yuvj") and (plain := "yuv" + name[4:]) in PLANAR:
        return SourceLayout(planar=PLANAR[plain], full_range=True)
    if name in ("ya8", "ya16le", "ya16be"):
        planar = PLANAR["gbrap" if name == "ya8" else "gbrap16le"]
        return SourceLayout(planar=planar, gray_alpha=True)
    if name in _MOVED:
        return SourceLayout(planar=PLANAR[_MOVED[name]], via=_MOVED[name])
    if name.endswith("be") and (swapped := name[:-2] + "le") in PLANAR:
        return SourceLayout(planar=PLANAR[swapped], via=swapped)
    raise MediaError(
        f"pixel format {name} is not supported; convert the film to FFV1 or ProRes first "
        "(8 to 16 bit YUV, RGB or gray)"
    )


def frame_planes(decoded: av.VideoFrame, layout: SourceLayout) -> tuple[Plane, ...]:
    """Return read-only copies of the samples of ``decoded``, in the order of its layout."""
    if layout.gray_alpha:
        return _gray_alpha_planes(decoded)
    if layout.via is not None:
        decoded = moved(decoded, layout.via)
    planes = tuple(_copied(view) for view in plane_views(decoded, layout.planar))
    for plane in planes:
        plane.flags.writeable = False
    return planes


def plane_views(frame: av.VideoFrame, pixel_format: PixelFormat) -> list[Plane]:
    """Return the planes of a frame of planar format as views into FFmpeg's buffers."""
    hw = (frame.height, frame.width)
    return [
        _view(plane, pixel_format.plane_hw(at, hw), pixel_format.bit_depth > 8)
        for at, plane in enumerate(frame.planes)
    ]


def _view(plane: VideoPlane, plane_hw: tuple[int, int], wide: bool) -> Plane:
    """Return the samples of one plane without the padding at the end of its lines."""
    dtype = np.dtype(np.uint16 if wide else np.uint8)
    height, width = plane_hw
    stride = plane.line_size
    offset = 0 if stride > 0 else -stride * (height - 1)
    return np.ndarray(
        (height, width),
        dtype,
        buffer=memoryview(plane),  # pyright: ignore[reportArgumentType]  (a buffer, untyped in 3.11)
        offset=offset,
        strides=(stride, dtype.itemsize),
    )


def _copied(view: Plane) -> Plane:
    return view.copy(order="C")


def moved(decoded: av.VideoFrame, name: str) -> av.VideoFrame:
    """Return the same samples in a format that packs them otherwise."""
    # Same matrix and range on both sides: libswscale then only moves samples.
    packed = decoded.reformat(
        format=name,
        src_colorspace="DEFAULT",
        dst_colorspace="DEFAULT",
        src_color_range="JPEG",
        dst_color_range="JPEG",
        interpolation="POINT",
    )
    packed.pts = decoded.pts
    return packed


def _gray_alpha_planes(decoded: av.VideoFrame) -> tuple[Plane, ...]:
    name = decoded.format.name
    dtype = np.dtype(np.uint8) if name == "ya8" else np.dtype("<u2" if "le" in name else ">u2")
    plane = decoded.planes[0]
    pairs: NDArray[np.generic] = np.ndarray(
        (decoded.height, decoded.width, 2),
        dtype,
        buffer=memoryview(plane),  # pyright: ignore[reportArgumentType]
        strides=(plane.line_size, 2 * dtype.itemsize, dtype.itemsize),
    )
    native = np.uint8 if name == "ya8" else np.uint16
    gray, alpha = (pairs[:, :, at].astype(native) for at in (0, 1))
    gray.flags.writeable = alpha.flags.writeable = False
    return gray, gray, gray, alpha
