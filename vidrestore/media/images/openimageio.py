"""Decodes image files with OpenImageIO: samples as stored, and the attributes of the header.

It is only used for reading. Files that OpenImageIO 3.2 writes lose what archives keep, as measured
with the files of the tests:

* DPX: lines that do not end on 32 bits are misread (22 of 38 layouts), 985 to 1097 of 2432 header
  bytes change, and big-endian files become little-endian;
* EXR: attributes of unknown types are lost, and unchanged chunks are recompressed, which alters
  samples under B44 and DWA;
* TIFF: private tags, bytes without a tag, and the byte order are lost;
* PNG: private and ``iTXt`` chunks are lost, text moves, and ``pHYs`` is rounded;
* JPEG: EXIF is rewritten from parsed values, without maker notes.

Therefore the other modules of this package replace samples inside the bytes of the source.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np
from numpy.typing import NDArray

from vidrestore.media.color.pixel_formats import PLANAR
from vidrestore.media.images.color_models import CMYK, check_color_model, is_cmyk, read_converted
from vidrestore.media.images.still_image import (
    ImageFileError,
    StillImage,
    default_color,
    read_only_plane,
)
from vidrestore.types import Orientation

DAMAGED = "it is damaged; get another copy"

# Stem of the pixel format and channel of each plane, by number of channels in the file.
_PLANES = {
    1: ("gray", (0,)),
    2: ("gbrap", (0, 0, 0, 1)),
    3: ("gbrp", (1, 2, 0)),
    4: ("gbrap", (1, 2, 0, 3)),
}


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImage:
    """The first image of a file."""

    channels: Mapping[str, NDArray[np.generic]]
    """``(h, w)`` samples in the stored type; red, green, blue and alpha come first."""
    attributes: Mapping[str, object]


def decode_image(path: Path) -> DecodedImage:
    """Return the samples of every channel, without conversion, and the header's attributes.

    Raises:
        ImageFileError: The file is damaged, or OpenImageIO does not know its format.
    """
    with _utf8_name(path) as name:
        return _decode(name)


def _decode(name: str) -> DecodedImage:
    # Imported here, because a refusal does not need it.
    import OpenImageIO

    config = OpenImageIO.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)
    file = OpenImageIO.ImageInput.open(name, config)
    if file is None:
        # An error that is not fetched is printed when the program ends.
        OpenImageIO.geterror()
        raise ImageFileError(DAMAGED)
    try:
        spec = file.spec()
        if spec.deep or spec.nchannels < 1:
            raise ImageFileError("it has no flat image; convert it to plain channels")
        names = cast("tuple[str, ...]", spec.channelnames)
        # Empty if all channels have the same type; then they are read at once.
        types = cast("tuple[OpenImageIO.TypeDesc, ...]", spec.channelformats)
        if types:
            parts = [file.read_image(number, number + 1, t) for number, t in enumerate(types)]
        else:
            parts = [file.read_image(0, len(names), spec.format)]
        cubes = [part for part in parts if part is not None]
        if len(cubes) != len(parts):
            raise ImageFileError(DAMAGED)
        planes = [cube[:, :, channel] for cube in cubes for channel in range(cube.shape[2])]
        channels = dict(zip(names, planes, strict=True))
        attributes = {attribute.name: attribute.value for attribute in spec.extra_attribs}
        return DecodedImage(channels, attributes)
    finally:
        file.geterror()
        file.close()


@contextmanager
def _utf8_name(path: Path) -> Generator[str]:
    """Yield a name of a file in UTF-8: a temporary link if its own name is not."""
    name = str(path)
    try:
        name.encode()
    except UnicodeEncodeError:
        with TemporaryDirectory(prefix="vidrestore-") as folder:
            link = Path(folder) / f"image{path.suffix}"
            link.symlink_to(path.absolute())
            yield str(link)
    else:
        yield name


def read_integer_image(path: Path) -> StillImage:
    """Return a gray or RGB image with 8 or 16 bits, with or without alpha.

    Palettes become RGB, gray with alpha becomes RGB with alpha, 1 to 7 bits become 8, and CMYK
    becomes sRGB through its profile.

    Raises:
        ImageFileError: The file is damaged, or has another color model or depth.
    """
    decoded = decode_image(path)
    check_color_model(decoded.attributes)
    converted = read_converted(path, decoded.attributes)
    channels = list(decoded.channels.values()) if converted is None else list(converted)
    depths = {samples.dtype.name for samples in channels}
    if len(channels) not in _PLANES or len(depths) != 1 or not depths <= {"uint8", "uint16"}:
        raise ImageFileError(
            f"its channels are {', '.join(decoded.channels)} of {', '.join(sorted(depths))}; "
            "convert it to gray or RGB with 8 or 16 bits"
        )
    stem, order = _PLANES[len(channels)]
    pixel_format = PLANAR[stem + ("16le" if depths == {"uint16"} else "")]
    orientation = decoded.attributes.get("Orientation", 1)
    return StillImage(
        pixel_format=pixel_format,
        planes=tuple(read_only_plane(channels[number]) for number in order),
        color=default_color(pixel_format),
        orientation=Orientation.from_exif(int(str(orientation))),
        metadata={"color_model": CMYK} if is_cmyk(decoded.attributes) else {},
    )
