"""Every kind of picture file: bytes to samples, and other samples into the same file."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.media.color.pixel_formats import PLANAR
from vidrestore.media.images.dpx import is_dpx, read_dpx, resized_dpx, rewritten_dpx
from vidrestore.media.images.exr import is_exr, read_exr, rewritten_exr
from vidrestore.media.images.image_tags import tags_of
from vidrestore.media.images.png import is_png, rewritten_png
from vidrestore.media.images.still_image import ImageFileError, Picture, own_plane, picture_color
from vidrestore.media.images.tiff import is_tiff, read_tiff, rewritten_tiff
from vidrestore.media.images.tiff_coding import silent_opencv
from vidrestore.types import PixelFormat, Plane

_BY_CHANNELS = {1: "gray", 3: "gbrp", 4: "gbrap"}
_PNG_START, _PNG_END = b"\x89PNG", b"IEND"

_Rewrites: TypeAlias = Callable[[bytes, tuple[Plane, ...]], bytes | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """A kind of file that is read here, not by OpenCV, or that keeps all but its samples."""

    is_of: Callable[[bytes], bool]
    read: Callable[[bytes], Picture | None]
    """None: OpenCV reads it."""
    rewritten: _Rewrites
    """Samples of the same size and format into a file; None: it cannot hold them."""
    resized: _Rewrites | None = None
    """Samples of another size."""


def _read_by_opencv(data: bytes) -> Picture:
    """Return a picture as OpenCV has it; palettes become RGB, gray with alpha RGB with alpha."""
    picture = _decoded(data)
    if picture is None:
        raise ImageFileError("it is damaged; get another copy")
    channels = 1 if picture.ndim == 2 else picture.shape[2]
    if picture.dtype.name not in ("uint8", "uint16") or channels not in _BY_CHANNELS:
        raise ImageFileError(
            f"{channels} channels of {picture.dtype} are not supported; "
            "convert it to gray or RGB of 8 or 16 bits"
        )
    deep = "16le" if picture.dtype == np.uint16 else ""
    pixel_format = PLANAR[_BY_CHANNELS[channels] + deep]
    order = {1: (0,), 3: (1, 0, 2), 4: (1, 0, 2, 3)}[channels]
    cube = picture.reshape(*picture.shape[:2], channels)
    return Picture(
        pixel_format=pixel_format,
        planes=tuple(own_plane(cube[:, :, at]) for at in order),
        color=picture_color(pixel_format),
        lies=tags_of(data).lies,
    )


_KINDS = (
    _Kind(is_of=is_dpx, read=read_dpx, rewritten=rewritten_dpx, resized=resized_dpx),
    _Kind(is_of=is_exr, read=read_exr, rewritten=rewritten_exr),
    _Kind(is_of=is_tiff, read=read_tiff, rewritten=rewritten_tiff),
    _Kind(is_of=is_png, read=lambda _: None, rewritten=rewritten_png),
)


def read_image(data: bytes) -> Picture:
    """Return the samples of a picture file, exactly as it has them, and what it says of them.

    Raises:
        ImageFileError: It is damaged, or not of a kind that is supported.
    """
    for kind in _KINDS:
        if kind.is_of(data) and (found := kind.read(data)) is not None:
            return found
    return _read_by_opencv(data)


def replace_samples(
    data: bytes, frame_format: PixelFormat, planes: tuple[Plane, ...]
) -> bytes | None:
    """Return a picture file with other samples, and everything else as in ``data``.

    Where the samples are those of ``data``, so is every byte.

    Args:
        data: The file.
        frame_format: Of ``planes``.
        planes: What it is to show.

    Returns:
        None where this file cannot hold them without losing something.

    Raises:
        ImageFileError: ``data`` is damaged.
    """
    before = read_image(data)
    if frame_format != before.pixel_format:
        return None
    kind = next((each for each in _KINDS if each.is_of(data)), None)
    if before.coded_hw != planes[0].shape:
        return None if kind is None or kind.resized is None else kind.resized(data, planes)
    pairs = zip(before.planes, planes, strict=True)
    if all(np.array_equal(old, new) for old, new in pairs):
        return data
    return None if kind is None else kind.rewritten(data, planes)


def _decoded(data: bytes) -> NDArray[np.generic] | None:
    """Return a picture in OpenCV's order; None where it is damaged."""
    if not data or (data.startswith(_PNG_START) and _PNG_END not in data[-64:]):
        # libpng would complain on the terminal, past OpenCV's log.
        return None
    with silent_opencv():
        try:
            return cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error:
            return None
