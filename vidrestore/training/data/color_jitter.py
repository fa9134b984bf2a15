"""Changes of color on the degraded side alone, from which a restorer learns to bring colors back.

GFP-GAN's text (section 4.1) says that colors are jittered. Its released data set does so to
degraded images after the degradation, and to no target; the defaults are the figures of its option
file (``train_gfpgan_v1.yml``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

import cv2
import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import functional as tones

from vidrestore.errors import ConfigError
from vidrestore.training.degradations.base import DegradedPair, Range, quantize, uniform
from vidrestore.types import FloatArray

_TONES: Mapping[str, Callable[[Tensor, float], Tensor]] = MappingProxyType(
    {
        "brightness": tones.adjust_brightness,
        "contrast": tones.adjust_contrast,
        "saturation": tones.adjust_saturation,
        "hue": tones.adjust_hue,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColorJitterConfig:
    """Probabilities and ranges; a probability of 0 switches a change off."""

    shift_probability: float = 0.3
    shift: float = 20.0
    """Largest sum to each channel, on a scale of 255."""
    tone_probability: float = 0.3
    """Of brightness, contrast, saturation and hue, changed one after the other in any order."""
    brightness: Range = (0.5, 1.5)
    contrast: Range = (0.5, 1.5)
    saturation: Range = (0.0, 1.5)
    hue: Range = (-0.1, 0.1)
    """In turns of the color wheel."""
    gray_probability: float = 0.01
    gray_target: bool = False
    """Whether the target of a gray image is gray, too: for a restorer that is not to color."""

    def __post_init__(self) -> None:
        names = [field.name for field in fields(self) if field.name.endswith("_probability")]
        if not all(0 <= getattr(self, name) <= 1 for name in names):
            raise ConfigError(f"{', '.join(names)} must be in [0, 1]")
        if not -0.5 <= self.hue[0] <= self.hue[1] <= 0.5:
            raise ConfigError(f"hue must be in [-0.5, 0.5], got {self.hue}")

    def draw(self, rng: np.random.Generator) -> "ColorJitter":
        """Draw which changes are made, and how large they are."""
        shift = tuple(rng.uniform(-self.shift, self.shift, size=3) / 255.0)
        is_shifted = rng.random() < self.shift_probability
        is_gray = bool(rng.random() < self.gray_probability)
        changed = rng.permutation(list(_TONES)) if rng.random() < self.tone_probability else ()
        return ColorJitter(
            shift_rgb=(shift[0], shift[1], shift[2]) if is_shifted else None,
            is_gray=is_gray,
            is_target_gray=is_gray and self.gray_target,
            tones=tuple((str(name), uniform(rng, getattr(self, str(name)))) for name in changed),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ColorJitter:
    """One drawn change of color."""

    shift_rgb: tuple[float, float, float] | None
    is_gray: bool
    is_target_gray: bool
    tones: tuple[tuple[str, float], ...]
    """Names of ``ColorJitterConfig`` and their factors, in order."""

    def apply(self, pair: DegradedPair) -> DegradedPair:
        """Return the pair with another degraded image, in 8-bit levels."""
        image = pair.degraded
        if self.shift_rgb is not None:
            image = np.clip(image + np.array(self.shift_rgb, dtype=np.float32), 0, 1)
        if self.is_gray:
            image = to_gray(image)
        if self.tones:
            tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
            for name, factor in self.tones:
                tensor = _TONES[name](tensor, factor)
            image = tensor.numpy().transpose(1, 2, 0)
        target = to_gray(pair.target) if self.is_target_gray else pair.target
        return DegradedPair(quantize(np.clip(image, 0, 1)), target)


def to_gray(image_hwc: FloatArray) -> FloatArray:
    """Return the luma (BT.601) of ``(H, W, 3)`` RGB in every channel."""
    luma = cv2.cvtColor(image_hwc.astype(np.float32), cv2.COLOR_RGB2GRAY)
    return np.repeat(luma[:, :, None], 3, axis=2).astype(np.float32)
