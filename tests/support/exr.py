"""OpenEXR files made by hand: channels, attributes and compressions as the layout has them."""

import struct
import zlib
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

NONE, RLE, ZIPS, ZIP = range(4)
_ROWS = {NONE: 1, RLE: 1, ZIPS: 1, ZIP: 16}
_KINDS = {"uint32": 0, "float16": 1, "float32": 2}
_BT709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.329)
_BT2020 = (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329)


def make_exr(
    channels: Mapping[str, NDArray[np.generic]],
    *,
    compression: int = ZIP,
    first_line: int = 0,
    wide_primaries: bool = False,
    falling: bool = False,
) -> bytes:
    """Return a file of one part in lines.

    Args:
        channels: ``(h, w)`` half, float or uint samples by name.
        compression: Of the chunks.
        first_line: Top of the data window.
        wide_primaries: Whether it states BT.2020's, or else BT.709's.
        falling: Whether the lowest chunk comes first.
    """
    ordered = dict(sorted(channels.items()))
    height, width = next(iter(ordered.values())).shape
    window = struct.pack("<4i", 0, first_line, width - 1, first_line + height - 1)
    listed = b"".join(
        name.encode() + b"\0" + struct.pack("<iBxxxii", _KINDS[samples.dtype.name], 0, 1, 1)
        for name, samples in ordered.items()
    )
    attributes = (
        ("channels", "chlist", listed + b"\0"),
        (
            "chromaticities",
            "chromaticities",
            struct.pack("<8f", *(_BT2020 if wide_primaries else _BT709)),
        ),
        ("comments", "string", b"as scanned"),
        ("compression", "compression", bytes([compression])),
        ("dataWindow", "box2i", window),
        ("displayWindow", "box2i", window),
        ("framesPerSecond", "rational", struct.pack("<iI", 18, 1)),
        ("lineOrder", "lineOrder", bytes([falling])),
        ("owner", "string", b"An Archive"),
        ("pixelAspectRatio", "float", struct.pack("<f", 1.0)),
        ("private to an archive", "blob", bytes(range(256))),
        ("reelName", "string", b"REEL_A007"),
        ("screenWindowCenter", "v2f", bytes(8)),
        ("screenWindowWidth", "float", struct.pack("<f", 1.0)),
        ("timeCode", "timecode", struct.pack("<II", 0x01020312, 0x5)),
    )
    head = struct.pack("<II", 20000630, 2) + b"".join(
        name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(value)) + value
        for name, kind, value in attributes
    )
    return _with_chunks(head + b"\0", ordered, compression, first_line, falling)


def _with_chunks(
    head: bytes,
    channels: Mapping[str, NDArray[np.generic]],
    compression: int,
    first_line: int,
    falling: bool,
) -> bytes:
    height = next(iter(channels.values())).shape[0]
    tops = list(range(0, height, _ROWS[compression]))
    offset = len(head) + 8 * len(tops)
    body, offsets = b"", {}
    for top in reversed(tops) if falling else tops:
        rows = range(top, min(height, top + _ROWS[compression]))
        raw = b"".join(samples[row].tobytes() for row in rows for samples in channels.values())
        packed = _packed(raw, compression)
        packed = packed if len(packed) < len(raw) else raw
        offsets[top] = offset + len(body)
        body += struct.pack("<ii", top + first_line, len(packed)) + packed
    return head + struct.pack(f"<{len(tops)}Q", *(offsets[top] for top in tops)) + body


def _packed(raw: bytes, compression: int) -> bytes:
    if compression == NONE:
        return raw
    apart = raw[::2] + raw[1::2]
    steps = bytes([apart[0]]) + bytes(
        (after - before + 128) % 256 for before, after in pairwise(apart)
    )
    if compression != RLE:
        return zlib.compress(steps)
    packed, offset = b"", 0
    while offset < len(steps):
        run = 1
        while run < 128 and steps[offset : offset + run + 1] == steps[offset : offset + 1] * (
            run + 1
        ):
            run += 1
        # Single bytes as runs of literals of one.
        packed += bytes([run - 1, steps[offset]]) if run > 1 else bytes([255, steps[offset]])
        offset += run
    return packed
