"""Mild degradation: a good image of lower resolution than its size.

The degradations of the papers are strong. A restorer trained on them alone redraws faces that are
nearly good, and removes their fine detail.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from vidrestore.training.degradations.base import (
    PerFrameDegradation,
    Range,
    draw_seed,
    frame_rng,
    log_uniform,
    quantize,
    resize,
    uniform,
)
from vidrestore.training.degradations.blur import gaussian_blur
from vidrestore.training.degradations.noise import add_gaussian_noise
from vidrestore.types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftenedDegradation(PerFrameDegradation):
    """Area averaging to a smaller size, blur, little noise, and the original size."""

    downscale: float
    sigma_px: float
    """Standard deviation of the blur, in pixels of the small image."""
    noise: float
    """Standard deviation on a scale of 255."""
    noise_seed: int

    def degrade_frame(self, image_hwc: FloatArray, index: int) -> FloatArray:
        """Return frame ``index`` of a clip, degraded."""
        height, width = image_hwc.shape[:2]
        small_wh = (
            max(1, round(width / self.downscale)),
            max(1, round(height / self.downscale)),
        )
        small = resize(image_hwc, small_wh, cv2.INTER_AREA)
        small = gaussian_blur(small, sigma_px=max(self.sigma_px, 0.05), ratio=1.0, angle=0.0)
        rng = frame_rng(self.noise_seed, index)
        noisy = add_gaussian_noise(small, sigma=self.noise / 255, rng=rng)
        return quantize(resize(noisy, (width, height), cv2.INTER_CUBIC))


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftenedRecipe:
    """Faces of 512 px with the detail of 110 to 430 px, and noise up to 4 of 255.

    Real pixels are blurred by lenses and chroma subsampling. Perfectly sampled small faces would
    teach the restorer to leave real faces soft.
    """

    downscale: Range = (1.2, 4.6)
    sigma_px: Range = (0.0, 0.8)
    noise: Range = (0.0, 4.0)

    def draw(self, rng: np.random.Generator) -> SoftenedDegradation:
        """Draw each parameter from its range."""
        return SoftenedDegradation(
            downscale=log_uniform(rng, self.downscale),
            sigma_px=uniform(rng, self.sigma_px),
            noise=uniform(rng, self.noise),
            noise_seed=draw_seed(rng),
        )
