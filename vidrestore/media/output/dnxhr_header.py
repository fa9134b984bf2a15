"""The matrix that the header of DNxHR frames states, which FFmpeg's encoder leaves at BT.709."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from av.packet import Packet
from av.video.stream import VideoStream

from vidrestore.media.color.code_points import MATRIX_BT709, MATRIX_BT2020

_COLOR_VOLUME_BYTE = 0x2C
_COLOR_VOLUME_SHIFT = 1
_COLOR_VOLUMES: Mapping[int, int] = MappingProxyType({MATRIX_BT709: 0, MATRIX_BT2020: 1, 10: 2})
"""Matrix (ITU-T H.273) -> color volume (SMPTE ST 2019-1), as FFmpeg's decoder reads it."""
_STATED_ELSEWHERE = 3


def with_matrix(
    packets: "Iterable[Packet[VideoStream]]", matrix: int
) -> "Iterator[Packet[VideoStream]]":
    """Yield packets of DNxHR whose headers state a matrix, or none where they have no code for it.

    Args:
        packets: As FFmpeg encoded them.
        matrix: By ITU-T H.273.
    """
    volume = _COLOR_VOLUMES.get(matrix, _STATED_ELSEWHERE)
    for packet in packets:
        data = bytearray(bytes(packet))
        data[_COLOR_VOLUME_BYTE] &= ~(3 << _COLOR_VOLUME_SHIFT)
        data[_COLOR_VOLUME_BYTE] |= volume << _COLOR_VOLUME_SHIFT
        packet.update(bytes(data))
        yield packet
