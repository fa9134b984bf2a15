"""Degradations like those of one film, as far as they can be measured in its faces."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import cv2
import numpy as np
from torch import Tensor

from vidrestore.restore.luma import luma_hw, luma_of_crop
from vidrestore.restore.settings import TemporalConfig
from vidrestore.restore.temporal_denoise import denoise_clip
from vidrestore.safeguard.image_quality import effective_resolution_px
from vidrestore.training.degradations.base import (
    DOWN_FILTERS,
    UP_FILTERS,
    DegradedPair,
    PerFrameDegradation,
    choose,
    draw_seed,
    frame_rng,
    log_uniform,
    quantize,
    resize,
    uniform,
)
from vidrestore.training.degradations.compression import jpeg
from vidrestore.training.degradations.noise import add_gray_noise
from vidrestore.types import CROP_SIZE_PX, FloatArray

_MIN_SIDE_PX = 48
_SIDE_RATIOS, _NOISE_RATIOS = (0.75, 1.3), (0.5, 1.5)
"""Ranges around the measured values: a face comes closer, and film changes within a shot."""
_JPEG_QUALITY = (50, 96)
_MAD_TO_STD = 1.4826
"""Median absolute value to standard deviation, for normal noise."""
_GRAY_LEVELS = 3.0
"""Mean difference of the channels, of 255, up to which a film is black and white."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmQuality:
    """What is measured in the faces of a film; medians."""

    resolution_px: float
    """Side of a crop that would keep all detail."""
    noise: float
    """Standard deviation of noise at that side, of 255."""
    is_gray: bool
    """Whether the film is black and white."""


def measure_film(crops: Sequence[Tensor]) -> FilmQuality:
    """Return the quality of a film's face.

    Noise is what an average along the motion takes away.

    Args:
        crops: The aligned face in consecutive frames, ``(3, 512, 512)`` RGB in [0, 1].
    """
    config = TemporalConfig()
    averaged = [_luma_levels(crop) for crop in denoise_clip(crops, config=config)]
    resolution_px = float(
        np.median([effective_resolution_px(luma, roll_radians=0.0) for luma in averaged])
    )
    side_px = max(_MIN_SIDE_PX, round(resolution_px))
    lumas = (_luma_levels(crop) for crop in crops)
    removed = [luma - average for luma, average in zip(lumas, averaged, strict=True)]
    deviations = [float(np.median(np.abs(_reduced(change, side_px)))) for change in removed]
    window_frames = min(len(crops), 2 * config.context_frames + 1)
    remaining = sqrt(1 - 1 / window_frames) if window_frames > 1 else 1.0
    spread = [float((crop.amax(dim=0) - crop.amin(dim=0)).mean()) * 255 for crop in crops]
    return FilmQuality(
        resolution_px=resolution_px,
        noise=_MAD_TO_STD * float(np.median(deviations)) / remaining,
        is_gray=float(np.median(spread)) <= _GRAY_LEVELS,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRecipe:
    """Degradations around the quality of one film; see ``Recipe``."""

    quality: FilmQuality

    def draw(self, rng: np.random.Generator) -> "MeasuredDegradation":
        """Draw one degradation; equal generators give equal results."""
        side_px = self.quality.resolution_px * log_uniform(rng, _SIDE_RATIOS)
        return MeasuredDegradation(
            side_px=int(min(CROP_SIZE_PX, max(_MIN_SIDE_PX, side_px))),
            down_filter=choose(rng, DOWN_FILTERS),
            up_filter=choose(rng, UP_FILTERS),
            noise=self.quality.noise * uniform(rng, _NOISE_RATIOS),
            jpeg_quality=int(rng.integers(*_JPEG_QUALITY)),
            is_gray=self.quality.is_gray,
            seed=draw_seed(rng),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredDegradation(PerFrameDegradation):
    """Reduced, with noise, compressed, and enlarged again."""

    side_px: int
    down_filter: int
    up_filter: int
    noise: float
    """Standard deviation, of 255."""
    jpeg_quality: int
    is_gray: bool
    seed: int

    def degrade(self, image_hwc: FloatArray) -> DegradedPair:
        """Return the degraded image; the target is gray if the film is."""
        target = _gray(image_hwc) if self.is_gray else image_hwc
        return DegradedPair(self.degrade_frame(target, 0), target)

    def degrade_frame(self, image_hwc: FloatArray, index: int) -> FloatArray:
        """Return frame ``index`` of a clip, degraded."""
        height, width = image_hwc.shape[:2]
        small_wh = (self.side_px, max(1, round(self.side_px * height / width)))
        # Averaging is the only filter without aliasing below half the size.
        is_below_half = small_wh[0] < 0.5 * width
        small = resize(image_hwc, small_wh, cv2.INTER_AREA if is_below_half else self.down_filter)
        rng = frame_rng(self.seed, index)
        noisy = add_gray_noise(small, sigma=self.noise / 255, rng=rng)
        compressed = jpeg(noisy, quality=self.jpeg_quality)
        return quantize(resize(compressed, (width, height), self.up_filter))


def _luma_levels(crop_chw: Tensor) -> FloatArray:
    return luma_of_crop(crop_chw) * np.float32(255)


def _reduced(luma_hw: FloatArray, side_px: int) -> FloatArray:
    return resize(luma_hw, (side_px, side_px), cv2.INTER_AREA)


def _gray(image_hwc: FloatArray) -> FloatArray:
    return np.asarray(cv2.merge([luma_hw(image_hwc)] * 3), dtype=np.float32)
