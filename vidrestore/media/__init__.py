"""Files to frames and back: the only package that uses FFmpeg.

Names are loaded when first used, so that its tables do not need FFmpeg.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidrestore.media.encoder_table import ENCODERS, EncoderSettings
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

_HOME = {
    "Chapter": "info",
    "Cut": "timing",
    "ENCODERS": "encoder_table",
    "EncoderSettings": "encoder_table",
    "Sink": "sink",
    "Source": "source",
    "StreamInfo": "info",
    "VideoInfo": "info",
    "WriteBehind": "prefetch",
    "open_sink": "sink",
    "open_source": "source",
    "prefetched": "prefetch",
    "probe": "info",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
