"""Where samples come from: folders of faces and degradation recipes, by name."""

from dataclasses import dataclass

import numpy as np

from vidrestore.errors import ConfigError
from vidrestore.types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """One folder of faces."""

    folder: str
    """Relative to the data's ``root``; holds ``tiles.tsv`` or ``faces.tsv``."""
    share_of_resolution: float = 1.0
    """Part of each face's effective resolution to trust; below 1 shrinks artefacts away."""
    weight: float = 1.0
    """How often its faces are drawn, relative to other folders' faces."""

    def __post_init__(self) -> None:
        if not 0 < self.share_of_resolution <= 1 or self.weight <= 0:
            raise ConfigError("share_of_resolution must be in (0, 1] and weight > 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeShare:
    """One degradation recipe and how often it is drawn."""

    name: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Exposure, contrast and tint of one sample, a little varied."""

    gamma: float
    gain_rgb: tuple[float, float, float]
    lift: float
    grey: bool
    """Whether the colour is dropped: the mean of the channels."""


def drawn_exposure(rng: np.random.Generator, *, gray_share: float) -> Exposure:
    """Draw an exposure; ``gray_share`` of them have no colour."""
    gamma = float(np.exp(rng.uniform(-0.25, 0.25)))
    red, green, blue = rng.uniform(0.85, 1.0) * rng.uniform(0.94, 1.06, size=3)
    return Exposure(
        gamma=gamma,
        gain_rgb=(red, green, blue),
        lift=rng.uniform(0, 0.05),
        grey=bool(rng.random() < gray_share),
    )


def toned(image_hwc: FloatArray, rng: np.random.Generator, *, gray_share: float) -> FloatArray:
    """Vary exposure, contrast and tint a little, and drop the colour of some."""
    drawn = drawn_exposure(rng, gray_share=gray_share)
    toned = np.clip(image_hwc**drawn.gamma * np.array(drawn.gain_rgb) + drawn.lift, 0, 1)
    if drawn.grey:
        toned = np.repeat(toned.mean(axis=2, keepdims=True), 3, axis=2)
    return toned.astype(np.float32)
