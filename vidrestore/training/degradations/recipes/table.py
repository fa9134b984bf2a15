"""The table of recipes: distributions that degradations are drawn from.

A drawn degradation is a value that can be logged, compared and applied again.
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
    """No degradation, which teaches a restorer to leave good faces unchanged."""

    def draw(self, rng: np.random.Generator) -> "NoDegradation":
        """Return this degradation; the generator is not used."""
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
