"""A table of drawn degradations on the device, from which batches draw rows.

The recipes draw every row on the CPU. A row is used for many faces, with new noise each time.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from vidrestore.errors import ConfigError
from vidrestore.training.data.augment import Exposure, draw_exposure
from vidrestore.training.degradations.base import Degradation, uniform
from vidrestore.training.degradations.fading import Tone
from vidrestore.training.degradations.film import FilmDegradation
from vidrestore.training.degradations.recipes.footage_recipes import OldFilmRecipe
from vidrestore.training.degradations.recipes.paper_recipes import GfpganDegradation, GfpganRecipe
from vidrestore.training.degradations.recipes.table import (
    MixedRecipe,
    NoDegradation,
    RecipeConfig,
    mix_recipes,
)

DEVICE_RECIPES = ("gfpgan", "film", "none")
"""Recipes that run on a device."""


class DrawnDegradations(NamedTuple):
    """Parameters of N degradations; every field is ``(N,)``, except the gains, ``(N, 3)``."""

    gamma: Tensor
    """Gamma of the exposure, the first change of input and target."""
    gain_rgb: Tensor
    lift: Tensor
    gray: Tensor
    """1 removes the color."""
    aged_gamma: Tensor
    """Gamma of the tones of old film, the second change: fading, tint, loss of color."""
    aged_gain_rgb: Tensor
    aged_lift: Tensor
    aged_gray: Tensor
    sigma_px: Tensor
    """Blur of the lens; 0 does not blur."""
    ratio: Tensor
    angle: Tensor
    motion_px: Tensor
    """Length of a motion blur, which replaces the blur of the lens if it is above 0."""
    small_px: Tensor
    """Side while noise and JPEG are added, int64."""
    down_filter: Tensor
    """OpenCV's constant of the filter, int64; likewise ``up_filter``."""
    up_filter: Tensor
    grain: Tensor
    """Standard deviation in mid-tones, in units of the range."""
    grain_px: Tensor
    noise: Tensor
    """Standard deviation of independent noise in each channel, in units of the range."""
    jpeg_quality: Tensor
    """Quality of JPEG, int64; 0 for no JPEG."""

    def rows(self, index_N: Tensor) -> "DrawnDegradations":
        """Return the rows at ``index_N``."""
        return DrawnDegradations(*[column[index_N] for column in self])


_INTEGER_COLUMNS = {"small_px", "down_filter", "up_filter", "jpeg_quality"}


class DegradationTable:
    """A table of drawn degradations on the device.

    Args:
        recipes: Recipes from ``DEVICE_RECIPES``.
        rows: Number of rows.
        side_px: Side of the images; lengths are in their pixels.
        gray_probability: Probability of a row without color.
        aged_probability: Probability of a row with the tones of old film.
        seed: Seed of all draws.
        device: Device of the table.

    Raises:
        ConfigError: A recipe does not run on a device.
    """

    def __init__(
        self,
        recipes: Sequence[RecipeConfig],
        *,
        rows: int,
        side_px: int,
        gray_probability: float,
        aged_probability: float,
        seed: int,
        device: torch.device,
    ) -> None:
        recipe = _mix_device_recipes(recipes)
        rng = np.random.default_rng((seed, side_px))
        drawn_rows: list[dict[str, object]] = []
        for _ in range(rows):
            geometry = _geometry(recipe.draw(rng), rng, side_px)
            exposure = draw_exposure(rng, gray_probability=gray_probability)
            aged = OldFilmRecipe().draw(rng).tone if rng.random() < aged_probability else Tone()
            drawn_rows.append(geometry | _tones(exposure, aged))
        columns = {name: np.array([row[name] for row in drawn_rows]) for name in drawn_rows[0]}
        widest = max(3 * columns["sigma_px"].max(), columns["motion_px"].max() / 2, 1.0)
        self.reach_px = min(int(np.ceil(widest)), side_px - 1)
        """Radius of the widest kernel, limited by the mirrored border."""
        self._all = DrawnDegradations(
            **{
                name: torch.from_numpy(
                    column.astype(np.int64 if name in _INTEGER_COLUMNS else np.float32)
                ).to(device)
                for name, column in columns.items()
            }
        )

    def draw(self, count: int, generator: torch.Generator) -> DrawnDegradations:
        """Draw ``count`` rows; the generator is on the table's device."""
        rows = len(self._all.gamma)
        index = torch.randint(rows, (count,), generator=generator, device=self._all.gamma.device)
        return self._all.rows(index)

    def all(self) -> DrawnDegradations:
        """Return all rows."""
        return self._all


def _mix_device_recipes(recipes: Sequence[RecipeConfig]) -> MixedRecipe:
    for recipe in recipes:
        if recipe.name not in DEVICE_RECIPES:
            raise ConfigError(
                f"recipe {recipe.name!r} does not run on the device, only "
                f"{', '.join(DEVICE_RECIPES)} do; move it to faces.recipes, for codec samples"
            )
    return mix_recipes(recipes)


def _tones(exposure: Exposure, aged: Tone) -> dict[str, object]:
    return {
        "gamma": exposure.gamma,
        "gain_rgb": exposure.gain_rgb,
        "lift": exposure.lift,
        "gray": float(exposure.gray),
        "aged_gamma": aged.gamma,
        "aged_gain_rgb": tuple(gain * (1 - aged.lift) for gain in aged.tint_rgb),
        "aged_lift": aged.lift,
        "aged_gray": aged.gray,
    }


def _geometry(
    degradation: Degradation, rng: np.random.Generator, side_px: int
) -> dict[str, object]:
    """Return blur, sizes, noise and JPEG quality of a degradation from ``DEVICE_RECIPES``."""
    row: dict[str, object] = {
        "sigma_px": 0.0,
        "ratio": 1.0,
        "angle": 0.0,
        "motion_px": 0.0,
        "small_px": side_px,
        "down_filter": cv2.INTER_LINEAR,
        "up_filter": cv2.INTER_LINEAR,
        "grain": 0.0,
        "grain_px": 0.0,
        "noise": 0.0,
        "jpeg_quality": 0,
    }
    if isinstance(degradation, GfpganDegradation):
        return row | {
            "sigma_px": degradation.sigma_px,
            "small_px": degradation.small_px(side_px),
            "noise": degradation.noise / 255,
            "jpeg_quality": degradation.jpeg_quality,
        }
    if isinstance(degradation, FilmDegradation):
        # JPEG replaces the codec: it has the blocks and the quantization of key frames.
        quality = round(uniform(rng, GfpganRecipe().jpeg_quality))
        return row | {
            "sigma_px": degradation.blur_px,
            "ratio": degradation.blur_ratio,
            "angle": degradation.angle,
            "motion_px": degradation.motion_px,
            "small_px": min(side_px, degradation.small_px(side_px)),
            "down_filter": degradation.down_filter,
            "up_filter": degradation.up_filter,
            "grain": degradation.grain / 255,
            "grain_px": degradation.grain_size_px,
            "noise": degradation.color_noise / 255,
            "jpeg_quality": 0 if degradation.codec is None else quality,
        }
    if isinstance(degradation, NoDegradation):
        return row
    raise TypeError(f"{type(degradation).__name__} is not from one of {DEVICE_RECIPES}")
