"""Films whose signal is not SDR's as networks know it: how they are shown to them, and back.

Detectors and restorers learned from pictures in BT.709. HDR, wide primaries and linear light are
shown to them as such a picture: light by the film's own curve, primaries by a matrix, highlights
bent into the range by a smooth curve, and a display's gamma.

What a network changes in that view goes back as light, times how much brighter the film is there
than its view. Up to ``_KNEE`` of diffuse white, where faces are, that is the exact inverse. Above,
where the view holds less contrast than the film, a highlight keeps its own brightness and is
changed in proportion: nothing is clipped, and no small change of the view becomes a large one of
the film.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from vidrestore.media.transfer import (
    DIFFUSE_WHITE_NITS,
    HLG_PEAK_NITS,
    SDR_GAMMA,
    WIDE_PRIMARIES,
    Transfer,
    from_bt709,
    is_display_gamma,
    signed_power,
    to_bt709,
    transfer_of,
)
from vidrestore.types import ColorTags, FloatArray

_KNEE = 0.75
"""Light up to which the view shows what the film has; 1 is diffuse white."""
_WHITE_OF_VIEW = HLG_PEAK_NITS / DIFFUSE_WHITE_NITS
"""Light that becomes the white of the view. What is brighter lies above it, and is not lost."""
# Of the shoulder t = k + (1 - k) ln(1 + c u) / c, u = (x - k) / (1 - k): the c that brings
# _WHITE_OF_VIEW to 1. It leaves the knee with a slope of 1, like method C of ITU-R BT.2446-1.
_STEEPNESS = 4.28457


@dataclass(frozen=True, slots=True)
class SdrView:
    """How a film's RGB is shown as an SDR picture; all arrays are ``(h, w, 3)`` float32."""

    transfer: Transfer
    primaries: int
    bends_highlights: bool
    """Whether the film has light above diffuse white."""

    def seen(self, film_rgb: FloatArray) -> FloatArray:
        """Return the view of a film's RGB; not clipped, [0, 1] is the range of SDR."""
        light = self.transfer.to_light(_within_reason(film_rgb))
        own = _multiplied(light, to_bt709(self.primaries))
        return signed_power(self._bent(own), 1 / SDR_GAMMA)

    def change(self, film_rgb: FloatArray, change_of_view: FloatArray) -> FloatArray:
        """Return the change of the film's RGB for a change of its view; 0 where that is 0."""
        signal = _within_reason(film_rgb)
        light = self.transfer.to_light(signal)
        own = _multiplied(light, to_bt709(self.primaries))
        shown = self._bent(own)
        wanted = signed_power(shown, 1 / SDR_GAMMA) + change_of_view
        difference = signed_power(wanted, SDR_GAMMA) - shown
        if self.bends_highlights:
            difference *= np.divide(own, shown, out=np.ones_like(own), where=own > _KNEE)
        light += _multiplied(difference, from_bt709(self.primaries))
        changed = self.transfer.from_light(light) - signal
        # There and back rounds, in the last bits.
        changed[~change_of_view.any(axis=2)] = 0.0
        return np.asarray(changed, dtype=np.float32)

    def _bent(self, light: FloatArray) -> FloatArray:
        if not self.bends_highlights:
            return light
        above = np.maximum(light - np.float32(_KNEE), 0) * np.float32(1 / (1 - _KNEE))
        shoulder = np.log1p(np.float32(_STEEPNESS) * above) * np.float32((1 - _KNEE) / _STEEPNESS)
        return np.asarray(np.minimum(light, np.float32(_KNEE)) + shoulder, dtype=np.float32)


def sdr_view(color: ColorTags) -> SdrView | None:
    """Return how a film is shown to networks; None where its RGB is shown as it is."""
    return _view(color.transfer, color.primaries)


@lru_cache(maxsize=16)
def _view(transfer: int, primaries: int) -> SdrView | None:
    if is_display_gamma(transfer) and primaries not in WIDE_PRIMARIES:
        return None
    return SdrView(
        transfer=transfer_of(transfer),
        primaries=primaries,
        bends_highlights=not is_display_gamma(transfer),
    )


def _within_reason(film_rgb: FloatArray) -> FloatArray:
    """Return a signal without the values that damaged chroma gives; curves have poles out there."""
    return np.clip(film_rgb, np.float32(-0.5), np.float32(1.5))


def _multiplied(rgb: FloatArray, matrix: FloatArray) -> FloatArray:
    return np.asarray(cv2.transform(rgb, matrix), dtype=np.float32)
