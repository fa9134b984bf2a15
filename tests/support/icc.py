"""ICC profiles of CMYK whose inks give grays, so that their colors follow from a formula."""

import struct
from itertools import product

LIGHTNESS = {"cyan": 60, "magenta": 40, "yellow": 80, "black": 20}
"""CIE L* of each ink alone; of several, the darkest counts."""


def make_cmyk_profile() -> bytes:
    """Return a profile of version 2 with one table from CMYK to L*a*b* (ICC.1:2001, 6.5.7)."""
    table = b""
    for inks in product((0, 1), repeat=4):
        used = [lightness for lightness, ink in zip(LIGHTNESS.values(), inks, strict=True) if ink]
        table += bytes((round(min(used, default=100) * 2.55), 128, 128))
    identity = struct.pack(">9i", *(65536 * (number % 4 == 0) for number in range(9)))
    ramp = bytes(range(256))
    lut = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + identity + ramp * 4 + table + ramp * 3
    text = b"text" + bytes(4) + b"public domain\0"
    description = b"desc" + bytes(4) + struct.pack(">I", 5) + b"inks\0" + bytes(12 + 67)
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    parts = {b"desc": description, b"cprt": text, b"wtpt": white, b"A2B0": lut}
    entries, body = b"", b""
    start = 128 + 4 + 12 * len(parts)
    for name, part in parts.items():
        entries += name + struct.pack(">II", start + len(body), len(part))
        body += part + bytes(-len(part) % 4)
    size = struct.pack(">I", start + len(body))
    head = size + bytes(4) + b"\x02\x40\0\0" + b"prtrCMYKLab " + bytes(12) + b"acsp"
    illuminant = struct.pack(">3i", 63190, 65536, 54061)
    head = head.ljust(68, b"\0") + illuminant
    return head.ljust(128, b"\0") + struct.pack(">I", len(parts)) + entries + body


def srgb_of_lightness(lightness: float) -> float:
    """Return the sRGB value, 0 to 255, of a gray of CIE L*."""
    linear = ((lightness + 16) / 116) ** 3
    return 255 * (1.055 * linear ** (1 / 2.4) - 0.055)
