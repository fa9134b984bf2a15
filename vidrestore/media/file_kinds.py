"""Kinds of files, and facts about containers and codecs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeAlias

from vidrestore.storage.standard_streams import is_standard_stream

SourceKind: TypeAlias = Literal["film", "folder", "picture"]
"""A video, an image sequence, or a single image. Records and journals store these words."""

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".dpx", ".exr")

LOSSLESS_IMAGES = frozenset({"png", "tif", "bmp", "dpx", "exr"})
"""Image formats that store every sample, by ``image_format``."""
LOSSLESS_CODECS = LOSSLESS_IMAGES | {
    "ffv1", "huffyuv", "ffvhuff", "utvideo", "magicyuv", "rawvideo", "v210", "v410", "r210",
}  # fmt: skip
"""Image formats and FFmpeg's codecs that store every sample, whatever their settings."""

_FFMPEG_CODECS = {"h265": "hevc", "dnxhr": "dnxhd"}


def is_image_name(path: Path) -> bool:
    """Whether a file name has the suffix of an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def image_format(path: Path) -> str:
    """Return the format of an image by its suffix, without dot, one name for each format."""
    suffix = path.suffix.lower().removeprefix(".")
    return {"jpeg": "jpg", "tiff": "tif"}.get(suffix, suffix)


def kind_of_source(path: Path) -> SourceKind:
    """Return the kind of an existing source."""
    if is_standard_stream(path):
        return "film"
    if path.is_dir():
        return "folder"
    return "picture" if is_image_name(path) else "film"


def kind_of_output(target: Path) -> SourceKind:
    """Return the kind of an output; a name without suffix is an image sequence."""
    if is_standard_stream(target):
        return "film"
    if target.is_dir() or not target.suffix:
        return "folder"
    return "picture" if is_image_name(target) else "film"


def ffmpeg_codec(codec: str) -> str:
    """Return FFmpeg's name of a codec of ``ENCODERS``; other names are returned unchanged."""
    return _FFMPEG_CODECS.get(codec, codec)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerFacts:
    """What the format of a container can and cannot store."""

    lacks_timestamps: bool = False
    """Whether packets are numbered instead of timed: the timeline always starts at 0."""
    has_packet_index: bool = False
    """Whether an index lists every packet."""
    starts_at_zero: bool = True
    """Whether the timeline starts at 0; otherwise at the time of the first packet."""
    repeats_headers: bool = False
    """Whether the headers of codecs are repeated between the packets."""
    has_edit_lists: bool = False
    """Whether a stream may start before 0."""
    stores_reordered_times: bool = True
    """Whether FFmpeg recovers the times of frames that are stored in another order."""
    stores_durations: bool = True
    """Whether the duration of the last frame is stored."""
    stores_any_tag: bool = True
    """Whether ``key=value`` tags of any name are stored; otherwise only a fixed list of them."""


_STREAMED = ContainerFacts(
    starts_at_zero=False, repeats_headers=True, stores_durations=False, stores_any_tag=False
)
_CONTAINER_FACTS: Mapping[str, ContainerFacts] = MappingProxyType(
    {
        "avi": ContainerFacts(lacks_timestamps=True, stores_any_tag=False),
        "mov": ContainerFacts(has_packet_index=True, has_edit_lists=True),
        "mpeg": _STREAMED,
        "mpegts": _STREAMED,
        "mxf": ContainerFacts(stores_any_tag=False, stores_reordered_times=False),
    }
)


def container_facts(name: str) -> ContainerFacts:
    """Return the facts about a container.

    Args:
        name: FFmpeg's name, as in ``VideoInfo.container``; in a list (``mov,mp4,...``) the first
            one counts.
    """
    return _CONTAINER_FACTS.get(name.partition(",")[0], ContainerFacts())
