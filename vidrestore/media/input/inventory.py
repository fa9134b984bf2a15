"""What a film holds beside its pictures, for whoever compares two films."""

import hashlib
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import cast

import av
import av.error
from av.container import InputContainer
from av.stream import AttachmentStream, Discard, Disposition, Stream

from vidrestore.errors import MediaError
from vidrestore.media.ffmpeg_errors import media_errors
from vidrestore.media.input.probe import open_container, stream_info
from vidrestore.media.input.video_info import StreamInfo, VideoInfo
from vidrestore.media.output.containers import ContainerSpec, container_of
from vidrestore.media.side_data import side_data_of
from vidrestore.media.streams.edit_lists import EditListFilter
from vidrestore.media.streams.stream_copy import copied_metadata, is_written_by_muxer

# What decoders add about the bits they read, and what others of these checks look at.
_NO_CONTENT = frozenset(
    {"MOTION_VECTORS", "VIDEO_ENC_PARAMS", "REGIONS_OF_INTEREST", "DETECTION_BBOXES"}
    | {"SEI_UNREGISTERED", "FILM_GRAIN_PARAMS", "VIDEO_HINT", "DISPLAYMATRIX", "PANSCAN"}
)
_ADTS_SYNC = 0xFFF
_START_CODE = re.compile(rb"\x00*\x00\x00\x01")
_UNIT_SIZE_BYTES = 4
_CONTAINER_NAL_UNITS = {"h264": frozenset({7, 8, 9}), "hevc": frozenset({32, 33, 34, 35})}
"""Parameter sets and access unit delimiters: types of ITU-T H.264, table 7-1, H.265, table 7-1."""
_PACKETS_OF_BEGINNING = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamContents:
    """One stream of a film."""

    info: StreamInfo
    time_base: Fraction | None
    metadata: Mapping[str, str]
    """Tags that describe the film, not the file."""
    dispositions: frozenset[str]
    data_sha256: str | None = None
    """Of an attachment."""
    is_restored: bool = False
    """Whether it holds the pictures."""
    is_written_by_muxer: bool = False
    """Whether a muxer writes it from something else: the track of the timecode, of chapters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChapterContents:
    """One chapter, on the clock of the film."""

    start_seconds: Fraction
    end_seconds: Fraction
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInventory:
    """Everything beside the samples and packets of a film."""

    streams: tuple[StreamContents, ...] = ()
    chapters: tuple[ChapterContents, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    """Tags that describe the film, not the file."""
    side_data: Mapping[str, tuple[float, ...] | str] = field(
        default_factory=dict[str, "tuple[float, ...] | str"]
    )
    """Of the first picture, by FFmpeg's name: numbers where they are known, else a checksum."""
    earliest_seconds: Fraction = Fraction(0)
    """Where the first packets begin, 0 or before: sound may, by the delay of its encoder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketContents:
    """One packet of a stream."""

    stream_index: int
    pts_seconds: Fraction | None
    dts_seconds: Fraction | None
    duration_seconds: Fraction
    data: bytes
    """Without the header that MPEG streams repeat before every packet of AAC."""


def film_contents(info: VideoInfo) -> FileInventory:
    """Return what a film holds beside its pictures; nothing of a folder or a picture.

    Raises:
        MediaError: It cannot be read.
    """
    if info.kind != "film":
        return FileInventory()
    with open_container(info.path) as container, media_errors(info.path):
        streams = tuple(
            _stream(stream, each, container, video_stream_index=info.video_stream_index)
            for stream, each in zip(container.streams, info.streams, strict=True)
            if stream.index not in info.other_program_streams
        )
        chapters = tuple(
            ChapterContents(
                start_seconds=each["start"] * (each["time_base"] or Fraction(1, 1_000_000)),
                end_seconds=each["end"] * (each["time_base"] or Fraction(1, 1_000_000)),
                metadata=dict(each["metadata"]),
            )
            for each in container.chapters()
        )
        return FileInventory(
            streams=streams,
            chapters=chapters,
            metadata=copied_metadata(dict(container.metadata)),
            earliest_seconds=_earliest_seconds(container),
            side_data=_first_side_data(info),
        )


def sound_contents(path: Path) -> tuple[tuple[StreamInfo, ...], FileInventory]:
    """Return the streams of a sound file, and what it holds.

    Raises:
        MediaError: It cannot be read.
    """
    with open_container(path) as container, media_errors(path):
        described = tuple(stream_info(stream, None) for stream in container.streams)
        streams = tuple(
            _stream(stream, each, container, video_stream_index=None)
            for stream, each in zip(container.streams, described, strict=True)
        )
    return described, FileInventory(streams=streams)


def packets_of(
    info: VideoInfo, stream_indexes: Sequence[int], *, copied_to: ContainerSpec | None = None
) -> Iterator[PacketContents]:
    """Yield the packets of some streams as the file has them, one at a time.

    Args:
        info: Of the film.
        stream_indexes: Which streams.
        copied_to: Leave out what an edit list hides and a copy in this container cannot hide.

    Raises:
        MediaError: Reading fails.
    """
    if not stream_indexes:
        return
    with open_container(info.path) as container, media_errors(info.path):
        for stream in container.streams:
            if stream.index not in stream_indexes:
                stream.discard = Discard.all
        streams = [container.streams[at] for at in stream_indexes]
        spec = copied_to
        edits = {each.index: EditListFilter(each, spec) for each in streams if spec is not None}
        for packet in container.demux(*streams):
            is_subtitle = info.streams[packet.stream_index].kind == "subtitle"
            if not packet.size and (packet.pts is None or not is_subtitle):
                continue
            if spec is not None and edits[packet.stream_index].leaves_out(packet):
                continue
            base = packet.time_base
            yield PacketContents(
                stream_index=packet.stream_index,
                pts_seconds=None if packet.pts is None else packet.pts * base,
                dts_seconds=None if packet.dts is None else packet.dts * base,
                duration_seconds=(packet.duration or 0) * base,
                data=_payload(bytes(packet), info.streams[packet.stream_index].codec),
            )


def stores_rotation(info: VideoInfo) -> bool:
    """Whether the container of a film can say that its pictures are turned."""
    try:
        return container_of(info.path).stores_rotation
    except MediaError:
        return True


def _payload(data: bytes, codec: str | None) -> bytes:
    """Return what a packet holds in every container.

    That is AAC without its ADTS header (ISO/IEC 13818-7, 6.2), and H.264 and HEVC as NAL units
    without those that containers add and take away.
    """
    if codec in _CONTAINER_NAL_UNITS:
        return _nal_payload(data, codec)
    if codec != "aac" or len(data) < 7 or int.from_bytes(data[:2]) >> 4 != _ADTS_SYNC:
        return data
    length = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
    header = 7 if data[1] & 1 else 9
    return data[header:] if length == len(data) else data


def _nal_payload(data: bytes, codec: str) -> bytes:
    """Return the NAL units of a packet, one after the other, without parameter sets."""
    # A size of 256 to 511 bytes reads like a start code, so sizes are tried first.
    units = _sized_units(data) or _START_CODE.split(data)[1:]
    if not units:
        return data
    kept = (unit.rstrip(b"\0") for unit in units)
    shift, mask = (0, 0x1F) if codec == "h264" else (1, 0x3F)
    added = _CONTAINER_NAL_UNITS[codec]
    return b"".join(unit for unit in kept if unit and unit[0] >> shift & mask not in added)


def _sized_units(data: bytes) -> list[bytes]:
    """Return the units of a packet of MP4 or Matroska; none where it is not such a packet."""
    units: list[bytes] = []
    at = 0
    while at + _UNIT_SIZE_BYTES <= len(data):
        size = int.from_bytes(data[at : at + _UNIT_SIZE_BYTES])
        units.append(data[at + _UNIT_SIZE_BYTES : at + _UNIT_SIZE_BYTES + size])
        at += _UNIT_SIZE_BYTES + size
    return units if at == len(data) else []


def _stream(
    stream: Stream,
    described: StreamInfo,
    container: InputContainer,
    *,
    video_stream_index: int | None,
) -> StreamContents:
    is_attachment = isinstance(stream, AttachmentStream)
    data = bytes(stream.data or b"") if isinstance(stream, AttachmentStream) else b""
    return StreamContents(
        info=described,
        time_base=stream.time_base,
        metadata=copied_metadata(dict(stream.metadata)),
        dispositions=frozenset(each.name or "" for each in Disposition(stream.disposition)),
        data_sha256=hashlib.sha256(data).hexdigest() if is_attachment else None,
        is_restored=stream.index == video_stream_index,
        is_written_by_muxer=is_written_by_muxer(stream, container),
    )


def _earliest_seconds(container: InputContainer) -> Fraction:
    earliest = Fraction(0)
    for packet in islice(container.demux(), _PACKETS_OF_BEGINNING):
        if packet.pts is not None and packet.size:
            earliest = min(earliest, packet.pts * packet.time_base)
    return earliest


def _first_side_data(info: VideoInfo) -> dict[str, tuple[float, ...] | str]:
    # Raw streams and FLV cannot go back to their start.
    with open_container(info.path) as container:
        frame = next(_decoded(container, info.video_stream_index), None)
    if frame is None:
        return {}
    found: dict[str, tuple[float, ...] | str] = {}
    for name, data in side_data_of(frame).items():
        if name not in _NO_CONTENT:
            found[name] = _numbers(name, data) or hashlib.sha256(data).hexdigest()
    return found


def _decoded(container: InputContainer, stream_index: int) -> Iterator[av.VideoFrame]:
    for packet in container.demux(container.streams[stream_index]):
        try:
            yield from cast("list[av.VideoFrame]", packet.decode())
        except av.error.InvalidDataError:
            continue


def _numbers(name: str, data: bytes) -> tuple[float, ...]:
    """Return what FFmpeg's structures say, which other bytes may say as well."""
    if name == "CONTENT_LIGHT_LEVEL" and len(data) >= 8:
        return struct.unpack_from("=2I", data)
    if name == "MASTERING_DISPLAY_METADATA" and len(data) >= 88:
        raw = struct.unpack_from("=22i", data)
        ratios = tuple(above / below if below else 0.0 for above, below in _pairs(raw[:20]))
        return (*ratios, *raw[20:])
    return ()


def _pairs(values: Sequence[int]) -> Iterator[tuple[int, int]]:
    return zip(values[::2], values[1::2], strict=True)
