"""Pictures that change size or format on the way, found before hours of work.

Streams that carry their headers along, as broadcasts do, may go from one size to another. The
packets are read through, which takes seconds; where a header is not one of those before, one
picture is decoded.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import av.error
from av.codec.context import Flags
from av.packet import Packet
from av.stream import Discard
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from vidrestore.errors import MediaError
from vidrestore.media.ffmpeg_errors import media_errors
from vidrestore.media.file_kinds import container_facts
from vidrestore.media.input.demuxer import demux_past_errors
from vidrestore.media.input.probe import open_container
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.types.time_range import TimeRange

_HEAD_BYTES = 4096
_MAX_TOLD = 5
_SEEK_MARGIN_SECONDS = 1

_NAL_H264 = re.compile(rb"\x00\x00\x01[\x07\x27\x47\x67](.*?)(?=\x00\x00\x01|\Z)", re.DOTALL)
_NAL_HEVC = re.compile(rb"\x00\x00\x01\x42\x01(.*?)(?=\x00\x00\x01|\Z)", re.DOTALL)
_MPEG = re.compile(rb"\x00\x00\x01(\xb3.{8}|\xb5[\x10-\x1f].{5})", re.DOTALL)
_HEADERS: Mapping[str, re.Pattern[bytes]] = {
    "h264": _NAL_H264,
    "hevc": _NAL_HEVC,
    "mpeg1video": _MPEG,
    "mpeg2video": _MPEG,
}
"""Codec -> its headers of a sequence: of H.264 and HEVC the sequence parameter sets (ITU-T H.264
7.4.1, H.265 7.4.2.2), of MPEG the sequence header and its extension (ISO 13818-2 6.2.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Where pictures become others."""

    seconds: Fraction
    """From where the film's clock starts."""
    shape: str
    """What they are from then on: ``720x576 yuv420p``."""


def check_constant_format(info: VideoInfo, time_range: TimeRange) -> None:
    """Read a film through and refuse it if size or format change within the selected part.

    Raises:
        MediaError: They change; the message says where, so that the parts can be restored one by
            one.
    """
    if not container_facts(info.container).repeats_headers or info.codec not in _HEADERS:
        return
    found = list(_changes(info, time_range))
    if not found:
        return
    told = ", then ".join(
        f"to {change.shape} at {float(change.seconds):.3f} s" for change in found[:_MAX_TOLD]
    )
    more = f", and {len(found) - _MAX_TOLD} times more" if len(found) > _MAX_TOLD else ""
    raise MediaError(
        f"{info.path}: the picture format changes from {shape_of(info)} {told}{more}; restore the "
        "parts one by one with --start and --end"
    )


def shape_of(info: VideoInfo) -> str:
    """Return size and pixel format of a film in words."""
    height, width = info.geometry.coded_hw
    return f"{width}x{height} {info.pixel_format_name}"


def _changes(info: VideoInfo, time_range: TimeRange) -> Iterator[Change]:
    header = _HEADERS[info.codec]
    known: dict[bytes, str | None] = {}
    shape = shape_of(info)
    for seconds, packet in _packets(info.path, info, time_range):
        data = bytes(packet)[:_HEAD_BYTES]
        signature = b"|".join(header.findall(data))
        if not signature:
            continue
        if signature not in known:
            known[signature] = _decoded_shape(packet, info.codec)
        now = known[signature]
        if now is not None and now != shape:
            shape = now
            yield Change(seconds=seconds, shape=shape)


def _packets(
    path: Path, info: VideoInfo, time_range: TimeRange
) -> "Iterator[tuple[Fraction, Packet[VideoStream]]]":
    """Yield the key packets of the selected part, with their time."""
    start, end = time_range.start_seconds, time_range.end_seconds
    with open_container(path) as container, media_errors(path):
        stream = next(e for e in container.streams.video if e.index == info.video_stream_index)
        for each in container.streams:
            if each is not stream:
                each.discard = Discard.all
        if start is not None and start > _SEEK_MARGIN_SECONDS:
            wanted = info.origin_seconds + start - _SEEK_MARGIN_SECONDS
            container.seek(int(wanted / info.time_base), stream=stream)
        for packet in demux_past_errors(container, stream):
            if packet.pts is None or not packet.is_keyframe:
                continue
            seconds = packet.pts * info.time_base - info.origin_seconds
            if start is not None and seconds < start:
                continue
            if end is not None and seconds >= end:
                return
            yield seconds, cast("Packet[VideoStream]", packet)


def _decoded_shape(packet: "Packet[VideoStream]", codec: str) -> str | None:
    """Return size and pixel format of a single picture; None if it is damaged."""
    context = cast(VideoCodecContext, av.CodecContext.create(codec, "r"))
    context.thread_count = 1
    context.flags |= Flags.unaligned
    decode = cast("Callable[[object], list[av.VideoFrame]]", context.decode)
    try:
        frames = [*decode(packet), *decode(None)]
    except av.error.FFmpegError:
        return None
    sound = [each for each in frames if not each.is_corrupt]
    if not sound:
        return None
    return f"{sound[0].width}x{sound[0].height} {sound[0].format.name}"
