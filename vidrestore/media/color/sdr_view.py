"""Renders HDR, wide gamut and linear video as SDR for the networks, and maps changes back.

Detectors and restorers were trained on BT.709 images, so they get such a view: linear light by the
video's transfer function, BT.709 primaries by a matrix, highlights compressed by a smooth curve,
and the gamma of a display.

A change of the view is mapped back as light, times the brightness of the video relative to its
view. Up to ``KNEE`` of diffuse white, where faces are, that is the exact inverse. Above, where the
view has less contrast than the video, a highlight keeps its brightness and changes in proportion:
nothing is clipped, and a small change of the view stays a small change of the video.
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

KNEE = 0.75
"""Light up to which the view equals the video; 1 is diffuse white."""
_KNEE_LIGHT = np.float32(KNEE)
_STRIP_PX = 1 << 13
_WHITE_OF_VIEW = HLG_PEAK_NITS / DIFFUSE_WHITE_NITS
"""Light that becomes the white of the view. Brighter light exceeds 1 and is not lost."""
# Of the shoulder t = k + (1 - k) ln(1 + c u) / c, u = (x - k) / (1 - k): the c that brings
# _WHITE_OF_VIEW to 1. It leaves the knee with a slope of 1, like method C of ITU-R BT.2446-1.
STEEPNESS = 4.28457


@dataclass(frozen=True, slots=True)
class SdrView:
    """How RGB of a video becomes SDR; all arrays are ``(h, w, 3)`` float32."""

    transfer: Transfer
    primaries: int
    compresses_highlights: bool
    """Whether the video has light above diffuse white."""

    def to_view(self, video_rgb: FloatArray) -> FloatArray:
        """Return the view of the video's RGB, not clipped; [0, 1] is the range of SDR."""
        light = self.transfer.to_light(_clip_outliers(video_rgb))
        light = _apply_matrix(light, to_bt709(self.primaries))
        return signed_power(
            _compress(light) if self.compresses_highlights else light, 1 / SDR_GAMMA
        )

    def to_view_8bit(self, video_rgb: FloatArray) -> NDArray[np.uint8]:
        """Return the view as uint8; signals far outside [0, 1] are clipped first.

        It uses tables, and takes less than half the time of ``to_view``. It is exact to a twentieth
        of a step, except where colors cancel out to almost black.
        """
        tables = _tables(self.transfer, self.compresses_highlights)
        light = tables.light_of(video_rgb)
        if self.transfer.display is not None:
            light = self.transfer.display(light)
        return tables.steps_of(_apply_matrix(light, to_bt709(self.primaries)))

    def change(self, video_rgb: FloatArray, change_of_view: FloatArray) -> FloatArray:
        """Return the change of the video's RGB for a change of its view; 0 stays 0."""
        changed = np.zeros_like(video_rgb)
        # In strips, which stay in the processor's cache.
        step = max(1, _STRIP_PX // max(1, video_rgb.shape[1]))
        for top in range(0, len(video_rgb), step):
            rows = slice(top, top + step)
            part = change_of_view[rows]
            is_changed = (part[:, :, 0] != 0) | (part[:, :, 1] != 0) | (part[:, :, 2] != 0)
            if is_changed.any():
                # The round trip changes last bits, so only changed pixels are copied.
                change = self._change_of_strip(video_rgb[rows], part)
                cv2.copyTo(change, is_changed.view(np.uint8), changed[rows])
        return changed

    def _change_of_strip(self, video_rgb: FloatArray, change_of_view: FloatArray) -> FloatArray:
        signal = _clip_outliers(video_rgb)
        light = self.transfer.to_light(signal)
        light_bt709 = _apply_matrix(light, to_bt709(self.primaries))
        view_light = _compress(light_bt709) if self.compresses_highlights else light_bt709
        target = signed_power(view_light, 1 / SDR_GAMMA)
        target += change_of_view
        difference = signed_power(target, SDR_GAMMA)
        difference -= view_light
        if self.compresses_highlights:
            # Below the knee, both are equal.
            difference *= np.maximum(light_bt709, _KNEE_LIGHT) / np.maximum(view_light, _KNEE_LIGHT)
        light += _apply_matrix(difference, from_bt709(self.primaries))
        return self.transfer.from_light(light) - signal


def _compress(light: FloatArray) -> FloatArray:
    """Return light, compressed above the knee of the view."""
    above = np.maximum(light, _KNEE_LIGHT)
    above -= _KNEE_LIGHT
    above *= np.float32(STEEPNESS / (1 - KNEE))
    np.log1p(above, out=above)
    above *= np.float32((1 - KNEE) / STEEPNESS)
    above += np.minimum(light, _KNEE_LIGHT)
    return above


@dataclass(frozen=True, slots=True, eq=False)
class _Tables:
    """Tables of the functions of a view."""

    light: FloatArray
    """Light of evenly spaced signals from ``_LOWEST`` to ``_HIGHEST``."""
    steps: NDArray[np.uint8]
    """8-bit values of the view, evenly spaced by the square root of light, up to ``brightest``: the
    root spreads dark values, which need the finest table."""
    brightest: float

    def light_of(self, signal: FloatArray) -> FloatArray:
        index = signal * np.float32(_ENTRIES / (_HIGHEST - _LOWEST))
        index += np.float32(0.5 - _LOWEST * _ENTRIES / (_HIGHEST - _LOWEST))
        return self.light.take(index.astype(np.intp), mode="clip")

    def steps_of(self, light: FloatArray) -> NDArray[np.uint8]:
        index = np.maximum(light, 0)
        np.sqrt(index, out=index)
        index *= np.float32(_ENTRIES / self.brightest**0.5)
        index += np.float32(0.5)
        return self.steps.take(index.astype(np.intp), mode="clip")


_LOWEST, _HIGHEST = -0.25, 1.25
_ENTRIES = 1 << 17


@lru_cache(maxsize=8)
def _tables(transfer: Transfer, compresses_highlights: bool) -> _Tables:
    curve = transfer.curve or transfer.to_light
    signal = np.linspace(_LOWEST, _HIGHEST, _ENTRIES + 1, dtype=np.float32)
    brightest = _WHITE_OF_VIEW if compresses_highlights else 1.0
    root = np.linspace(0.0, brightest**0.5, _ENTRIES + 1, dtype=np.float32)[None, :, None]
    light = root * root
    view = signed_power(_compress(light) if compresses_highlights else light, 1 / SDR_GAMMA)
    return _Tables(
        light=curve(signal[None, :, None]).ravel(),
        steps=np.clip(view * 255.0 + 0.5, 0, 255).astype(np.uint8).ravel(),
        brightest=brightest,
    )


def sdr_view(color: ColorTags) -> SdrView | None:
    """Return the SDR view of a video for the networks; None if its RGB is used directly."""
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


def _clip_outliers(video_rgb: FloatArray) -> FloatArray:
    """Return a signal without the outliers of damaged chroma: transfer functions have poles."""
    return np.clip(video_rgb, np.float32(-0.5), np.float32(1.5))


def _apply_matrix(rgb: FloatArray, matrix: FloatArray) -> FloatArray:
    return np.asarray(cv2.transform(rgb, matrix), dtype=np.float32)
