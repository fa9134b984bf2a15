"""Finds changes of frame size or pixel format before hours of work.

Streams that repeat their headers, as broadcasts do, may change size. All packets are read, which
takes seconds; a frame is decoded only where a header is new.
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
_MAX_LISTED = 5
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
"""Sequence headers of each codec: for H.264 and HEVC the sequence parameter sets (ITU-T H.264
7.4.1, H.265 7.4.2.2), for MPEG the sequence header and its extension (ISO 13818-2 6.2.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _FormatChange:
    seconds: Fraction
    """Time from ``VideoInfo.origin_seconds``."""
    format_text: str
    """The new format: ``720x576 yuv420p``."""


def check_constant_format(info: VideoInfo, time_range: TimeRange) -> None:
    """Read a film and refuse it if size or pixel format change within the time range.

    Raises:
        MediaError: They change; the message says where.
    """
    if not container_facts(info.container).repeats_headers or info.codec not in _HEADERS:
        return
    changes = list(_changes(info, time_range))
    if not changes:
        return
    changes_text = ", then ".join(
        f"to {change.format_text} at {float(change.seconds):.3f} s"
        for change in changes[:_MAX_LISTED]
    )
    more = f", and {len(changes) - _MAX_LISTED} times more" if len(changes) > _MAX_LISTED else ""
    raise MediaError(
        f"{info.path}: the frame format changes from {info.format_text} {changes_text}{more}; "
        "restore each range separately with --start and --end"
    )


def _changes(info: VideoInfo, time_range: TimeRange) -> Iterator[_FormatChange]:
    header = _HEADERS[info.codec]
    format_by_header: dict[bytes, str | None] = {}
    current = info.format_text
    for seconds, packet in _packets(info.path, info, time_range):
        data = bytes(packet)[:_HEAD_BYTES]
        headers = b"|".join(header.findall(data))
        if not headers:
            continue
        if headers not in format_by_header:
            format_by_header[headers] = _decoded_format(packet, info.codec)
        decoded = format_by_header[headers]
        if decoded is not None and decoded != current:
            current = decoded
            yield _FormatChange(seconds=seconds, format_text=current)


def _packets(
    path: Path, info: VideoInfo, time_range: TimeRange
) -> "Iterator[tuple[Fraction, Packet[VideoStream]]]":
    """Yield the key packets of the time range, with their times."""
    start, end = time_range.start_seconds, time_range.end_seconds
    with open_container(path) as container, media_errors(path):
        stream = container.streams[info.video_stream_index]
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all
        if start is not None and start > _SEEK_MARGIN_SECONDS:
            seek_seconds = info.origin_seconds + start - _SEEK_MARGIN_SECONDS
            container.seek(int(seek_seconds / info.time_base), stream=stream)
        for packet in demux_past_errors(container, stream):
            if packet.pts is None or not packet.is_keyframe:
                continue
            seconds = packet.pts * info.time_base - info.origin_seconds
            if start is not None and seconds < start:
                continue
            if end is not None and seconds >= end:
                return
            yield seconds, cast("Packet[VideoStream]", packet)


def _decoded_format(packet: "Packet[VideoStream]", codec: str) -> str | None:
    """Return size and pixel format of one frame; None if it is damaged."""
    context = cast(VideoCodecContext, av.CodecContext.create(codec, "r"))
    context.thread_count = 1
    context.flags |= Flags.unaligned
    decode = cast("Callable[[object], list[av.VideoFrame]]", context.decode)
    try:
        frames = [*decode(packet), *decode(None)]
    except av.error.FFmpegError:
        return None
    intact = next((frame for frame in frames if not frame.is_corrupt), None)
    return None if intact is None else f"{intact.width}x{intact.height} {intact.format.name}"
