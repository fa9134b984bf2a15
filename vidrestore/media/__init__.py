"""Files to frames and back: the only package that uses FFmpeg."""

from vidrestore.media.info import StreamInfo, VideoInfo, probe
from vidrestore.media.prefetch import WriteBehind, prefetched
from vidrestore.media.source import Source, open_source

__all__ = [
    "Source",
    "StreamInfo",
    "VideoInfo",
    "WriteBehind",
    "open_source",
    "prefetched",
    "probe",
]
