"""Drawn degradations as tensors on the device: a table made once, of which batches draw rows.

The ranges and odds are those of the recipe classes, which draw every row on the CPU. A row is used
for many faces, with other noise each time.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from vidrestore.errors import ConfigError
from vidrestore.training.data.face_sources import Exposure, RecipeShare, drawn_exposure
from vidrestore.training.degradations.base import Degradation, uniform
from vidrestore.training.degradations.fading import Tone
from vidrestore.training.degradations.recipes.footage_recipes import OldFilmRecipe
from vidrestore.training.degradations.recipes.table import (
    FilmDegradation,
    GfpganDegradation,
    GfpganRecipe,
    MixedRecipe,
    Untouched,
    recipe_named,
)

DEVICE_RECIPES = ("gfpgan", "film", "untouched")
"""Recipes that a device can do."""


class DrawnDegradations(NamedTuple):
    """Parameters of N degradations; every field ``(N,)`` but the gains, which are ``(N, 3)``."""

    gamma: Tensor
    """Of the exposure, which is the first thing that happens to input and target."""
    gain_rgb: Tensor
    lift: Tensor
    grey: Tensor
    """1 drops the colour."""
    aged_gamma: Tensor
    """Of the tones of old film, which come second: fade, tint, loss of colour."""
    aged_gain_rgb: Tensor
    aged_lift: Tensor
    aged_grey: Tensor
    sigma_px: Tensor
    """Of the lens; 0 blurs nothing."""
    ratio: Tensor
    angle: Tensor
    motion_px: Tensor
    """Length of a motion, which takes the lens's place where it is above 0."""
    small_px: Tensor
    """Side at which noise and JPEG happen, int64."""
    down_filter: Tensor
    """OpenCV's number of a filter, int64; so ``up_filter``."""
    up_filter: Tensor
    grain: Tensor
    """Standard deviation in mid-tones, in units of the range."""
    grain_px: Tensor
    noise: Tensor
    """Standard deviation of independent noise in each channel, in units of the range."""
    jpeg_quality: Tensor
    """0 without JPEG, int64."""

    def rows(self, index_N: Tensor) -> "DrawnDegradations":
        """Return some of them."""
        return DrawnDegradations(*[each[index_N] for each in self])


_WHOLE = {"small_px", "down_filter", "up_filter", "jpeg_quality"}


class DegradationTable:
    """``rows`` degradations on the device.

    Args:
        recipes: Some of ``DEVICE_RECIPES``, drawn by their shares.
        rows: How many.
        side_px: Of the pictures that they are for; lengths in pixels are of such pictures.
        gray_share: Of rows without colour.
        aged_share: Of rows in tones of old film.
        seed: Of all draws.
        device: Where the table is.

    Raises:
        ConfigError: A recipe cannot be done on a device.
    """

    def __init__(
        self,
        recipes: Sequence[RecipeShare],
        *,
        rows: int,
        side_px: int,
        gray_share: float,
        aged_share: float,
        seed: int,
        device: torch.device,
    ) -> None:
        mixed = _mixed(recipes)
        rng = np.random.default_rng((seed, side_px))
        drawn: list[dict[str, object]] = []
        for _ in range(rows):
            geometry = _geometry(mixed.draw(rng), rng, side_px)
            exposure = drawn_exposure(rng, gray_share=gray_share)
            aged = OldFilmRecipe().draw(rng).tone if rng.random() < aged_share else Tone()
            drawn.append(geometry | _tones(exposure, aged))
        columns = {name: np.array([row[name] for row in drawn]) for name in drawn[0]}
        widest = max(3 * columns["sigma_px"].max(), columns["motion_px"].max() / 2, 1.0)
        self.reach_px = min(int(np.ceil(widest)), side_px - 1)
        """Radius of the widest kernel, cut off where a mirrored border ends."""
        self._all = DrawnDegradations(
            **{
                name: torch.from_numpy(each.astype(np.int64 if name in _WHOLE else np.float32)).to(
                    device
                )
                for name, each in columns.items()
            }
        )

    def drawn(self, count: int, generator: torch.Generator) -> DrawnDegradations:
        """Draw ``count`` rows; the generator is on the table's device."""
        rows = len(self._all.gamma)
        index = torch.randint(rows, (count,), generator=generator, device=self._all.gamma.device)
        return self._all.rows(index)

    def all(self) -> DrawnDegradations:
        """Return all rows."""
        return self._all


def _mixed(recipes: Sequence[RecipeShare]) -> MixedRecipe:
    for each in recipes:
        if each.name not in DEVICE_RECIPES:
            raise ConfigError(
                f"recipe {each.name!r} cannot be done on the device, which knows "
                f"{', '.join(DEVICE_RECIPES)}; give it a share of the codec samples instead"
            )
    return MixedRecipe(
        recipes=tuple(recipe_named(each.name) for each in recipes),
        shares=tuple(each.share for each in recipes),
    )


def _tones(exposure: Exposure, aged: Tone) -> dict[str, object]:
    return {
        "gamma": exposure.gamma,
        "gain_rgb": exposure.gain_rgb,
        "lift": exposure.lift,
        "grey": float(exposure.grey),
        "aged_gamma": aged.gamma,
        "aged_gain_rgb": tuple(each * (1 - aged.lift) for each in aged.tint_rgb),
        "aged_lift": aged.lift,
        "aged_grey": aged.grey,
    }


def _geometry(drawn: Degradation, rng: np.random.Generator, side_px: int) -> dict[str, object]:
    """Return blur, sizes, noise and JPEG of a degradation of ``DEVICE_RECIPES``."""
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
    if isinstance(drawn, GfpganDegradation):
        return row | {
            "sigma_px": drawn.sigma_px,
            "small_px": drawn.small_px(side_px),
            "noise": drawn.noise / 255,
            "jpeg_quality": drawn.jpeg_quality,
        }
    if isinstance(drawn, FilmDegradation):
        # JPEG takes the place of a codec: its blocks and tables are those of a codec's key frames.
        quality = round(uniform(rng, GfpganRecipe().jpeg_quality))
        return row | {
            "sigma_px": drawn.blur_px,
            "ratio": drawn.blur_ratio,
            "angle": drawn.angle,
            "motion_px": drawn.motion_px,
            "small_px": min(side_px, drawn.small_px(side_px)),
            "down_filter": drawn.down_filter,
            "up_filter": drawn.up_filter,
            "grain": drawn.grain / 255,
            "grain_px": drawn.grain_size_px,
            "noise": drawn.colour_noise / 255,
            "jpeg_quality": 0 if drawn.codec is None else quality,
        }
    if isinstance(drawn, Untouched):
        return row
    raise TypeError(f"{type(drawn).__name__} is none of {DEVICE_RECIPES}")
