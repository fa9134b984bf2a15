"""The table of recipes: distributions from which degradations are drawn.

A drawn degradation is a value: it can be logged, compared and applied again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from vidrestore.errors import ConfigError
from vidrestore.training.degradations.base import Degradation, PerFrameDegradation, Recipe, quantize
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
    "NoDegradation",
    "Recipe",
    "recipe_named",
]


@dataclass(frozen=True, slots=True)
class NoDegradation(PerFrameDegradation):
    """No degradation: a restorer learns to leave good faces as they are."""

    def draw(self, rng: np.random.Generator) -> "NoDegradation":
        """Return itself; the generator is not used."""
        return self

    def degrade_frame(self, image_hwc: FloatArray, index: int) -> FloatArray:
        """Return the image in 8-bit levels."""
        return quantize(image_hwc)


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
    """One recipe and how often it is drawn."""

    name: str
    probability: float = field(metadata={"alias": "share"})
    """Relative to the other recipes'."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _OLD_NAMES.get(self.name, self.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedRecipe:
    """Several recipes, drawn from by their probabilities."""

    recipes: tuple[Recipe, ...]
    probabilities: tuple[float, ...]
    """Relative to each other; at least one is above 0."""

    def __post_init__(self) -> None:
        given = self.probabilities
        if len(self.recipes) != len(given) or min(given) < 0 or sum(given) <= 0:
            raise ConfigError(f"every recipe needs a probability >= 0, one above 0; got {given}")

    def draw(self, rng: np.random.Generator) -> Degradation:
        """Choose a recipe, then draw from it."""
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
