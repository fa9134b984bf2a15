"""The table of recipes: ranges, from which one degradation is drawn first and applied second.

A drawn degradation is a value: it can be logged, compared and applied again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from vidrestore.errors import ConfigError
from vidrestore.training.degradations.base import Degradation, PerFrameDegradation, Recipe, rounded
from vidrestore.training.degradations.film import FilmDegradation, FilmRecipe
from vidrestore.training.degradations.recipes.footage_recipes import (
    OldFilmRecipe,
    TelevisionRecipe,
    VhsRecipe,
    WebVideoRecipe,
)
from vidrestore.training.degradations.recipes.paper_recipes import (
    GfpganDegradation,
    GfpganRecipe,
    MmrbRecipe,
    PsfrganRecipe,
)
from vidrestore.training.degradations.recipes.softened import SoftenedRecipe
from vidrestore.training.degradations.second_order import SecondOrderRecipe
from vidrestore.types import FloatArray

__all__ = [
    "RECIPES",
    "Degradation",
    "FilmDegradation",
    "FilmRecipe",
    "GfpganDegradation",
    "GfpganRecipe",
    "MixedRecipe",
    "Recipe",
    "Untouched",
    "recipe_named",
]


@dataclass(frozen=True, slots=True)
class Untouched(PerFrameDegradation):
    """No degradation: teaches a restorer to leave good faces alone."""

    def draw(self, rng: np.random.Generator) -> "Untouched":
        """Return itself; the generator is not used."""
        return self

    def apply_frame(self, image_hwc: FloatArray, index: int) -> FloatArray:
        """Return the picture rounded to 8-bit levels."""
        return rounded(image_hwc)


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
        "untouched": Untouched(),
    }
)


def recipe_named(name: str) -> Recipe:
    """Return the recipe called ``name``.

    Raises:
        ConfigError: There is none; the message lists those there are.
    """
    if name not in RECIPES:
        raise ConfigError(f"unknown recipe {name!r}; choose from {sorted(RECIPES)}")
    return RECIPES[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedRecipe:
    """Several recipes, drawn from by their shares."""

    recipes: tuple[Recipe, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.recipes) != len(self.shares) or min(self.shares) < 0 or sum(self.shares) <= 0:
            raise ConfigError(f"one share >= 0 per recipe is needed, got {self.shares}")

    def draw(self, rng: np.random.Generator) -> Degradation:
        """Pick a recipe, then draw from it."""
        shares = np.asarray(self.shares) / sum(self.shares)
        return self.recipes[int(rng.choice(len(self.recipes), p=shares))].draw(rng)
