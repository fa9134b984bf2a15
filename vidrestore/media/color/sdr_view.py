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
from numpy.typing import NDArray

from vidrestore.media.color.transfer import (
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
_KNEE_LIGHT = np.float32(_KNEE)
_STRIP_PX = 1 << 13
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
    compresses_highlights: bool
    """Whether the film has light above diffuse white."""

    def seen(self, film_rgb: FloatArray) -> FloatArray:
        """Return the view of a film's RGB; not clipped, [0, 1] is the range of SDR."""
        light = self.transfer.to_light(_within_reason(film_rgb))
        own = _multiplied(light, to_bt709(self.primaries))
        return signed_power(_bent(own) if self.compresses_highlights else own, 1 / SDR_GAMMA)

    def shown(self, film_rgb: FloatArray) -> NDArray[np.uint8]:
        """Return the view in steps of 8 bits; signals far outside [0, 1] are clipped first.

        By tables, in less than half the time of ``seen``, and the same to a twentieth of a step,
        but where colours cancel out to almost black.
        """
        tables = _tables(self.transfer, self.compresses_highlights)
        light = tables.light_of(film_rgb)
        if self.transfer.display is not None:
            light = self.transfer.display(light)
        return tables.steps_of(_multiplied(light, to_bt709(self.primaries)))

    def change(self, film_rgb: FloatArray, change_of_view: FloatArray) -> FloatArray:
        """Return the change of the film's RGB for a change of its view; 0 where that is 0."""
        changed = np.zeros_like(film_rgb)
        # In strips, which stay in the processor's cache from step to step.
        step = max(1, _STRIP_PX // max(1, film_rgb.shape[1]))
        for top in range(0, len(film_rgb), step):
            rows = slice(top, top + step)
            wanted = change_of_view[rows]
            is_changed = (wanted[:, :, 0] != 0) | (wanted[:, :, 1] != 0) | (wanted[:, :, 2] != 0)
            if is_changed.any():
                # There and back rounds, in the last bits.
                found = self._change_of_strip(film_rgb[rows], wanted)
                cv2.copyTo(found, is_changed.view(np.uint8), changed[rows])
        return changed

    def _change_of_strip(self, film_rgb: FloatArray, change_of_view: FloatArray) -> FloatArray:
        signal = _within_reason(film_rgb)
        light = self.transfer.to_light(signal)
        own = _multiplied(light, to_bt709(self.primaries))
        shown = _bent(own) if self.compresses_highlights else own
        wanted = signed_power(shown, 1 / SDR_GAMMA)
        wanted += change_of_view
        difference = signed_power(wanted, SDR_GAMMA)
        difference -= shown
        if self.compresses_highlights:
            # Below the knee both are the same.
            difference *= np.maximum(own, _KNEE_LIGHT) / np.maximum(shown, _KNEE_LIGHT)
        light += _multiplied(difference, from_bt709(self.primaries))
        return self.transfer.from_light(light) - signal


def _bent(light: FloatArray) -> FloatArray:
    """Return light with the shoulder of the view above its knee."""
    above = np.maximum(light, _KNEE_LIGHT)
    above -= _KNEE_LIGHT
    above *= np.float32(_STEEPNESS / (1 - _KNEE))
    np.log1p(above, out=above)
    above *= np.float32((1 - _KNEE) / _STEEPNESS)
    above += np.minimum(light, _KNEE_LIGHT)
    return above


@dataclass(frozen=True, slots=True, eq=False)
class _Tables:
    """The curves of a view, sampled."""

    light: FloatArray
    """Light by signal, evenly from ``_LOWEST`` to ``_HIGHEST``."""
    steps: NDArray[np.uint8]
    """Steps of the view by the root of light, evenly from 0 to ``brightest``: near black, where
    light itself would have to be finest, all is near even."""
    brightest: float

    def light_of(self, signal: FloatArray) -> FloatArray:
        at = signal * np.float32(_ENTRIES / (_HIGHEST - _LOWEST))
        at += np.float32(0.5 - _LOWEST * _ENTRIES / (_HIGHEST - _LOWEST))
        return self.light.take(at.astype(np.intp), mode="clip")

    def steps_of(self, light: FloatArray) -> NDArray[np.uint8]:
        at = np.maximum(light, 0)
        np.sqrt(at, out=at)
        at *= np.float32(_ENTRIES / self.brightest**0.5)
        at += np.float32(0.5)
        return self.steps.take(at.astype(np.intp), mode="clip")


_LOWEST, _HIGHEST = -0.25, 1.25
_ENTRIES = 1 << 17


@lru_cache(maxsize=8)
def _tables(transfer: Transfer, compresses_highlights: bool) -> _Tables:
    curve = transfer.curve or transfer.to_light
    signal = np.linspace(_LOWEST, _HIGHEST, _ENTRIES + 1, dtype=np.float32)
    brightest = _WHITE_OF_VIEW if compresses_highlights else 1.0
    root = np.linspace(0.0, brightest**0.5, _ENTRIES + 1, dtype=np.float32)[None, :, None]
    light = root * root
    view = signed_power(_bent(light) if compresses_highlights else light, 1 / SDR_GAMMA)
    return _Tables(
        light=curve(signal[None, :, None]).ravel(),
        steps=np.clip(view * 255.0 + 0.5, 0, 255).astype(np.uint8).ravel(),
        brightest=brightest,
    )


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
        compresses_highlights=not is_display_gamma(transfer),
    )


def _within_reason(film_rgb: FloatArray) -> FloatArray:
    """Return a signal without the values that damaged chroma gives; curves have poles out there."""
    return np.clip(film_rgb, np.float32(-0.5), np.float32(1.5))


def _multiplied(rgb: FloatArray, matrix: FloatArray) -> FloatArray:
    return np.asarray(cv2.transform(rgb, matrix), dtype=np.float32)
