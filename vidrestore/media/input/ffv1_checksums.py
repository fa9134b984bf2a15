"""Checks the CRCs of FFV1 slices (RFC 9043, section 4.9): FFmpeg conceals damage silently."""

import zlib
from collections.abc import Iterator

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
# A slice ends in its size (3 bytes), its error status (1) and the parity of its CRC-32 (4).
_FOOTER_BYTES = 8
_ALL_ONES = 0xFFFF_FFFF


class SliceChecker:
    """Checks the packets of one stream."""

    def __init__(self) -> None:
        self._has_checksums = False

    def damaged_slices(self, packet: bytes) -> int:
        """Return how many slices of a packet are damaged; 0 if the stream has no checksums.

        If the size of a slice is damaged, the slices cannot be separated and count as one. The
        first packet with an intact slice shows whether the stream has checksums.
        """
        slices = list(_slices(packet))
        is_complete = bool(slices) and sum(map(len, slices)) == len(packet)
        intact = sum(map(_is_intact, slices))
        if is_complete and intact:
            self._has_checksums = True
        if not self._has_checksums:
            return 0
        return len(slices) - intact if is_complete else 1


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
    # FFV1's CRC-32 starts at 0 and takes the highest bit first; zlib's does neither.
    return zlib.crc32(slice_bytes.translate(_REVERSED), _ALL_ONES) == _ALL_ONES
