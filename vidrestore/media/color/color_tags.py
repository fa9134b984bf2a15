"""Which color tags a codec in a container can store."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from vidrestore.media.color.code_points import (
    CHROMA_LEFT,
    CHROMA_TOP_LEFT,
    MATRIX_BT709,
    MATRIX_BT2020,
    MATRIX_RGB,
    TRANSFER_UNSPECIFIED,
)
from vidrestore.types import ColorTags, PixelFormat

_ALL_COLOR_TAGS = frozenset({"matrix", "primaries", "transfer", "range", "chroma location"})
_PRORES = frozenset({"range", "chroma location"})
_UNSTORED_COLOR_TAGS: Mapping[tuple[str, str], frozenset[str]] = MappingProxyType(
    {
        ("mov", "prores"): _PRORES,
        ("mxf", "prores"): _PRORES,
        ("matroska", "prores"): frozenset({"range"}),
        ("mov", "dnxhd"): _ALL_COLOR_TAGS - {"range"},
        ("mxf", "dnxhd"): frozenset({"matrix", "chroma location"}),
        ("mov", "ffv1"): _ALL_COLOR_TAGS,
        ("mov", "av1"): frozenset({"chroma location"}),
        ("mxf", "ffv1"): frozenset({"chroma location"}),
        ("mxf", "av1"): frozenset({"chroma location"}),
        ("avi", "av1"): frozenset({"chroma location"}),
        ("avi", "ffv1"): _ALL_COLOR_TAGS,
    }
)
"""Color tags that a container and codec, by FFmpeg's names, may not store, as measured by
``tests/media/color/test_color_tags.py``."""
_CHROMA_LOCATION_OF_420 = frozenset({"h264", "hevc"})
"""Codecs that store the chroma location only in 4:2:0: ITU-T H.264, E.2.1, and H.265, E.3.1."""


def unstored_color_tags(container: str, codec: str, *, is_420: bool = True) -> frozenset[str]:
    """Return the color tags that a codec in a container may not store.

    Args:
        container: FFmpeg's name of the container; in a list (``mov,mp4,...``) the first one counts.
        codec: FFmpeg's name of the codec.
        is_420: Whether the samples of the result are 4:2:0.
    """
    name = container.partition(",")[0]
    name = {"mp4": "mov", "webm": "matroska"}.get(name, name)
    unstored = _UNSTORED_COLOR_TAGS.get((name, codec), frozenset[str]())
    if codec in _CHROMA_LOCATION_OF_420 and not is_420 and name != "matroska":
        return unstored | {"chroma location"}
    return unstored


_UNSPECIFIED = 2
_LOCATIONS_OF_AV1 = (CHROMA_LEFT, CHROMA_TOP_LEFT)
_MATRICES_OF_DNXHR = (MATRIX_BT709, MATRIX_BT2020, 10)
_COLR_BOX_TAGS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "ffv1": _ALL_COLOR_TAGS - {"chroma location"},
        "dnxhd": frozenset({"matrix", "primaries", "transfer"}),
    }
)
"""Tags of each codec that MP4 and MOV store in one box (``colr``). FFmpeg writes it if matrix,
primaries and transfer are known."""


def describe_lost_tags(
    color: ColorTags, pixel_format: PixelFormat, *, codec: str, container: str
) -> list[str]:
    """Return a note for the user on color tags that an output does not store, if any.

    Args:
        color: Tags of the encoded frames.
        pixel_format: Pixel format of the encoded frames.
        codec: FFmpeg's name of the codec.
        container: FFmpeg's name of the muxer.
    """
    is_420 = pixel_format.chroma_shift_xy == (1, 1)
    unstored = unstored_color_tags(container, codec, is_420=is_420)
    if codec in _COLR_BOX_TAGS and container in ("mp4", "mov") and _fills_colr_box(color):
        unstored -= _COLR_BOX_TAGS[codec]
    if codec == "dnxhd" and (color.matrix in _MATRICES_OF_DNXHR or container == "mxf"):
        unstored -= {"matrix"}
    if codec == "av1" and color.chroma_location in _LOCATIONS_OF_AV1:
        unstored -= {"chroma location"}
    lost = [name for name in _stated_tags(color, pixel_format) if name in unstored]
    if not lost:
        return []
    is_stored_in_matroska = not set(lost) & unstored_color_tags("matroska", codec)
    remedy = (
        "use .mkv" if is_stored_in_matroska and codec != "dnxhd" else "use .mkv and --codec ffv1"
    )
    return [f"{codec} in .{container} cannot store these color tags: {', '.join(lost)}; {remedy}"]


def _fills_colr_box(color: ColorTags) -> bool:
    return not {color.matrix, color.primaries, color.transfer} & {0, _UNSPECIFIED}


def _stated_tags(color: ColorTags, pixel_format: PixelFormat) -> Iterator[str]:
    """Yield the tags that differ from what a player assumes without them."""
    if color.matrix not in (MATRIX_RGB, _UNSPECIFIED):
        yield "matrix"
    if color.primaries not in (0, _UNSPECIFIED):
        yield "primaries"
    if color.transfer not in (0, TRANSFER_UNSPECIFIED):
        yield "transfer"
    if color.range_known and color.full_range == (pixel_format.model == "yuv"):
        yield "range"
    is_subsampled = pixel_format.model == "yuv" and any(pixel_format.chroma_shift_xy)
    if is_subsampled and chroma_column(color, pixel_format) > CHROMA_LEFT:
        yield "chroma location"


def chroma_column(color: ColorTags, pixel_format: PixelFormat) -> int:
    """Return the chroma location; if chroma has all rows, its column at the height of luma."""
    location = color.chroma_location
    if pixel_format.chroma_shift_xy[1] == 0:
        return {3: 1, 5: 1, 4: 2, 6: 2}.get(location, location)
    return location
