"""Whether a container supports a stream, and how packets are copied into it."""

import io
from collections.abc import Generator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import cast

import av
import av.error
from av.container import OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Stream
from av.video.stream import VideoStream

from vidrestore.media.file_kinds import container_facts
from vidrestore.media.input.probe import open_container
from vidrestore.media.output.containers import ContainerSpec, supports_codec
from vidrestore.media.stream_info import is_cover_stream

_PACKETS_TO_FIRST = 2000
_FRAMED_CODECS = frozenset({"mp1", "mp2", "mp3", "aac", "ac3"})
"""Codecs of audio with one frame per packet, which AVI can time."""
_MAX_ADTS_CHANNELS = 7
_DEFAULT_LAYOUTS = {1: "mono", 2: "stereo"}


def can_copy_stream(spec: ContainerSpec, stream: Stream) -> bool:
    """Whether PyAV can copy packets of a stream into a container.

    Raises:
        MediaError: The source cannot be read.
    """
    if isinstance(stream, AttachmentStream):
        return spec.stores_attachments
    if spec.video_only or not supports_codec(spec, codec_name(stream)):
        return False
    if stream.type == "video" and is_cover_stream(stream) and not spec.stores_covers:
        return False
    if stream.type == "data" and spec.format != "mpegts":
        return False
    if stream.type == "video" and _lacks_frame_order(stream) and not spec.lacks_timestamps:
        return False
    if stream.type == "audio" and not _supports_audio(spec, stream):
        return False
    try:
        with av.open(io.BytesIO(), "w", format=spec.format) as trial:
            added = add_copied_stream(trial, stream, spec)
            trial.start_encoding()
            if stream.type == "audio":
                with _first_packet(stream) as packet:
                    if packet is not None:
                        _mux(trial, packet, added)
    except (ValueError, av.error.FFmpegError):
        return False
    return True


def _lacks_frame_order(stream: Stream) -> bool:
    """Whether frames are reordered, and the container stores no times to recover the order."""
    if not isinstance(stream, VideoStream) or not has_decoder(stream):
        return False
    lacks_times = container_facts(stream.container.format.name).lacks_timestamps
    return lacks_times and bool(stream.codec_context.has_b_frames)


def _supports_audio(spec: ContainerSpec, stream: Stream) -> bool:
    """Whether a container stores audio with its times, so that players can decode it."""
    codec = codec_name(stream) or ""
    if codec == "aac" and spec.format == "mpegts" and not _fits_adts(stream):
        return False
    if codec.startswith("adpcm_"):
        # FFmpeg takes the block size only from the headers of these containers.
        return not spec.lacks_timestamps or stream.container.format.name in ("avi", "asf")
    return spec.audio_codecs is None or codec in spec.audio_codecs or codec.startswith("pcm_")


def _fits_adts(stream: Stream) -> bool:
    """Whether AAC fits the headers of transport streams, which have 3 bits for the channels.

    ISO/IEC 14496-3, 1.6.2.1 (AudioSpecificConfig) and 1.A.2.2.1 (ADTS).
    """
    config = stream.codec_context.extradata or b""
    bits = "".join(f"{byte:08b}" for byte in config[:8])
    offset = 33 if bits[5:9] == "1111" else 9
    return int(bits[offset : offset + 4] or "0", 2) <= _MAX_ADTS_CHANNELS


def add_copied_stream(output: OutputContainer, stream: Stream, spec: ContainerSpec) -> Stream:
    """Add a stream for copied packets of ``stream``; its time base is the source's.

    Raises:
        ValueError: The container does not support the codec.
        MediaError: The source cannot be read.
    """
    with _template(stream, spec) as template:
        added = output.add_stream_from_template(template, opaque=True)
    if stream.time_base is not None:
        added.time_base = stream.time_base
    if isinstance(added, av.AudioStream) and has_decoder(added):
        context = added.codec_context
        layout = _DEFAULT_LAYOUTS.get(context.layout.nb_channels)
        if context.layout.name.endswith("channels") and layout is not None:
            # MP4 needs names of channels; AVI and Matroska have none.
            context.layout = layout
    return added


@contextmanager
def _template(stream: Stream, spec: ContainerSpec) -> Generator[Stream]:
    """Yield the template for a copy of a stream: itself, or the same stream in Matroska.

    WAVE headers have a block size (``nBlockAlign``). FFmpeg's AVI muxer takes it as the size of
    every frame and counts time by it, which is wrong if frame sizes vary. The header in Matroska
    has no such size, so the muxer counts one frame per packet.

    MP4 has one code for all layers of MPEG audio, which FFmpeg takes for layer 3.
    """
    codec = codec_name(stream)
    counts_blocks = spec.lacks_timestamps and codec in _FRAMED_CODECS
    if not counts_blocks and codec != "mp3":
        yield stream
        return
    with _first_packet(stream) as packet:
        layer = None if packet is None else _mpeg_audio_layer(bytes(packet))
        if not counts_blocks and layer in (None, 3):
            yield stream
            return
        buffer = io.BytesIO()
        with av.open(buffer, "w", format="matroska") as trial:
            original = stream if packet is None else packet.stream
            if isinstance(stream, av.AudioStream) and codec == "mp3" and layer == 2:
                added = trial.add_mux_stream("mp2", rate=stream.codec_context.sample_rate)
            else:
                added = trial.add_stream_from_template(original, opaque=True)
            if packet is not None:
                _mux(trial, packet, added)
    buffer.seek(0)
    with av.open(buffer, "r") as written:
        yield written.streams[0]


def _mpeg_audio_layer(data: bytes) -> int | None:
    """Return the layer in a frame's header (ISO/IEC 11172-3, 2.4.2.3); None if there is none."""
    if len(data) < 2 or data[0] != 0xFF or data[1] >> 5 != 0b111:
        return None
    return {0b11: 1, 0b10: 2, 0b01: 3}.get(data[1] >> 1 & 3)


@contextmanager
def _first_packet(stream: Stream) -> "Generator[Packet[Stream] | None]":
    """Yield the first packet of a stream, from the file opened again; None if it comes too late."""
    path = Path(stream.container.name.removeprefix("file:"))
    with open_container(path) as container:
        packets = islice(container.demux(), _PACKETS_TO_FIRST)
        yield next((p for p in packets if p.size and p.stream_index == stream.index), None)


def _mux(output: OutputContainer, packet: "Packet[Stream]", stream: Stream) -> None:
    packet.pts = packet.dts = 0
    packet.stream = stream
    output.mux_one(packet)


def is_embedded_cover(stream: Stream, spec: ContainerSpec) -> bool:
    """Whether a stream is cover art that its container stores as an attached file."""
    return stream.type == "video" and is_cover_stream(stream) and spec.stores_attachments


def has_decoder(stream: Stream) -> bool:
    """Whether PyAV knows the codec of a stream, which needs a decoder in FFmpeg."""
    return cast(object, stream.codec_context) is not None


def codec_name(stream: Stream) -> str | None:
    """Return FFmpeg's name of the codec of a stream; None if PyAV does not know it."""
    if has_decoder(stream):
        return stream.codec_context.codec.canonical_name
    return getattr(stream, "name", None)
