"""Decoding times of copied video from containers that store only presentation times.

Matroska is one. FFmpeg computes decoding times, but not those of the first packets.
"""

from collections.abc import Iterable, Iterator

from av.packet import Packet
from av.stream import Stream

from vidrestore.media.input.clock import decode_timestamps

_MAX_WAITING = 64


def with_decode_times(packets: "Iterable[Packet[Stream]]") -> "Iterator[Packet[Stream]]":
    """Yield packets, with decoding times where they can be computed.

    The first packets of a video stream are held until its first decoding time, and count down from
    it.
    """
    waiting: dict[int, list[Packet[Stream]]] = {}
    timed_streams: set[int] = set()
    for packet in packets:
        index = packet.stream_index
        if packet.stream.type != "video" or index in timed_streams or not packet.size:
            yield packet
            continue
        undated = waiting.setdefault(index, [])
        if packet.dts is None and len(undated) < _MAX_WAITING:
            undated.append(packet)
            continue
        timed_streams.add(index)
        if packet.dts is None:
            _reconstruct(undated)
        else:
            _count_down(undated, packet.dts)
        yield from [*waiting.pop(index), packet]
    for undated in waiting.values():
        _reconstruct(undated)
        yield from undated


def _count_down(undated: "list[Packet[Stream]]", dts: int) -> None:
    for packet in reversed(undated):
        dts -= max(1, packet.duration or 0)
        packet.dts = dts


def _reconstruct(undated: "list[Packet[Stream]]") -> None:
    pts = [packet.pts for packet in undated if packet.pts is not None]
    if len(pts) < len(undated):
        return
    for packet, dts in zip(undated, decode_timestamps(pts), strict=True):
        packet.dts = dts
