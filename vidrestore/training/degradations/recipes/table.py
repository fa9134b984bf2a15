"""The table of recipes: distributions that degradations are drawn from.

A drawn degradation is a value that can be logged, compared and applied again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import torch
from torch.nn import functional as F

from vidrestore.errors import ConfigError
from vidrestore.training.degradations.base import Degradation, PerFrameDegradation, Recipe, quantize
from vidrestore.training.degradations.film import FilmRecipe
from vidrestore.training.degradations.recipes.footage_recipes import (
    OldFilmRecipe,
    TelevisionRecipe,
    VhsRecipe,
    WebVideoRecipe,
)
from vidrestore.training.degradations.recipes.paper_recipes import (
    GfpganRecipe,
    MmrbRecipe,
    PsfrganRecipe,
)
from vidrestore.training.degradations.recipes.softened import SoftenedRecipe
from vidrestore.training.degradations.second_order import SecondOrderRecipe
from vidrestore.types import FloatArray


@dataclass(frozen=True, slots=True)
class NoDegradation(PerFrameDegradation):
    """No degradation, which teaches a restorer to leave good faces unchanged."""

    def draw(self, rng: np.random.Generator) -> "NoDegradation":
        """Return this degradation; the generator is not used."""
        return self

    def degrade_frame(self, image_hwc: FloatArray, index: int) -> FloatArray:
        """Return the image in 8-bit levels."""
        return quantize(image_hwc)


@dataclass(frozen=True, slots=True)
class BicubicDegradation(PerFrameDegradation):
    """A smaller size and back, both bicubic: the benchmark of face hallucination."""

    factor: int

    def draw(self, rng: np.random.Generator) -> "BicubicDegradation":
        """Return this degradation; the generator is not used."""
        return self

    def degrade_frame(self, image_hwc: FloatArray, index: int) -> FloatArray:
        """Return the image in 8-bit levels, shrunk with antialiasing as MATLAB's ``imresize`` does.

        Values that overshoot are clipped at the small size, where a file would hold 8 bits.
        """
        image = torch.from_numpy(np.ascontiguousarray(image_hwc)).permute(2, 0, 1)[None]
        small = [max(1, side // self.factor) for side in image_hwc.shape[:2]]
        for size in (small, list(image_hwc.shape[:2])):
            image = F.interpolate(image, size, mode="bicubic", antialias=True)
            image = (image.clamp(0, 1) * 255).round() / 255
        return np.ascontiguousarray(image[0].permute(1, 2, 0).numpy())


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "gfpgan": GfpganRecipe(),
        "psfrgan": PsfrganRecipe(),
        "mmrb": MmrbRecipe(),
        "second_order": SecondOrderRecipe(),
        "film": FilmRecipe(),
        "old_film": OldFilmRecipe(),
        "vhs": VhsRecipe(),
        "television": TelevisionRecipe(),
        "web_video": WebVideoRecipe(),
        "softened": SoftenedRecipe(),
        # A face of 18 to 100 px, in crops of 512 px as all others, and in crops of 128 px.
        "small_face": GfpganRecipe(
            sigma_px=(0.8, 10.0), downscale=(5.2, 28.0), noise=(0.0, 12.0), jpeg_quality=(40, 100)
        ),
        "small_face_128": GfpganRecipe(
            sigma_px=(0.2, 2.5), downscale=(1.3, 7.0), noise=(0.0, 12.0), jpeg_quality=(40, 100)
        ),
        # CelebA-Test of GFP-GAN's tables is degraded as its training is (section 4.1).
        "celeba_test": GfpganRecipe(),
        "bicubic_x4": BicubicDegradation(4),
        "bicubic_x8": BicubicDegradation(8),
        "none": NoDegradation(),
    }
)


_OLD_NAMES = {"untouched": "none"}


def recipe_named(name: str) -> Recipe:
    """Return the recipe called ``name``.

    Raises:
        ConfigError: The name is unknown.
    """
    name = _OLD_NAMES.get(name, name)
    if name not in RECIPES:
        raise ConfigError(f"unknown recipe {name!r}; choose from {sorted(RECIPES)}")
    return RECIPES[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeConfig:
    """One recipe and its probability."""

    name: str
    probability: float = field(metadata={"alias": "share"})
    """Relative to the other recipes' probabilities."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _OLD_NAMES.get(self.name, self.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedRecipe:
    """A mixture of recipes."""

    recipes: tuple[Recipe, ...]
    probabilities: tuple[float, ...]
    """Relative probabilities; at least one is above 0."""

    def __post_init__(self) -> None:
        values = self.probabilities
        if len(self.recipes) != len(values) or min(values) < 0 or sum(values) <= 0:
            raise ConfigError(
                f"probabilities {values}: every recipe needs one >= 0, and one must be above 0"
            )

    def draw(self, rng: np.random.Generator) -> Degradation:
        """Draw a recipe, then a degradation from it."""
        probabilities = np.asarray(self.probabilities) / sum(self.probabilities)
        return self.recipes[int(rng.choice(len(self.recipes), p=probabilities))].draw(rng)


def mix_recipes(configs: Sequence[RecipeConfig]) -> MixedRecipe:
    """Return the mixture of the recipes of a config.

    Raises:
        ConfigError: A recipe is unknown, or a probability is out of range.
    """
    return MixedRecipe(
        recipes=tuple(recipe_named(config.name) for config in configs),
        probabilities=tuple(config.probability for config in configs),
    )
