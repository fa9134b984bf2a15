"""The header of an OpenEXR file: its attributes, primaries and metadata."""

import struct
from collections.abc import Mapping
from typing import cast

from vidrestore.media.images.still_image import timecode_text

# Our name of an attribute, by OpenImageIO's.
_METADATA = {
    "Copyright": "owner", "ImageDescription": "comments", "reelName": "reel_name",
    "DateTime": "captured",
}  # fmt: skip

# Code point of ITU-T H.273, by CIE x and y of red, green and blue.
_PRIMARIES = {
    (0.640, 0.330, 0.300, 0.600, 0.150, 0.060): 1,
    (0.708, 0.292, 0.170, 0.797, 0.131, 0.046): 9,
    (0.680, 0.320, 0.265, 0.690, 0.150, 0.060): 12,
}
_TOLERANCE = 0.005


def exr_attributes(data: bytes) -> tuple[dict[str, bytes], int]:
    """Return the values of all attributes by name, and the offset of the table of chunks."""
    attributes: dict[str, bytes] = {}
    offset = 8
    while data[offset]:
        name_end = data.index(b"\0", offset)
        type_end = data.index(b"\0", name_end + 1)
        (size,) = struct.unpack_from("<i", data, type_end + 1)
        start = type_end + 5
        if size < 0 or start + size > len(data):
            raise ValueError("an attribute ends after the end of the file")
        attributes[data[offset:name_end].decode("latin-1")] = data[start : start + size]
        offset = start + size
    if missing := {"channels", "compression", "dataWindow"} - attributes.keys():
        raise ValueError(f"attributes are missing: {missing}")
    return attributes, offset + 1


def exr_primaries(chromaticities: object) -> int:
    """Return the code point of the primaries; BT.709's if the file states none or unknown ones."""
    stated = cast("tuple[float, ...]", chromaticities or ())[:6]
    matches = (
        code
        for known, code in _PRIMARIES.items()
        if len(stated) == len(known)
        and max(abs(a - b) for a, b in zip(known, stated, strict=True)) < _TOLERANCE
    )
    return next(matches, 1)


def exr_metadata(attributes: Mapping[str, object]) -> dict[str, str]:
    """Return timecode, reel name, frame rate and texts."""
    values = {name: str(attributes.get(key, "")) for key, name in _METADATA.items()}
    match attributes.get("smpte:TimeCode"):
        case (int(packed), int()):
            values["timecode"] = timecode_text(packed)
        case _:
            pass
    match attributes.get("framesPerSecond"):
        case (int(numerator), int(denominator)):
            values["frame_rate"] = f"{numerator}/{denominator}"
        case _:
            pass
    return {name: value for name, value in values.items() if value}
