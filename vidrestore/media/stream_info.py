"""Streams and chapters of a film, as its container states them."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import cast

import av
from av.container import InputContainer
from av.stream import AttachmentStream, Disposition, Stream

from vidrestore.media.ffmpeg_dump import codec_names
from vidrestore.media.input.video_info import Chapter, StreamInfo

MICROSECOND = Fraction(1, 1_000_000)
"""FFmpeg's time base of a container, in seconds."""


def is_cover_stream(stream: Stream) -> bool:
    """Whether a stream is cover art."""
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def stream_infos(container: InputContainer) -> Iterator[StreamInfo]:
    """Yield the info of every stream of a film."""
    has_decoders = all(cast(object, s.codec_context) is not None for s in container.streams)
    names: Mapping[int, str] = {} if has_decoders else codec_names(container)
    for stream in container.streams:
        yield stream_info(stream, names.get(stream.index))


def stream_info(stream: Stream, codec_name: str | None) -> StreamInfo:
    """Return the info of a stream; ``codec_name`` is for codecs that PyAV does not know."""
    context = cast("av.CodecContext | None", stream.codec_context)
    audio = stream if isinstance(stream, av.AudioStream) and context is not None else None
    start = stream.start_time
    base = stream.time_base
    is_attachment = isinstance(stream, AttachmentStream)
    return StreamInfo(
        index=stream.index,
        kind=stream.type,
        codec=context.codec.canonical_name
        if context
        else getattr(stream, "name", None) or codec_name,
        language=stream.language,
        title=stream.metadata.get("title"),
        default=bool(stream.disposition & Disposition.default),
        is_cover=stream.type == "video" and is_cover_stream(stream),
        start_seconds=start * base if start is not None and base is not None else None,
        bit_rate=context.bit_rate if context is not None else None,
        channels=audio.codec_context.layout.nb_channels if audio else None,
        channel_layout=audio.codec_context.layout.name if audio else None,
        sample_rate_hz=audio.codec_context.sample_rate if audio else None,
        file_name=stream.name if is_attachment else None,
    )


def chapters_of(container: InputContainer) -> Iterator[Chapter]:
    """Yield the chapters of a film."""
    for chapter in container.chapters():
        base = chapter["time_base"] or MICROSECOND
        yield Chapter(
            start_seconds=chapter["start"] * base,
            end_seconds=chapter["end"] * base,
            title=chapter["metadata"].get("title"),
        )
