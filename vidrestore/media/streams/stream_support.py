"""Which streams of a source PyAV can copy into a container."""

import io
from typing import cast

import av
import av.error
from av.stream import AttachmentStream, Stream

from vidrestore.media.output.containers import ContainerSpec, supports_codec


def can_copy_stream(spec: ContainerSpec, stream: Stream) -> bool:
    """Whether PyAV can copy the packets of ``stream`` into a container; tried in memory."""
    if isinstance(stream, AttachmentStream):
        return spec.stores_attachments
    if spec.video_only or not supports_codec(spec, codec_name(stream)):
        return False
    if stream.type == "data" and spec.format != "mpegts":
        return False
    try:
        with av.open(io.BytesIO(), "w", format=spec.format) as trial:
            trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()
    except (ValueError, av.error.FFmpegError):
        return False
    return True


def has_decoder(stream: Stream) -> bool:
    """Whether PyAV knows the codec of a stream, which needs a decoder in FFmpeg."""
    return cast(object, stream.codec_context) is not None


def codec_name(stream: Stream) -> str | None:
    """Return FFmpeg's name of the codec of a stream; None if PyAV does not know it."""
    if has_decoder(stream):
        return stream.codec_context.codec.canonical_name
    return getattr(stream, "name", None)
