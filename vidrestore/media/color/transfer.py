"""Transfer functions and primaries: signal to linear light and back, without clipping.

Light is relative to diffuse white, which is 1: 203 cd/m2 in HDR (ITU-R BT.2408-7, section 2.2),
and the white of the signal otherwise. Values below black or outside the primaries are negative.
All functions are odd, so that negative values survive the round trip.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.media.color.code_points import (
    HALF_FLOAT,
    HLG,
    LINEAR,
    PQ,
    PRIMARIES_BT709,
    PRIMARIES_BT2020,
    PRIMARIES_P3,
    PRINTING_DENSITY,
)
from vidrestore.media.color.half_float import light_of_signal, signal_of_light
from vidrestore.types import FloatArray

DIFFUSE_WHITE_NITS = 203.0
HLG_PEAK_NITS = 1000.0
"""Peak of the nominal display of HLG, whose system gamma is 1.2."""
SDR_GAMMA = 2.4
"""ITU-R BT.1886, with a black of zero."""

# SMPTE ST 2084:2014, section 5.2.
PQ_PEAK_NITS = 10_000.0
PQ_M1, PQ_M2 = 2610 / 16384, 2523 / 4096 * 128
PQ_C3 = 2392 / 4096 * 32
PQ_BELOW_1 = 1 - 3424 / 4096
"""1 - c1, which is also c2 - c3. The powers are so close to 1 that single precision would lose
16-bit steps; their distances from 1 are precise."""
PQ_DARKEST = 1e-30

# ITU-R BT.2100-2, table 5.
HLG_A, HLG_B, HLG_C = 0.17883277, 0.28466892, 0.55991073
HLG_SYSTEM_GAMMA = 1.2
HLG_DARKEST = 1e-6
"""Scene luminance below which the gain of the system gamma is constant: its slope is infinite."""

# SMPTE RP 180 / Kodak's Cineon: steps of 0.002 of density on a negative of gamma 0.6.
CINEON_TOP, CINEON_WHITE, CINEON_BLACK = 1023.0, 685.0, 95.0
CINEON_DECADES = 0.002 / 0.6

LUMINANCE_OF_BT2020 = np.array([[0.2627, 0.6780, 0.0593]], dtype=np.float32)
_WHITE_D65 = (0.3127, 0.3290)
# x and y of red, green and blue by code point of ITU-T H.273 (07/2021), table 2; white is D65.
_PRIMARIES: Mapping[int, tuple[tuple[float, float], ...]] = MappingProxyType(
    {
        PRIMARIES_BT709: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
        PRIMARIES_BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
        PRIMARIES_P3: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    }
)
WIDE_PRIMARIES = frozenset(_PRIMARIES) - {PRIMARIES_BT709}
"""Code points of primaries much wider than BT.709's."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer function, both ways; arrays are ``(h, w, 3)`` float32 RGB."""

    to_light: Callable[[FloatArray], FloatArray]
    from_light: Callable[[FloatArray], FloatArray]
    curve: Callable[[FloatArray], FloatArray] | None = None
    """For HLG, the part of ``to_light`` that works sample by sample; None if all of it does."""
    display: Callable[[FloatArray], FloatArray] | None = None
    """For HLG, the rest: scene light to display light."""


def signed_power(values: FloatArray, exponent: float) -> FloatArray:
    """Return powers of magnitudes, with the signs of ``values``."""
    powers = np.power(np.abs(values), np.float32(exponent))
    return np.asarray(np.copysign(powers, values), dtype=np.float32)


def pq_to_nits(signal: FloatArray) -> FloatArray:
    """Return luminance in cd/m2 of a PQ signal: the EOTF of SMPTE ST 2084, equation 4.1."""
    below_1 = np.maximum(np.abs(signal), np.float32(PQ_DARKEST))
    np.log(below_1, out=below_1)
    below_1 *= np.float32(1 / PQ_M2)
    np.expm1(below_1, out=below_1)
    share = np.maximum(below_1 + np.float32(PQ_BELOW_1), 0)
    below_1 *= np.float32(-PQ_C3)
    below_1 += np.float32(PQ_BELOW_1)
    share /= below_1
    np.power(share, np.float32(1 / PQ_M1), out=share)
    share *= np.float32(PQ_PEAK_NITS)
    return np.copysign(share, signal, out=share)


def nits_to_pq(nits: FloatArray) -> FloatArray:
    """Return the PQ signal of a luminance in cd/m2: SMPTE ST 2084, equation 5.2."""
    root = np.abs(nits) * np.float32(1 / PQ_PEAK_NITS)
    np.power(root, np.float32(PQ_M1), out=root)
    signal = (root - 1) * np.float32(PQ_BELOW_1)
    root *= np.float32(PQ_C3)
    root += 1
    signal /= root
    np.log1p(signal, out=signal)
    signal *= np.float32(PQ_M2)
    np.exp(signal, out=signal)
    return np.copysign(signal, nits, out=signal)


def hlg_to_scene(signal: FloatArray) -> FloatArray:
    """Return scene light in [0, 1] of an HLG signal: the inverse OETF of ITU-R BT.2100, table 5."""
    magnitude = np.abs(signal)
    # The sum of both parts, each constant beyond their border, is faster than a choice by sample.
    low = np.minimum(magnitude, np.float32(0.5))
    low *= low
    low *= np.float32(1 / 3)
    high = _hlg_upper(np.maximum(magnitude, np.float32(0.5), out=magnitude))
    high -= _HLG_MEETS
    low += high
    return np.copysign(low, signal, out=low)


def _hlg_upper(signal: FloatArray) -> FloatArray:
    """Return scene light of a signal of 0.5 and more; in place."""
    signal -= np.float32(HLG_C)
    signal *= np.float32(1 / HLG_A)
    np.exp(signal, out=signal)
    signal += np.float32(HLG_B)
    signal *= np.float32(1 / 12)
    return signal


_HLG_MEETS = _hlg_upper(np.full(1, 0.5, dtype=np.float32))


def scene_to_hlg(scene: FloatArray) -> FloatArray:
    """Return the HLG signal of scene light: the OETF of ITU-R BT.2100, table 5."""
    magnitude = np.abs(scene)
    low = np.minimum(magnitude, np.float32(1 / 12))
    low *= 3
    np.sqrt(low, out=low)
    high = np.maximum(magnitude, np.float32(1 / 12), out=magnitude)
    high *= 12
    high -= np.float32(HLG_B)
    np.log(high, out=high)
    high *= np.float32(HLG_A)
    # Both parts meet at 0.5.
    high += np.float32(HLG_C - 0.5)
    low += np.maximum(high, 0, out=high)
    return np.copysign(low, scene, out=low)


def hlg_to_nits(signal: FloatArray) -> FloatArray:
    """Return the light of a display of 1000 cd/m2: BT.2100, table 5, inverse OETF and OOTF."""
    return _scene_to_nits(hlg_to_scene(signal))


def _scene_to_nits(scene: FloatArray) -> FloatArray:
    gain = np.maximum(_luminance_of_bt2020(scene), np.float32(HLG_DARKEST))
    np.power(gain, np.float32(HLG_SYSTEM_GAMMA - 1), out=gain)
    gain *= np.float32(HLG_PEAK_NITS)
    return _scale_pixels(scene, gain)


def nits_to_hlg(nits: FloatArray) -> FloatArray:
    """Return the HLG signal that shows ``nits`` on a display of 1000 cd/m2."""
    luminance = np.maximum(_luminance_of_bt2020(nits), 0) * np.float32(1 / HLG_PEAK_NITS)
    # The light of the scene is luminance ** (1 / gamma); its darkest light bounds the gain.
    darkest = np.float32(HLG_DARKEST**HLG_SYSTEM_GAMMA)
    gain = np.maximum(luminance, darkest, out=luminance)
    np.power(gain, np.float32(1 / HLG_SYSTEM_GAMMA - 1), out=gain)
    gain *= np.float32(1 / HLG_PEAK_NITS)
    return scene_to_hlg(_scale_pixels(nits, gain))


def _density_to_light(signal: FloatArray) -> FloatArray:
    black = 10 ** ((CINEON_BLACK - CINEON_WHITE) * CINEON_DECADES)
    decades = (signal * np.float32(CINEON_TOP) - np.float32(CINEON_WHITE)) * np.float32(
        CINEON_DECADES
    )
    light = (np.power(np.float32(10), decades) - np.float32(black)) / np.float32(1 - black)
    return np.asarray(light, dtype=np.float32)


def _light_to_density(light: FloatArray) -> FloatArray:
    black = 10 ** ((CINEON_BLACK - CINEON_WHITE) * CINEON_DECADES)
    exposure = np.maximum(light * np.float32(1 - black) + np.float32(black), np.float32(1e-4))
    code = np.log10(exposure) / np.float32(CINEON_DECADES) + np.float32(CINEON_WHITE)
    return np.asarray(code * np.float32(1 / CINEON_TOP), dtype=np.float32)


_PER_WHITE = np.float32(1 / DIFFUSE_WHITE_NITS)
_WHITE = np.float32(DIFFUSE_WHITE_NITS)
_GAMMA = Transfer(
    lambda signal: signed_power(signal, SDR_GAMMA),
    lambda light: signed_power(light, 1 / SDR_GAMMA),
)
_NOT_DISPLAY_GAMMA: Mapping[int, Transfer] = MappingProxyType(
    {
        PQ: Transfer(
            lambda signal: pq_to_nits(signal) * _PER_WHITE,
            lambda light: nits_to_pq(light * _WHITE),
        ),
        HLG: Transfer(
            lambda signal: hlg_to_nits(signal) * _PER_WHITE,
            lambda light: nits_to_hlg(light * _WHITE),
            curve=hlg_to_scene,
            display=lambda scene: _scene_to_nits(scene) * _PER_WHITE,
        ),
        LINEAR: Transfer(np.copy, np.copy),
        PRINTING_DENSITY: Transfer(_density_to_light, _light_to_density),
        HALF_FLOAT: Transfer(light_of_signal, signal_of_light),
    }
)


def transfer_of(code: int) -> Transfer:
    """Return the transfer function of a code point of ITU-T H.273; by default BT.1886's gamma.

    All SDR camera curves are made for the same display, that of BT.1886.
    """
    return _NOT_DISPLAY_GAMMA.get(code, _GAMMA)


def is_display_gamma(code: int) -> bool:
    """Whether the signal is SDR, made for a display of BT.1886."""
    return code not in _NOT_DISPLAY_GAMMA


@lru_cache(maxsize=8)
def to_bt709(primaries: int) -> NDArray[np.float32]:
    """Return the ``(3, 3)`` matrix from linear RGB of code point ``primaries`` to BT.709's.

    It is the identity if the primaries are unknown or similar to BT.709's.
    """
    if primaries not in WIDE_PRIMARIES:
        return np.eye(3, dtype=np.float32)
    matrix = np.linalg.inv(_to_xyz(PRIMARIES_BT709)) @ _to_xyz(primaries)
    return matrix.astype(np.float32)


@lru_cache(maxsize=8)
def from_bt709(primaries: int) -> NDArray[np.float32]:
    """Return the inverse of ``to_bt709``."""
    return np.linalg.inv(to_bt709(primaries).astype(np.float64)).astype(np.float32)


def _to_xyz(primaries: int) -> NDArray[np.float64]:
    """Return the matrix from linear RGB to CIE XYZ; SMPTE RP 177:1993, section 3.3."""
    columns = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in _PRIMARIES[primaries]]).T
    x, y = _WHITE_D65
    white = np.array([x / y, 1.0, (1 - x - y) / y])
    return columns * np.linalg.solve(columns, white)


def _luminance_of_bt2020(rgb: FloatArray) -> FloatArray:
    """Return ``(h, w)`` luminance."""
    return np.asarray(cv2.transform(rgb, LUMINANCE_OF_BT2020), dtype=np.float32)


def _scale_pixels(rgb: FloatArray, gain_hw: FloatArray) -> FloatArray:
    """Return every pixel times its gain; several times faster than broadcasting in NumPy."""
    return np.asarray(cv2.multiply(rgb, cv2.merge([gain_hw] * 3)), dtype=np.float32)
