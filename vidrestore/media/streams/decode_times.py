"""Decoding times of copied video where a container states only when frames are shown.

Matroska is such a container. FFmpeg computes the decoding times, but those of the first packets
only as it reads on.
"""

from collections.abc import Iterable, Iterator

from av.packet import Packet
from av.stream import Stream

from vidrestore.media.input.clock import decode_timestamps

_MAX_WAITING = 64


def with_decode_times(packets: "Iterable[Packet[Stream]]") -> "Iterator[Packet[Stream]]":
    """Yield packets, each video stream in order, with decoding times wherever they can be known.

    Packets wait for the first decoding time of their stream, and go before it one by one.
    """
    waiting: dict[int, list[Packet[Stream]]] = {}
    known: set[int] = set()
    for packet in packets:
        index = packet.stream_index
        if packet.stream.type != "video" or index in known or not packet.size:
            yield packet
            continue
        early = waiting.setdefault(index, [])
        if packet.dts is None and len(early) < _MAX_WAITING:
            early.append(packet)
            continue
        known.add(index)
        if packet.dts is None:
            _date_alone(early)
        else:
            _date_before(early, packet.dts)
        yield from [*waiting.pop(index), packet]
    for early in waiting.values():
        _date_alone(early)
        yield from early


def _date_before(early: "list[Packet[Stream]]", dts: int) -> None:
    for packet in reversed(early):
        dts -= max(1, packet.duration or 0)
        packet.dts = dts


def _date_alone(early: "list[Packet[Stream]]") -> None:
    pts = [packet.pts for packet in early if packet.pts is not None]
    if len(pts) < len(early):
        return
    for packet, dts in zip(early, decode_timestamps(pts), strict=True):
        packet.dts = dts
