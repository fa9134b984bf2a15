"""Checksums of FFV1's slices, RFC 9043, section 4.9: FFmpeg conceals damage silently."""

import zlib
from collections.abc import Iterator

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
# A slice ends in its size (3 bytes), its error status (1) and the parity of its CRC-32 (4).
_FOOTER_BYTES = 8
_ALL_ONES = 0xFFFF_FFFF


class SliceChecker:
    """Looks over the packets of a stream, one after the other."""

    def __init__(self) -> None:
        self._has_checksums = False

    def damaged_slices(self, packet: bytes) -> int:
        """Return how many slices of a packet are damaged; 0 if the stream has no checksums.

        Where the sizes of slices are damaged they cannot be told apart, and count as one. Whether
        there are checksums shows in the first packet that has an intact slice.
        """
        slices = list(_slices(packet))
        whole = bool(slices) and sum(map(len, slices)) == len(packet)
        intact = sum(map(_is_intact, slices))
        if whole and intact:
            self._has_checksums = True
        if not self._has_checksums:
            return 0
        return len(slices) - intact if whole else 1


def _slices(packet: bytes) -> Iterator[bytes]:
    """Yield slices from the last to the first, as far as their sizes make sense."""
    end = len(packet)
    while end >= _FOOTER_BYTES:
        size = int.from_bytes(packet[end - _FOOTER_BYTES : end - _FOOTER_BYTES + 3], "big")
        start = end - _FOOTER_BYTES - size
        if start < 0:
            return
        yield packet[start:end]
        end = start


def _is_intact(slice_bytes: bytes) -> bool:
    # FFV1's CRC-32 begins at 0 and takes the highest bit first; zlib's does neither.
    return zlib.crc32(slice_bytes.translate(_REVERSED), _ALL_ONES) == _ALL_ONES
