"""Second-order degradation for faces, after Real-ESRGAN (Wang et al. 2021, section 3).

Each of two rounds blurs, resizes, adds noise and compresses, in this order. A ringing filter comes
before or after the last JPEG. The ranges are narrower than the paper's: there the output is four
times smaller than the original, here it has the original's size.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np

from vidrestore.training.degradations.base import (
    DOWN_FILTERS,
    UP_FILTERS,
    PerFrameDegradation,
    Range,
    choose,
    draw_seed,
    frame_rng,
    log_uniform,
    quantize,
    resize,
    uniform,
)
from vidrestore.training.degradations.blur import (
    fast_gaussian_blur,
    filter_image,
    generalized_kernel,
    ringing_kernel,
)
from vidrestore.training.degradations.compression import jpeg
from vidrestore.training.degradations.noise import (
    add_fast_gaussian_noise,
    add_gray_noise,
    add_shot_noise,
)
from vidrestore.types import FloatArray

BlurKind: TypeAlias = Literal["gaussian", "generalized", "plateau", "ringing"]
NoiseKind: TypeAlias = Literal["gaussian", "shot"]
_BLURS: tuple[BlurKind, ...] = ("gaussian", "generalized", "plateau", "ringing")
_BLUR_PROBABILITIES = (0.55, 0.2, 0.15, 0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DegradationRound:
    """One round: blur, resizing, noise, JPEG."""

    blur: BlurKind
    sigma_px: float
    ratio: float
    angle: float
    power: float
    cutoff: float
    side_ratio: float
    """Side after the round, relative to the original's."""
    filter_: int
    noise: NoiseKind
    strength: float
    """Standard deviation of the noise (shot noise: in white), on a scale of 255."""
    gray: bool
    jpeg_quality: int

    def apply(self, image_hwc: FloatArray, full_wh: tuple[int, int], rng: np.random.Generator):
        """Return the image after blur, resizing and noise; the caller applies JPEG."""
        image = self._blur(image_hwc)
        width, height = full_wh
        size_wh = (
            max(16, round(width * self.side_ratio)),
            max(16, round(height * self.side_ratio)),
        )
        # Averaging is the only filter without aliasing below half the size.
        is_below_half = size_wh[0] < 0.5 * image.shape[1]
        image = resize(image, size_wh, cv2.INTER_AREA if is_below_half else self.filter_)
        sigma = self.strength / 255.0
        if self.noise == "shot":
            return add_shot_noise(image, photons=1 / max(1e-6, sigma**2), gray=self.gray, rng=rng)
        add = add_gray_noise if self.gray else add_fast_gaussian_noise
        return add(image, sigma=sigma, rng=rng)

    def _blur(self, image_hwc: FloatArray) -> FloatArray:
        if self.blur == "gaussian" and self.ratio == 1.0:
            return fast_gaussian_blur(image_hwc, sigma_px=self.sigma_px)
        if self.blur == "ringing":
            return filter_image(image_hwc, ringing_kernel(cutoff=self.cutoff, reach_px=5))
        return _filter_downscaled(image_hwc, self)


def _filter_downscaled(image_hwc: FloatArray, round_: DegradationRound) -> FloatArray:
    """Filter with a generalized kernel; a wide one at half or a quarter of the size."""
    factor = 1
    while round_.sigma_px * min(1.0, round_.ratio) / factor > 2.0 and factor < 4:
        factor *= 2
    height, width = image_hwc.shape[:2]
    small_wh = (max(8, width // factor), max(8, height // factor))
    small = resize(image_hwc, small_wh, cv2.INTER_AREA) if factor > 1 else image_hwc
    kernel = generalized_kernel(
        sigma_px=round_.sigma_px / factor,
        ratio=round_.ratio,
        angle=round_.angle,
        power=round_.power if round_.blur != "gaussian" else 2.0,
        plateau=round_.blur == "plateau",
    )
    small = filter_image(small, kernel)
    return resize(small, (width, height), cv2.INTER_LINEAR) if factor > 1 else small


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondOrderDegradation(PerFrameDegradation):
    """Two rounds, ringing and the last JPEG in either order, and the original size."""

    first: DegradationRound
    second: DegradationRound
    final_cutoff: float | None
    """Cutoff of the ringing filter in radians per pixel; None for no filter."""
    ring_first: bool
    up_filter: int
    noise_seed: int

    def degrade_frame(self, image_hwc: FloatArray, index: int) -> FloatArray:
        """Return frame ``index`` of a clip, degraded."""
        height, width = image_hwc.shape[:2]
        rng = frame_rng(self.noise_seed, index)
        image = self.first.apply(image_hwc, (width, height), rng)
        image = jpeg(image, quality=self.first.jpeg_quality)
        image = self.second.apply(image, (width, height), rng)
        if self.ring_first:
            image = jpeg(self._add_ringing(image), quality=self.second.jpeg_quality)
        else:
            image = self._add_ringing(jpeg(image, quality=self.second.jpeg_quality))
        return quantize(resize(image, (width, height), self.up_filter))

    def _add_ringing(self, image_hwc: FloatArray) -> FloatArray:
        if self.final_cutoff is None:
            return image_hwc
        return filter_image(image_hwc, ringing_kernel(cutoff=self.final_cutoff, reach_px=5))


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondOrderRecipe:
    """Ranges of the two rounds; sides are relative to the original's."""

    sigma_px: Range = (0.3, 5.0)
    second_sigma_px: Range = (0.2, 1.5)
    first_side: Range = (0.25, 1.0)
    second_side: Range = (0.125, 0.8)
    noise: Range = (1.0, 20.0)
    jpeg_quality: Range = (35, 95)

    def draw(self, rng: np.random.Generator) -> SecondOrderDegradation:
        """Draw two rounds and the last step."""
        first = self._draw_round(rng, self.sigma_px, self.first_side)
        return SecondOrderDegradation(
            first=first,
            second=self._draw_round(rng, self.second_sigma_px, self.second_side),
            final_cutoff=uniform(rng, (float(np.pi) / 2.2, float(np.pi)))
            if rng.random() < 0.6
            else None,
            ring_first=bool(rng.random() < 0.5),
            up_filter=choose(rng, UP_FILTERS),
            noise_seed=draw_seed(rng),
        )

    def _draw_round(self, rng: np.random.Generator, sigma: Range, side: Range) -> DegradationRound:
        return DegradationRound(
            blur=_BLURS[int(rng.choice(len(_BLURS), p=_BLUR_PROBABILITIES))],
            sigma_px=log_uniform(rng, sigma),
            ratio=uniform(rng, (0.35, 1.0)) if rng.random() < 0.4 else 1.0,
            angle=uniform(rng, (0.0, float(np.pi))),
            power=log_uniform(rng, (1.0, 6.0)),
            cutoff=uniform(rng, (float(np.pi) / 2.5, float(np.pi))),
            side_ratio=log_uniform(rng, side),
            filter_=choose(rng, DOWN_FILTERS),
            noise="gaussian" if rng.random() < 0.5 else "shot",
            strength=uniform(rng, self.noise),
            gray=bool(rng.random() < 0.4),
            jpeg_quality=round(uniform(rng, self.jpeg_quality)),
        )
