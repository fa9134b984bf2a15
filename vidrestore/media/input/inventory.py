"""Streams, chapters, tags and packets of a file, for comparing two films."""

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
from vidrestore.media.input.probe import open_container
from vidrestore.media.input.video_info import StreamInfo, VideoInfo
from vidrestore.media.output.containers import ContainerSpec, container_of
from vidrestore.media.side_data import side_data_of
from vidrestore.media.stream_info import stream_info
from vidrestore.media.streams.copy_plan import is_written_by_muxer
from vidrestore.media.streams.edit_lists import EditListFilter
from vidrestore.media.streams.stream_metadata import copied_metadata

# Added by decoders, or compared by other checks.
_IGNORED_SIDE_DATA = frozenset(
    {"MOTION_VECTORS", "VIDEO_ENC_PARAMS", "REGIONS_OF_INTEREST", "DETECTION_BBOXES"}
    | {"SEI_UNREGISTERED", "FILM_GRAIN_PARAMS", "VIDEO_HINT", "DISPLAYMATRIX", "PANSCAN"}
)
_ADTS_SYNC = 0xFFF
_START_CODE = re.compile(rb"\x00*\x00\x00\x01")
_UNIT_SIZE_BYTES = 4
_NAL_TYPES_OF_CONTAINERS = {"h264": frozenset({7, 8, 9}), "hevc": frozenset({32, 33, 34, 35})}
"""Parameter sets and access unit delimiters: types of ITU-T H.264, table 7-1, H.265, table 7-1."""
_PACKETS_AT_START = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamContents:
    """One stream of a film."""

    info: StreamInfo
    time_base: Fraction | None
    metadata: Mapping[str, str]
    """Without tags that describe the file."""
    dispositions: frozenset[str]
    data_sha256: str | None = None
    """SHA-256 of an attachment."""
    is_restored: bool = False
    """Whether it is the restored video stream."""
    is_written_by_muxer: bool = False
    """Whether a muxer writes it from other data, as the tracks of the timecode and of chapters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChapterContents:
    """One chapter, on the timeline of the file."""

    start_seconds: Fraction
    end_seconds: Fraction
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInventory:
    """Everything in a file but samples and packets."""

    streams: tuple[StreamContents, ...] = ()
    chapters: tuple[ChapterContents, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    """Without tags that describe the file."""
    side_data: Mapping[str, tuple[float, ...] | str] = field(
        default_factory=dict[str, "tuple[float, ...] | str"]
    )
    """Side data of the first frame, by FFmpeg's name: numbers, or a checksum of unknown
    structures."""
    earliest_seconds: Fraction = Fraction(0)
    """Start of the first packets, at most 0: audio may start earlier by the encoder's delay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketContents:
    """One packet of a stream."""

    stream_index: int
    pts_seconds: Fraction | None
    dts_seconds: Fraction | None
    duration_seconds: Fraction
    data: bytes
    """Payload, independent of the container: see ``_payload``."""


def read_inventory(info: VideoInfo) -> FileInventory:
    """Return the inventory of a film; empty for an image sequence or an image.

    Raises:
        MediaError: It cannot be read.
    """
    if info.kind != "film":
        return FileInventory()
    with open_container(info.path) as container, media_errors(info.path):
        streams = tuple(
            _stream(stream, described, container, video_stream_index=info.video_stream_index)
            for stream, described in zip(container.streams, info.streams, strict=True)
            if stream.index not in info.other_program_streams
        )
        chapters = tuple(
            ChapterContents(
                start_seconds=chapter["start"] * (chapter["time_base"] or Fraction(1, 1_000_000)),
                end_seconds=chapter["end"] * (chapter["time_base"] or Fraction(1, 1_000_000)),
                metadata=dict(chapter["metadata"]),
            )
            for chapter in container.chapters()
        )
        return FileInventory(
            streams=streams,
            chapters=chapters,
            metadata=copied_metadata(dict(container.metadata)),
            earliest_seconds=_earliest_seconds(container),
            side_data=_first_side_data(info),
        )


def read_audio_inventory(path: Path) -> tuple[tuple[StreamInfo, ...], FileInventory]:
    """Return the streams of an audio file, and its inventory.

    Raises:
        MediaError: It cannot be read.
    """
    with open_container(path) as container, media_errors(path):
        infos = tuple(stream_info(stream, None) for stream in container.streams)
        streams = tuple(
            _stream(stream, info, container, video_stream_index=None)
            for stream, info in zip(container.streams, infos, strict=True)
        )
    return infos, FileInventory(streams=streams)


def read_packets(
    info: VideoInfo, stream_indexes: Sequence[int], *, copied_to: ContainerSpec | None = None
) -> Iterator[PacketContents]:
    """Yield the packets of some streams, in the order of the file.

    Args:
        info: The film.
        stream_indexes: The streams.
        copied_to: Container of a copy. Packets that an edit list hides, and that this container
            cannot hide, are left out.

    Raises:
        MediaError: Reading fails.
    """
    if not stream_indexes:
        return
    with open_container(info.path) as container, media_errors(info.path):
        for stream in container.streams:
            if stream.index not in stream_indexes:
                stream.discard = Discard.all
        streams = [container.streams[index] for index in stream_indexes]
        edits = {
            stream.index: EditListFilter(stream, copied_to)
            for stream in streams
            if copied_to is not None
        }
        for packet in container.demux(*streams):
            is_subtitle = info.streams[packet.stream_index].kind == "subtitle"
            if not packet.size and (packet.pts is None or not is_subtitle):
                continue
            if edits and edits[packet.stream_index].drops(packet):
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
    """Whether the container of a film can store a rotation."""
    try:
        return container_of(info.path).stores_rotation
    except MediaError:
        return True


def _payload(data: bytes, codec: str | None) -> bytes:
    """Return the payload of a packet, the same in every container.

    AAC loses its ADTS header (ISO/IEC 13818-7, 6.2). H.264 and HEVC become NAL units, without the
    types that containers add and remove.
    """
    if codec in _NAL_TYPES_OF_CONTAINERS:
        return _nal_payload(data, codec)
    if codec != "aac" or len(data) < 7 or int.from_bytes(data[:2]) >> 4 != _ADTS_SYNC:
        return data
    length = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
    header = 7 if data[1] & 1 else 9
    return data[header:] if length == len(data) else data


def _nal_payload(data: bytes, codec: str) -> bytes:
    """Return the joined NAL units of a packet, without parameter sets and delimiters."""
    # A size of 256 to 511 bytes reads like a start code, so sizes are tried first.
    units = _sized_units(data) or _START_CODE.split(data)[1:]
    if not units:
        return data
    stripped = (unit.rstrip(b"\0") for unit in units)
    shift, mask = (0, 0x1F) if codec == "h264" else (1, 0x3F)
    ignored = _NAL_TYPES_OF_CONTAINERS[codec]
    return b"".join(unit for unit in stripped if unit and unit[0] >> shift & mask not in ignored)


def _sized_units(data: bytes) -> list[bytes]:
    """Return the NAL units of a packet of MP4 or Matroska; an empty list for any other packet."""
    units: list[bytes] = []
    offset = 0
    while offset + _UNIT_SIZE_BYTES <= len(data):
        size = int.from_bytes(data[offset : offset + _UNIT_SIZE_BYTES])
        units.append(data[offset + _UNIT_SIZE_BYTES : offset + _UNIT_SIZE_BYTES + size])
        offset += _UNIT_SIZE_BYTES + size
    return units if offset == len(data) else []


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
        dispositions=frozenset(flag.name or "" for flag in Disposition(stream.disposition)),
        data_sha256=hashlib.sha256(data).hexdigest() if is_attachment else None,
        is_restored=stream.index == video_stream_index,
        is_written_by_muxer=is_written_by_muxer(stream, container),
    )


def _earliest_seconds(container: InputContainer) -> Fraction:
    earliest = Fraction(0)
    for packet in islice(container.demux(), _PACKETS_AT_START):
        if packet.pts is not None and packet.size:
            earliest = min(earliest, packet.pts * packet.time_base)
    return earliest


def _first_side_data(info: VideoInfo) -> dict[str, tuple[float, ...] | str]:
    # Opened again, because raw streams and FLV cannot seek to their start.
    with open_container(info.path) as container:
        frame = next(_decoded(container, info.video_stream_index), None)
    if frame is None:
        return {}
    side_data: dict[str, tuple[float, ...] | str] = {}
    for name, data in side_data_of(frame).items():
        if name not in _IGNORED_SIDE_DATA:
            side_data[name] = _numbers(name, data) or hashlib.sha256(data).hexdigest()
    return side_data


def _decoded(container: InputContainer, stream_index: int) -> Iterator[av.VideoFrame]:
    for packet in container.demux(container.streams[stream_index]):
        try:
            yield from cast("list[av.VideoFrame]", packet.decode())
        except av.error.InvalidDataError:
            continue


def _numbers(name: str, data: bytes) -> tuple[float, ...]:
    """Return the numbers of a structure of FFmpeg: equal numbers may have other padding bytes."""
    if name == "CONTENT_LIGHT_LEVEL" and len(data) >= 8:
        return struct.unpack_from("=2I", data)
    if name == "MASTERING_DISPLAY_METADATA" and len(data) >= 88:
        raw = struct.unpack_from("=22i", data)
        pairs = zip(raw[:20:2], raw[1:20:2], strict=True)
        return (*(above / below if below else 0.0 for above, below in pairs), *raw[20:])
    return ()
