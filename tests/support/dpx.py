"""DPX files with every header field filled, user data and padding, packed sample by sample."""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

USER_DATA = b"ARCHIVE-7".ljust(32, b"\0") + bytes(range(256))
_IMAGE_AT = 2048 + len(USER_DATA) + 96
_CHANNELS = {6: 1, 50: 3, 51: 4, 52: 4, 102: 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class DpxKind:
    """One way to store samples."""

    descriptor: int = 50
    bits: int = 10
    packing: int = 1
    big_endian: bool = True
    transfer: int = 4
    orientation: int = 0
    timecode: int = 0x01020312


def make_dpx(kind: DpxKind, hw: tuple[int, int], *, seed: int = 0) -> bytes:
    """Return a DPX file of noise; bits that are no samples are noise, too."""
    rng = np.random.default_rng(seed)
    per_line = hw[1] * _CHANNELS[kind.descriptor]
    payload = rng.integers(0, 256, line_bytes(kind, per_line) * hw[0], dtype=np.uint8)
    return _headers(kind, hw, payload.size) + payload.tobytes()


def dpx_of(kind: DpxKind, rgb: NDArray[np.uint16]) -> bytes:
    """Return a DPX file of 10 bits RGB, method A, from ``(h, w, 3)`` samples."""
    assert (kind.descriptor, kind.bits, kind.packing) == (50, 10, 1)
    wide = rgb.astype(np.uint32)
    arguments = wide[..., 0] << 22 | wide[..., 1] << 12 | wide[..., 2] << 2
    payload = arguments.astype(">u4" if kind.big_endian else "<u4").tobytes()
    return _headers(kind, rgb.shape[:2], len(payload)) + payload


def line_bytes(kind: DpxKind, samples: int) -> int:
    """Return the bytes of a line, which ends on a word of 32 bits."""
    if kind.bits == 10 and kind.packing:
        return -(-samples // 3) * 4
    bits = 16 if kind.packing else kind.bits
    return -(-samples * bits // 32) * 4


def _headers(kind: DpxKind, hw: tuple[int, int], payload_bytes: int) -> bytes:
    order = ">" if kind.big_endian else "<"
    # Noise where nothing is said: all of it must survive.
    head = bytearray(np.random.default_rng(9).integers(0, 256, _IMAGE_AT, dtype=np.uint8).tobytes())

    def put(offset: int, code: str, *values: object) -> None:
        struct.pack_into(order + code, head, offset, *values)

    head[0:4] = b"SDPX" if kind.big_endian else b"XPDS"
    put(4, "I", _IMAGE_AT)
    head[8:16] = b"V2.0\0\0\0\0"
    put(16, "I", _IMAGE_AT + payload_bytes)
    put(24, "III", 1664, 384, len(USER_DATA))
    put(36, "100s", b"reel7.000001.dpx")
    put(160, "100s", b"Scanner 3")
    put(260, "200s", b"The Lost Film")
    put(460, "200s", b"(c) An Archive")
    put(768, "HHII", kind.orientation, 1, hw[1], hw[0])
    put(780, "IIfIf", 0, 0, 0.0, (1 << kind.bits) - 1, 2.046)
    head[800:804] = bytes((kind.descriptor, kind.transfer, 5, kind.bits))
    put(804, "HHIII", kind.packing if kind.bits in (10, 12) else 0, 0, _IMAGE_AT, 0, 0)
    put(1432, "100s", b"neg_a.dpx")
    put(1556, "32s32s", b"REEL_A007", b"serial 12")
    put(1628, "II", 1, 1)
    put(1664, "2s2s2s6s4s", b"01", b"23", b"00", b"456789", b"0012")
    put(1724, "ff", 18.0, 180.0)
    put(1732, "32s100s", b"frame 12", b"slate 3")
    put(1920, "II", kind.timecode, 0x12345678)
    put(1940, "f", 18.0)
    head[2048 : 2048 + len(USER_DATA)] = USER_DATA
    return bytes(head)
