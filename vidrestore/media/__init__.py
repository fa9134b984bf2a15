"""Files to frames and back: the only package that uses FFmpeg."""

from vidrestore.media.encoders import ENCODERS, EncoderSettings
from vidrestore.media.info import Chapter, StreamInfo, VideoInfo, probe
from vidrestore.media.prefetch import WriteBehind, prefetched
from vidrestore.media.sink import Sink, open_sink
from vidrestore.media.source import Source, open_source
from vidrestore.media.timing import Cut

__all__ = [
    "ENCODERS",
    "Chapter",
    "Cut",
    "EncoderSettings",
    "Sink",
    "Source",
    "StreamInfo",
    "VideoInfo",
    "WriteBehind",
    "open_sink",
    "open_source",
    "prefetched",
    "probe",
]
