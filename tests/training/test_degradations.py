"""Degradations are drawn first, applied second, and can be replayed."""

import numpy as np
import pytest

from vidrestore.errors import ConfigError
from vidrestore.training.degradations.recipe import (
    RECIPES,
    GfpganDegradation,
    MixedRecipe,
    Untouched,
)


def picture() -> np.ndarray:
    y, x = np.mgrid[0:96, 0:128]
    waves = [0.5 + 0.4 * np.sin(x / (3 + k) + y / 5) for k in range(3)]
    return np.stack(waves, axis=2).astype(np.float32)


@pytest.mark.parametrize("name", sorted(RECIPES))
@pytest.mark.parametrize("seed", range(6))
def test_equal_seeds_give_equal_pictures_in_eight_bit_levels(name: str, seed: int) -> None:
    drawn, again = (RECIPES[name].draw(np.random.default_rng(seed)) for _ in range(2))
    assert drawn == again
    first, second = drawn.apply(picture()), again.apply(picture())
    np.testing.assert_array_equal(first, second)
    assert first.shape == picture().shape
    np.testing.assert_allclose(first * 255, np.rint(first * 255), atol=1e-4)


@pytest.mark.parametrize("name", ["gfpgan", "film"])
def test_most_draws_lose_detail(name: str) -> None:
    errors = [
        np.abs(RECIPES[name].draw(np.random.default_rng(seed)).apply(picture()) - picture()).mean()
        for seed in range(12)
    ]
    assert np.median(errors) > 0.02


def test_stronger_blur_and_coarser_sampling_hurt_more() -> None:
    def error(sigma_px: float, downscale: float) -> float:
        degradation = GfpganDegradation(
            sigma_px=sigma_px, downscale=downscale, noise=0.0, jpeg_quality=100, noise_seed=0
        )
        return float(np.abs(degradation.apply(picture()) - picture()).mean())

    assert error(0.2, 1.0) < error(2.0, 1.0) < error(4.0, 4.0)


def test_untouched_is_untouched_but_for_rounding() -> None:
    drawn = Untouched().draw(np.random.default_rng(0))
    assert np.abs(drawn.apply(picture()) - picture()).max() <= 0.5 / 255 + 1e-6


def test_shares_say_how_often_a_recipe_is_drawn() -> None:
    mixed = MixedRecipe(recipes=(RECIPES["gfpgan"], Untouched()), shares=(3.0, 1.0))
    rng = np.random.default_rng(0)
    drawn = [isinstance(mixed.draw(rng), Untouched) for _ in range(400)]
    assert 0.18 < np.mean(drawn) < 0.32


def test_recipes_without_their_shares_are_refused() -> None:
    with pytest.raises(ConfigError, match="share"):
        MixedRecipe(recipes=(Untouched(),), shares=(1.0, 1.0))
