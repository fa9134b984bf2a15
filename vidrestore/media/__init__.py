"""Reads files as frames and writes frames to files: the only package that uses FFmpeg.

Names are imported when first used, so that tables do not need FFmpeg.
"""

from typing import TYPE_CHECKING

from vidrestore.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from vidrestore.media.input.source import Source, open_source
    from vidrestore.media.input.video_info import Chapter, StreamInfo, VideoInfo, probe
    from vidrestore.media.output.encoder_table import ENCODERS, EncoderSettings
    from vidrestore.media.output.open_output import open_output

__all__ = [
    "ENCODERS",
    "Chapter",
    "EncoderSettings",
    "Source",
    "StreamInfo",
    "VideoInfo",
    "open_output",
    "open_source",
    "probe",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Chapter": "input.video_info",
        "ENCODERS": "output.encoder_table",
        "EncoderSettings": "output.encoder_table",
        "Source": "input.source",
        "StreamInfo": "input.video_info",
        "VideoInfo": "input.video_info",
        "open_output": "output.open_output",
        "open_source": "input.source",
        "probe": "input.video_info",
    },
)
