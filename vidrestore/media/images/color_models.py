"""Converts or refuses color models other than gray and RGB.

CMYK is amounts of ink. Only the ICC profile in the file tells their colors, so CMYK without one is
refused. Palettes of TIFF are looked up here, because OpenImageIO is off by one for entries that are
256 times their 8-bit value, as many programs write them.
"""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from vidrestore.media.images.still_image import ImageFileError

_PHOTOMETRIC = "tiff:PhotometricInterpretation"
# TIFF 6.0, sections 8 and 20 to 23; libtiff returns palettes and YCbCr as RGB.
_SUPPORTED_PHOTOMETRIC = frozenset({0, 1, 2, 3, 5, 6})
_PHOTOMETRIC_NAMES = {
    8: "CIE L*a*b*", 9: "ICC L*a*b*", 10: "ITU L*a*b*", 32803: "a camera's color filter array",
    32844: "LogL", 32845: "LogLuv", 34892: "linear camera raw",
}  # fmt: skip
CMYK = "CMYK"
"""Value of ``metadata["color_model"]`` for a converted file."""
_CMYK_MODELS = (CMYK, "YCbCrK")


def is_cmyk(attributes: Mapping[str, object]) -> bool:
    """Whether the attributes of a file, from OpenImageIO, state CMYK or YCCK."""
    models = {attributes.get("jpeg:ColorSpace"), attributes.get("tiff:ColorSpace")}
    return not models.isdisjoint(_CMYK_MODELS)


def check_color_model(attributes: Mapping[str, object]) -> None:
    """Refuse a file that would be read with wrong colors.

    Args:
        attributes: Attributes of the file, from OpenImageIO.

    Raises:
        ImageFileError: The color model is not supported.
    """
    photometric = attributes.get(_PHOTOMETRIC, 2)
    if photometric not in _SUPPORTED_PHOTOMETRIC:
        name = _PHOTOMETRIC_NAMES.get(int(str(photometric)), f"of TIFF's model {photometric}")
        raise ImageFileError(f"its colors are {name}; convert it to RGB with 8 or 16 bits")


def read_converted(
    path: Path, attributes: Mapping[str, object]
) -> tuple[NDArray[np.uint8], ...] | None:
    """Return red, green and blue, ``(h, w)`` each, of a file with CMYK or a palette.

    CMYK becomes sRGB, relative colorimetric, through the profile in the file.

    Args:
        path: The file.
        attributes: Attributes of the file, from OpenImageIO.

    Returns:
        None if OpenImageIO returns the right samples.

    Raises:
        ImageFileError: CMYK without profile or without 8 bits, or a damaged file.
    """
    is_palette = attributes.get("tiff:ColorSpace") == "palette"
    if not is_palette and not is_cmyk(attributes):
        return None
    # Imported here, because few files need it.
    from PIL import Image, ImageCms

    try:
        with Image.open(path) as image:
            if is_palette:
                converted = image.convert("RGB")
            else:
                profile = image.info.get("icc_profile")
                if image.mode != "CMYK" or not profile:
                    raise ImageFileError(
                        "its colors are CMYK without profile or 8 bits; convert it to RGB"
                    )
                converted = ImageCms.profileToProfile(
                    image,
                    BytesIO(profile),
                    cast("ImageCms.ImageCmsProfile", ImageCms.createProfile("sRGB")),
                    renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                    outputMode="RGB",
                )
    except (OSError, SyntaxError, ImageCms.PyCMSError) as error:
        raise ImageFileError("its colors cannot be read; convert it to RGB") from error
    cube = np.asarray(converted, dtype=np.uint8)
    return tuple(cube[:, :, channel] for channel in range(3))
