"""Reads image files of all formats, and replaces their samples."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidrestore.media.images.dpx import read_dpx, replace_dpx_samples, resize_dpx
from vidrestore.media.images.dpx_header import DPX_ORDERS
from vidrestore.media.images.exr import EXR_MAGIC, read_exr, replace_exr_samples
from vidrestore.media.images.jpeg import JPEG_START, replace_jpeg_samples
from vidrestore.media.images.openimageio import read_integer_image
from vidrestore.media.images.png import PNG_SIGNATURE, read_png, replace_png_samples
from vidrestore.media.images.still_image import StillImage
from vidrestore.media.images.tiff import TIFF_MAGICS, replace_tiff_samples
from vidrestore.types import PixelFormat, Plane


@dataclass(frozen=True, slots=True)
class _Request:
    """A request to replace the samples of a file."""

    path: Path
    data: bytes
    """Content of the file."""
    before: tuple[Plane, ...]
    after: tuple[Plane, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Format:
    """How the samples of a file format are read and replaced."""

    magics: tuple[bytes, ...]
    """First bytes of its files, of which one matches."""
    read: Callable[[Path], StillImage] = read_integer_image
    replace: Callable[[_Request], bytes | None]
    """Replace samples by others of the same size and format; returns None if that is impossible."""
    resize: Callable[[_Request], bytes | None] = lambda _: None
    """Replace samples by others of another size; returns None if that is impossible."""


_FORMATS = (
    _Format(
        magics=(*DPX_ORDERS,),
        read=lambda path: read_dpx(path.read_bytes()),
        replace=lambda request: replace_dpx_samples(request.data, request.after),
        resize=lambda request: resize_dpx(request.data, request.after),
    ),
    _Format(
        magics=(EXR_MAGIC,),
        read=read_exr,
        replace=lambda request: replace_exr_samples(request.path, request.after),
    ),
    _Format(
        magics=TIFF_MAGICS,
        replace=lambda request: replace_tiff_samples(request.data, request.before, request.after),
    ),
    _Format(
        magics=(PNG_SIGNATURE,),
        read=read_png,
        replace=lambda request: replace_png_samples(request.data, request.after),
    ),
    _Format(
        magics=(JPEG_START + b"\xff",),
        replace=lambda request: replace_jpeg_samples(request.data, request.after),
        resize=lambda request: replace_jpeg_samples(request.data, request.after),
    ),
)
_MAGIC_BYTES = 16


def read_image(path: Path) -> StillImage:
    """Return the samples of an image file, exactly as stored, and what its header states.

    Raises:
        ImageFileError: The file is damaged or not supported.
        OSError: It cannot be opened.
    """
    with path.open("rb") as file:
        image_format = _format_of(file.read(_MAGIC_BYTES))
    return read_integer_image(path) if image_format is None else image_format.read(path)


def replace_samples(
    path: Path, pixel_format: PixelFormat, planes: tuple[Plane, ...]
) -> bytes | None:
    """Return an image file with other samples; everything else is as in ``path``.

    Equal samples give equal bytes.

    Args:
        path: The file.
        pixel_format: Pixel format of ``planes``.
        planes: The new samples.

    Returns:
        None if the file cannot store them without loss.

    Raises:
        ImageFileError: The file is damaged.
        OSError: It cannot be read.
    """
    image = read_image(path)
    if pixel_format != image.pixel_format:
        return None
    data = path.read_bytes()
    image_format = _format_of(data)
    request = _Request(path, data, image.planes, planes)
    if image.coded_hw != planes[0].shape:
        return None if image_format is None else image_format.resize(request)
    if all(np.array_equal(old, new) for old, new in zip(image.planes, planes, strict=True)):
        return data
    return None if image_format is None else image_format.replace(request)


def _format_of(data: bytes) -> _Format | None:
    return next((candidate for candidate in _FORMATS if data.startswith(candidate.magics)), None)
