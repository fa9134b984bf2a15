"""Programs of transport streams: the services of a broadcaster, each with its streams."""

import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from av.container import InputContainer
from av.stream import Stream

from vidrestore.errors import MediaError
from vidrestore.media.ffmpeg_dump import dump_text
from vidrestore.media.input.video_info import Program, VideoInfo
from vidrestore.media.output.containers import ContainerSpec
from vidrestore.storage.file_errors import file_errors

_FORMAT = "mpegts"
_HEADING = re.compile(r"^  (?:Program (\d+) .*|No Program)$")
_STREAM = re.compile(r"^  Stream #0:(\d+)\b")
_TAG = re.compile(r"^      (service_name|service_provider) *: (.*)$")

_SYNC = 0x47
_PACKET_BYTES = 188
_SPACINGS = (188, 192, 204)
"""Bytes from packet to packet: plain, with a timestamp (M2TS), with error correction."""
_HEAD_BYTES = 1 << 21
_PAT, _SDT = 0x0000, 0x0011
_PAT_TABLE, _SDT_TABLE = 0x00, 0x42


def programs_of(container: InputContainer) -> tuple[Program, ...]:
    """Return the programs of an open file; empty unless it is a transport stream."""
    if container.format.name != _FORMAT:
        return ()
    programs: dict[int, tuple[dict[str, str], list[int]]] = {}
    tags: dict[str, str] = {}
    indexes: list[int] = []
    for line in dump_text(container).splitlines():
        if (heading := _HEADING.match(line)) is not None:
            tags, indexes = {}, []
            if heading[1] is not None:
                programs[int(heading[1])] = tags, indexes
        elif (stream := _STREAM.match(line)) is not None:
            indexes.append(int(stream[1]))
        elif (tag := _TAG.match(line)) is not None:
            tags[tag[1]] = tag[2].strip()
    return tuple(
        Program(
            number=number,
            name=tags.get("service_name") or None,
            provider=tags.get("service_provider") or None,
            stream_indexes=tuple(indexes),
        )
        for number, (tags, indexes) in programs.items()
    )


def program_of(programs: tuple[Program, ...], number: int, path: Path) -> Program:
    """Return the program with a number.

    Raises:
        MediaError: There is none.
    """
    for program in programs:
        if program.number == number:
            return program
    known = ", ".join(map(str, programs))
    hint = f"choose from: {known}" if known else "the file has no programs; leave out --program"
    raise MediaError(f"{path}: no program {number}; {hint}")


def program_notes(info: VideoInfo) -> list[str]:
    """Return a note that names the restored program, if there are several."""
    if info.program is None or len(info.programs) < 2:
        return []
    others = ", ".join(str(program) for program in info.programs if program != info.program)
    return [f"program {info.program} was restored; --program chooses another: {others}"]


def dropped_program_notes(info: VideoInfo, spec: ContainerSpec) -> Iterator[str]:
    """Yield notes about programs, and facts of the restored one, that the output drops."""
    program = info.program
    if program is None:
        return
    for other in info.programs:
        if other != program:
            streams = [str(info.streams[index]) for index in other.stream_indexes]
            yield f"program {other} was dropped: {', '.join(streams) or 'no streams'}"
    if spec.format != _FORMAT:
        parts = [f"number {program.number}"]
        parts += [] if program.name is None else [f"name {program.name}"]
        parts += [] if program.provider is None else [f"provider {program.provider}"]
        yield f"the program's {', '.join(parts)} and the ids of its streams were dropped"


def program_tags(info: VideoInfo, spec: ContainerSpec) -> dict[str, str]:
    """Return file tags that FFmpeg's muxer writes as the program's description."""
    program = info.program
    if program is None or spec.format != _FORMAT:
        return {}
    tags = {"service_name": program.name, "service_provider": program.provider}
    return {key: value for key, value in tags.items() if value is not None}


def program_options(info: VideoInfo, spec: ContainerSpec) -> dict[str, str]:
    """Return the muxer's options for the numbers of the program and of the transport stream.

    Raises:
        MediaError: The source cannot be read.
    """
    if info.program is None or spec.format != _FORMAT:
        return {}
    options = {"mpegts_service_id": info.program.number}
    with file_errors(info.path), info.path.open("rb") as file:
        tables = _tables(file.read(_HEAD_BYTES))
    if (section := tables.get(_PAT)) is not None:
        options["mpegts_transport_stream_id"] = int.from_bytes(section[3:5])
        length = int.from_bytes(section[1:3]) & 0x0FFF
        for offset in range(8, min(len(section), 3 + length) - 4, 4):
            number, pid = struct.unpack_from(">HH", section, offset)
            if number == info.program.number:
                options["mpegts_pmt_start_pid"] = pid & 0x1FFF
    if (section := tables.get(_SDT)) is not None:
        options["mpegts_original_network_id"] = int.from_bytes(section[8:10])
    return {name: str(value) for name, value in options.items() if value}


def program_remux_args(
    info: VideoInfo, source: InputContainer, output_index: Mapping[int, int], spec: ContainerSpec
) -> list[str]:
    """Return arguments of the ffmpeg program that keep the program's tags and stream ids.

    Args:
        info: The source.
        source: The same, open.
        output_index: Index of each stream of the source in the output.
        spec: Container of the output.
    """
    if info.program is None or spec.format != _FORMAT:
        return []
    args: list[str] = []
    for key, value in program_tags(info, spec).items():
        args += ["-metadata", f"{key}={value}"]
    for old, new in output_index.items():
        args += ["-streamid", f"{new}:{source.streams[old].id}"]
    return args


def keep_stream_id(copy: Stream, original: Stream, spec: ContainerSpec) -> None:
    """Copy the packet id of a stream from one transport stream to another."""
    if spec.format == original.container.format.name == _FORMAT:
        copy.id = original.id


def _tables(data: bytes) -> Mapping[int, bytes]:
    """Return the first section of the tables of programs and of services, by packet id.

    ISO/IEC 13818-1, 2.4.3 (packets) and 2.4.4.3 (table of programs); ETSI EN 300 468, 5.2.3.
    """
    sections: dict[int, bytes] = {}
    table_ids = {_PAT: _PAT_TABLE, _SDT: _SDT_TABLE}
    for packet in _packets(data):
        pid = int.from_bytes(packet[1:3]) & 0x1FFF
        starts_section = packet[1] & 0x40
        if pid not in table_ids or pid in sections or not starts_section:
            continue
        start = 5 + packet[4] if packet[3] & 0x20 else 4
        section = packet[start + 1 + packet[start] :] if start < len(packet) else b""
        if len(section) > 10 and section[0] == table_ids[pid]:
            sections[pid] = section
    return sections


def _packets(data: bytes) -> Iterator[bytes]:
    for spacing in _SPACINGS:
        for start in range(spacing):
            syncs = data[start : start + 5 * spacing : spacing]
            if syncs == bytes([_SYNC]) * 5:
                for offset in range(start, len(data) - _PACKET_BYTES + 1, spacing):
                    if data[offset] == _SYNC:
                        yield data[offset : offset + _PACKET_BYTES]
                return
