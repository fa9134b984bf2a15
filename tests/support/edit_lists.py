"""Edit lists written into films that FFmpeg made, ISO/IEC 14496-12, 8.6.6."""

import struct
from collections.abc import Sequence
from pathlib import Path

_PARENTS = (b"moov", b"trak", b"edts")


def set_edits(path: Path, track: int, edits: Sequence[tuple[int, int]]) -> None:
    """Replace the edit list of a track; the film's index must be at its end.

    Args:
        path: A MOV or MP4 with an edit list in every track.
        track: Its number, from 0.
        edits: Duration in ticks of the movie, and where in the track's media; -1 shows nothing.
    """
    data = path.read_bytes()
    start = data.rindex(b"moov") - 4
    path.write_bytes(data[:start] + _rewritten(data[start:], track, edits, [-1]))


def movie_ticks_per_second(path: Path) -> int:
    """Return what the durations of edits count in."""
    data = path.read_bytes()
    return int(struct.unpack_from(">I", data, data.rindex(b"mvhd") + 16)[0])


def _rewritten(
    data: bytes, track: int, edits: Sequence[tuple[int, int]], track_count: list[int]
) -> bytes:
    boxes: list[bytes] = []
    offset = 0
    while offset < len(data):
        size, kind = struct.unpack_from(">I4s", data, offset)
        body = data[offset + 8 : offset + size]
        track_count[0] += kind == b"trak"
        if kind in _PARENTS:
            body = _rewritten(body, track, edits, track_count)
        elif kind == b"elst" and track_count[0] == track:
            entries = [struct.pack(">IiI", length, media, 1 << 16) for length, media in edits]
            body = struct.pack(">II", 0, len(edits)) + b"".join(entries)
        boxes.append(struct.pack(">I4s", 8 + len(body), kind) + body)
        offset += size
    return b"".join(boxes)
