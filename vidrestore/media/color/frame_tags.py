"""Reads color tags and HDR metadata of decoded frames."""

import re
from dataclasses import replace

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from vidrestore.media.color.hdr_metadata import HdrMetadata, read_hdr_metadata
from vidrestore.media.color.pixel_formats import DecodedLayout
from vidrestore.media.ffmpeg_dump import dump_text
from vidrestore.media.side_data import UNSTORED_SIDE_DATA
from vidrestore.types import ColorTags

_CHROMA_LOCATIONS = {
    "left": 1,
    "center": 2,
    "topleft": 3,
    "top": 4,
    "bottomleft": 5,
    "bottom": 6,
}


def color_of(frame: av.VideoFrame, *, layout: DecodedLayout, chroma_location: int) -> ColorTags:
    """Return the color tags of a decoded frame.

    Gray and RGB are full range unless tagged otherwise, as in libswscale.
    """
    range_code = int(frame.color_range)
    always_full = layout.full_range or layout.planar.model != "yuv"
    return ColorTags(
        matrix=int(frame.colorspace),
        primaries=int(frame.color_primaries),
        transfer=int(frame.color_trc),
        full_range=layout.full_range or range_code == 2 or (always_full and range_code != 1),
        range_known=always_full or range_code in (1, 2),
        chroma_location=chroma_location,
    )


def frame_hdr_metadata(
    frame: av.VideoFrame, stream: VideoStream, layout: DecodedLayout
) -> HdrMetadata:
    """Return the HDR metadata of a frame, with the names of what no output can store."""
    metadata = read_hdr_metadata(frame)
    if "stereo_mode" in stream.metadata:
        # A tag of Matroska, which is copied like all tags.
        layout_words = UNSTORED_SIDE_DATA["STEREO3D"]
        others = tuple(words for words in metadata.unsupported if words != layout_words)
        metadata = replace(metadata, unsupported=others)
    # A tag of Matroska: FFmpeg's decoders of VP8 and VP9 drop the alpha.
    if stream.metadata.get("alpha_mode") == "1" and not layout.planar.has_alpha:
        missing = "transparency, which is not decoded"
        return replace(metadata, unsupported=(*metadata.unsupported, missing))
    return metadata


def chroma_location_of(container: InputContainer, index: int) -> int:
    """Return FFmpeg's ``AVChromaLocation``, which PyAV shows only in its text dump."""
    text = dump_text(container)
    line = re.search(rf"^ *Stream #0:{index}\b.* Video: (.*)$", text, re.MULTILINE)
    # It follows the pixel format, the only word with a bracket directly after it.
    inside = re.search(r"[a-z0-9]\(([^()]*)\)", line.group(1)) if line else None
    words: list[str] = inside.group(1).split(", ") if inside else []
    return next((_CHROMA_LOCATIONS[word] for word in words if word in _CHROMA_LOCATIONS), 0)
