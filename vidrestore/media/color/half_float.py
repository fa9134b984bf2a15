"""Half floats as integers in the same order, so that 16-bit planes store them exactly.

The bits of a half float, read as an integer, grow with its magnitude (IEEE 754-2019, section 3.4).
With the sign bit flipped, and all bits flipped in negative ones, they grow with its value: ``-inf``
becomes 1023, ``-0.0`` 32767, ``0.0`` 32768, 1.0 48128 and ``inf`` 64512. Other codes are NaNs. Each
half float has a unique code, so the round trip is exact.
"""

import numpy as np
from numpy.typing import NDArray

from vidrestore.types import FloatArray

MAX_CODE = 65_535
_SIGN = np.uint16(0x8000)
MAX_HALF = 65_504.0


def half_codes(values: NDArray[np.float16]) -> NDArray[np.uint16]:
    """Return the code of every half float."""
    bits = np.ascontiguousarray(values).view(np.uint16)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def half_floats(codes: NDArray[np.uint16]) -> NDArray[np.float16]:
    """Return the half float of every code."""
    bits = np.where(codes & _SIGN, codes ^ _SIGN, ~codes)
    return bits.astype(np.uint16).view(np.float16)


def light_of_signal(signal: FloatArray) -> FloatArray:
    """Return the linear light of a signal, where 1 is the highest code. Always finite."""
    codes = np.clip(np.rint(signal * np.float32(MAX_CODE)), 0, MAX_CODE).astype(np.uint16)
    light = half_floats(codes).astype(np.float32)
    return np.nan_to_num(light, nan=0.0, posinf=MAX_HALF, neginf=-MAX_HALF)


def signal_of_light(light: FloatArray) -> FloatArray:
    """Return the signal of linear light, rounded to half floats."""
    halves = np.clip(light, -MAX_HALF, MAX_HALF).astype(np.float16)
    return half_codes(halves).astype(np.float32) * np.float32(1 / MAX_CODE)
