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


def _rewritten(data: bytes, track: int, edits: Sequence[tuple[int, int]], seen: list[int]) -> bytes:
    boxes: list[bytes] = []
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + size]
        seen[0] += kind == b"trak"
        if kind in _PARENTS:
            body = _rewritten(body, track, edits, seen)
        elif kind == b"elst" and seen[0] == track:
            entries = [struct.pack(">IiI", length, media, 1 << 16) for length, media in edits]
            body = struct.pack(">II", 0, len(edits)) + b"".join(entries)
        boxes.append(struct.pack(">I4s", 8 + len(body), kind) + body)
        at += size
    return b"".join(boxes)
