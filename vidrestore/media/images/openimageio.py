"""Decodes image files with OpenImageIO: samples as stored, and the attributes of the header.

Only for reading. What OpenImageIO writes lacks things that archives keep, measured with version
3.2 over the files of the tests:

* DPX: it reads lines that do not end on 32 bits wrongly (22 of 38 layouts), rewrites 985 to 1097
  of 2432 header bytes, and turns big-endian files into little-endian ones;
* EXR: attributes of types that it does not know are lost, and chunks that did not change are
  compressed again, which alters samples under B44 and DWA;
* TIFF: private tags and bytes that no tag points at are lost, and so is the byte order;
* PNG: private and ``iTXt`` chunks are lost, text moves, and ``pHYs`` is rounded;
* JPEG: EXIF is written again from parsed values, without maker notes.

So the modules beside this one replace the samples inside the source's own bytes instead.
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

# Channels of the file -> the pixel format's stem, and the channel of each of its planes.
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
    with _encodable(path) as name:
        return _decode(name)


def _decode(name: str) -> DecodedImage:
    # Here, because a refusal does not need it.
    import OpenImageIO

    config = OpenImageIO.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)
    file = OpenImageIO.ImageInput.open(name, config)
    if file is None:
        # An error that nobody asks for is printed when the program ends.
        OpenImageIO.geterror()
        raise ImageFileError(DAMAGED)
    try:
        spec = file.spec()
        if spec.deep or spec.nchannels < 1:
            raise ImageFileError("it has no flat image; convert it to plain channels")
        names = cast("tuple[str, ...]", spec.channelnames)
        # Empty where all channels have one type; then they are read at once.
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
def _encodable(path: Path) -> Generator[str]:
    """Give the name of a file as UTF-8; one that is not gets a link with a plain name."""
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
    """Return a gray or RGB image of 8 or 16 bits, with or without alpha.

    Palettes become RGB, gray with alpha becomes RGB with alpha, 1 to 7 bits become 8, and CMYK
    becomes sRGB through its profile.

    Raises:
        ImageFileError: The file is damaged, or of another color model or depth.
    """
    decoded = decode_image(path)
    check_color_model(decoded.attributes)
    converted = read_converted(path, decoded.attributes)
    channels = list(decoded.channels.values()) if converted is None else list(converted)
    depths = {samples.dtype.name for samples in channels}
    if len(channels) not in _PLANES or len(depths) != 1 or not depths <= {"uint8", "uint16"}:
        raise ImageFileError(
            f"its channels are {', '.join(decoded.channels)} of {', '.join(sorted(depths))}; "
            "convert it to gray or RGB of 8 or 16 bits"
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
