"""Tones of old footage: faded, tinted, gray, flickering. A restorer must not change them."""

from dataclasses import dataclass

import numpy as np

from vidrestore.training.degradations.base import frame_rng
from vidrestore.types import FloatArray

LUMA_RGB = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tone:
    """Changes of a clip's brightness and color."""

    gray: float = 0.0
    """0 keeps the colors, 1 is black and white."""
    tint_rgb: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Gains of the channels: a color cast, sepia, or a faded dye."""
    lift: float = 0.0
    """Brightness that black has faded to."""
    gamma: float = 1.0
    flicker: float = 0.0
    """Relative standard deviation of the exposure between frames."""
    seed: int = 0

    def apply(self, image_hwc: FloatArray, index: int) -> FloatArray:
        """Return frame ``index`` of a clip, ``(H, W, 3)`` in [0, 1], with this tone."""
        image = np.clip(image_hwc, 0, 1)
        if self.gamma != 1.0:
            image = image**self.gamma
        if self.gray > 0:
            image = image + self.gray * ((image @ LUMA_RGB)[:, :, None] - image)
        gains = np.array(self.tint_rgb, dtype=np.float32) * (1 - self.lift)
        if self.flicker > 0:
            exposure = 1 + self.flicker * frame_rng(self.seed, index).standard_normal()
            gains *= np.float32(np.clip(exposure, 0.6, 1.4))
        return np.clip(self.lift + image * gains, 0, 1).astype(np.float32, copy=False)
