"""Transport streams as broadcasters send them: programs, teletext, subtitles, cues."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_PACKET_BYTES = 188
_CLOCK_HZ = 90_000


@dataclass(frozen=True)
class ExtraStream:
    """A stream that FFmpeg does not make, added to the first program of a film."""

    pid: int
    stream_type: int
    descriptors: bytes
    packets: Sequence[bytes]
    """Of the stream, each a PES packet or a section."""
    is_section: bool = False
    program_descriptors: bytes = b""


def _pes(data: bytes, seconds: float) -> bytes:
    """Return a PES packet of private data; ISO/IEC 13818-1, 2.4.3.6."""
    pts = round(seconds * _CLOCK_HZ)
    clock = bytes(
        [
            0x21 | (pts >> 29 & 0x0E),
            pts >> 22 & 0xFF,
            1 | (pts >> 14 & 0xFE),
            pts >> 7 & 0xFF,
            1 | (pts << 1 & 0xFE),
        ]
    )
    body = bytes([0x84, 0x80, 5]) + clock + data
    return b"\0\0\1\xbd" + len(body).to_bytes(2) + body


TELETEXT = ExtraStream(
    pid=0x300,
    stream_type=0x06,
    descriptors=bytes([0x56, 5, *b"ger", 0x09, 0x00]),
    packets=[
        _pes(b"\x10" + 3 * (b"\x02\x2c" + bytes(range(44))), seconds)
        for seconds in (1.5, 1.7, 1.9, 2.1)
    ],
)
"""ETSI EN 300 472."""
DVB_SUBTITLES = ExtraStream(
    pid=0x301,
    stream_type=0x06,
    descriptors=bytes([0x59, 8, *b"fra", 0x10, 0, 1, 0, 1]),
    packets=[_pes(b"\x20\x00\x0f\x80\x00\x01\x00\x00\xff", seconds) for seconds in (1.5, 2.0)],
)
"""ETSI EN 300 743: two empty display sets."""


def _crc32(data: bytes) -> bytes:
    """ISO/IEC 13818-1, annex A."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc.to_bytes(4)


_SPLICE_NULL = bytes([0xFC, 0x30, 0x11, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xF0, 0, 0, 0, 0])
CUES = ExtraStream(
    pid=0x302,
    stream_type=0x86,
    descriptors=b"",
    program_descriptors=bytes([0x05, 4, *b"CUEI"]),
    packets=2 * [_SPLICE_NULL + _crc32(_SPLICE_NULL)],
    is_section=True,
)
"""ANSI/SCTE 35: splice_null."""


def add_streams(path: Path, extra: Sequence[ExtraStream]) -> Path:
    """Add streams to the first program of a transport stream; return the path."""
    data = path.read_bytes()
    packets = [data[index : index + _PACKET_BYTES] for index in range(0, len(data), _PACKET_BYTES)]
    table = next(packet for packet in packets if _pid(packet) == 0)
    section = table[5 + table[4] :]
    map_pid = next(
        int.from_bytes(section[index + 2 : index + 4]) & 0x1FFF
        for index in range(8, len(section), 4)
        if int.from_bytes(section[index : index + 2])
    )
    changed = [
        _with_entries(packet, extra) if _pid(packet) == map_pid else packet for packet in packets
    ]
    # After the tables, some packets apart.
    step, position = max(1, len(changed) // 6), len(changed) // 6
    for number in range(max(len(added.packets) for added in extra)):
        new = [
            packet
            for added in extra
            if number < len(added.packets)
            for packet in _split(added, added.packets[number], number)
        ]
        changed[position:position] = new
        position += step + len(new)
    path.write_bytes(b"".join(changed))
    return path


def _pid(packet: bytes) -> int:
    return int.from_bytes(packet[1:3]) & 0x1FFF


def _with_entries(packet: bytes, extra: Sequence[ExtraStream]) -> bytes:
    """Return the packet of a table of streams with more entries; 2.4.4.8."""
    start = 5 + packet[4]
    length = int.from_bytes(packet[start + 1 : start + 3]) & 0x0FFF
    section = packet[start : start + 3 + length - 4]
    described = 12 + (int.from_bytes(section[10:12]) & 0x0FFF)
    more = section[12:described] + b"".join(added.program_descriptors for added in extra)
    section = section[:10] + (0xF000 | len(more)).to_bytes(2) + more + section[described:]
    for added in extra:
        section += bytes([added.stream_type]) + (0xE000 | added.pid).to_bytes(2)
        section += (0xF000 | len(added.descriptors)).to_bytes(2) + added.descriptors
    head = section[:1] + (0xB000 | (len(section) - 3 + 4)).to_bytes(2)
    section = head + section[3:]
    return (packet[:start] + section + _crc32(section)).ljust(_PACKET_BYTES, b"\xff")


def _split(stream: ExtraStream, data: bytes, number: int) -> Iterator[bytes]:
    """Yield the one packet of the stream that holds some data, padded by its adaptation field."""
    head = bytes([0x47]) + (0x4000 | stream.pid).to_bytes(2)
    payload = b"\0" + data if stream.is_section else data
    if stream.is_section:
        yield (head + bytes([0x10 | number % 16]) + payload).ljust(_PACKET_BYTES, b"\xff")
        return
    missing = _PACKET_BYTES - 4 - len(payload)
    field = bytes([missing - 1, 0]).ljust(missing, b"\xff")[:missing]
    yield head + bytes([0x30 | number % 16]) + field + payload
