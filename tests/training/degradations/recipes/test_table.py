"""Recipes draw degradations that depend on their seed alone."""

from collections.abc import Sequence

import numpy as np
import pytest

from vidrestore.errors import ConfigError
from vidrestore.training.degradations.base import Degradation
from vidrestore.training.degradations.recipes.paper_recipes import GfpganDegradation
from vidrestore.training.degradations.recipes.table import (
    RECIPES,
    MixedRecipe,
    NoDegradation,
    recipe_named,
)
from vidrestore.types import FloatArray

# Mean change of `image()` on a scale of 255, by draws 0 to 3.
MEAN_CHANGES = {
    "gfpgan": [61.151, 60.92, 38.662, 23.204],
    "film": [29.326, 36.135, 17.51, 30.748],
}


def image() -> np.ndarray:
    y, x = np.mgrid[0:96, 0:128]
    waves = [0.5 + 0.4 * np.sin(x / (3 + k) + y / 5) for k in range(3)]
    return np.stack(waves, axis=2).astype(np.float32)


def degrade_clip(degradation: Degradation, clip: Sequence[FloatArray]) -> list[FloatArray]:
    return [pair.degraded for pair in degradation.degrade_clip(clip)]


@pytest.mark.parametrize("name", sorted(RECIPES))
@pytest.mark.parametrize("seed", range(6))
def test_equal_seeds_give_equal_images_in_8_bit_levels(name: str, seed: int) -> None:
    degradation, same = (RECIPES[name].draw(np.random.default_rng(seed)) for _ in range(2))
    assert degradation == same
    first, second = degradation.degrade(image()).degraded, same.degrade(image()).degraded
    np.testing.assert_array_equal(first, second)
    assert first.shape == image().shape
    np.testing.assert_allclose(first * 255, np.rint(first * 255), atol=1e-4)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_degradation_gives_the_same_clip_again(name: str) -> None:
    clip = [np.roll(image(), step, axis=1) for step in range(4)]
    degradation = RECIPES[name].draw(np.random.default_rng(3))
    first, second = degrade_clip(degradation, clip), degrade_clip(degradation, clip)
    assert [frame.shape for frame in first] == [frame.shape for frame in clip]
    for frame, same in zip(first, second, strict=True):
        np.testing.assert_array_equal(frame, same)
        np.testing.assert_allclose(frame * 255, np.rint(frame * 255), atol=1e-4)


WITHOUT_NOISE = {"none", "bicubic_x4", "bicubic_x8"}


@pytest.mark.parametrize("name", sorted(set(RECIPES) - WITHOUT_NOISE))
def test_noise_differs_between_frames_of_a_still_scene(name: str) -> None:
    # Several draws: some have neither noise nor damage.
    differing = 0
    for seed in range(8):
        first, second = degrade_clip(RECIPES[name].draw(np.random.default_rng(seed)), [image()] * 2)
        differing += not np.array_equal(first, second)
    assert differing >= 4


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_the_target_has_the_tones_of_the_degraded_image_and_its_own_detail(name: str) -> None:
    for seed in range(6):
        pair = RECIPES[name].draw(np.random.default_rng(seed)).degrade(image())
        degraded, target = pair.degraded, pair.target
        difference = np.abs(target.mean(axis=(0, 1)) - degraded.mean(axis=(0, 1))).max()
        assert difference < 0.06, f"seed {seed}: mean color differs by {difference}"
        # A tone changes all pixels alike, so it keeps their order.
        ranks = np.argsort(image().mean(axis=2), axis=None)
        assert np.corrcoef(target.mean(axis=2).ravel()[ranks], np.arange(ranks.size))[0, 1] > 0.8


@pytest.mark.parametrize("name", sorted(MEAN_CHANGES))
def test_recipes_of_earlier_runs_still_give_the_same_images(name: str) -> None:
    changes = [
        float(np.abs(degradation.degrade(image()).degraded - image()).mean() * 255)
        for degradation in (RECIPES[name].draw(np.random.default_rng(seed)) for seed in range(4))
    ]
    # Codecs and resizing of other library versions may round differently.
    np.testing.assert_allclose(changes, MEAN_CHANGES[name], rtol=2e-3)


def test_the_error_of_an_unknown_recipe_lists_the_recipes() -> None:
    with pytest.raises(ConfigError, match="second_order"):
        recipe_named("vsh")


MILD = {"none", "softened", "old_film", "vhs", "television", "web_video", "bicubic_x4"}


@pytest.mark.parametrize("name", sorted(set(RECIPES) - MILD))
def test_most_draws_lose_detail(name: str) -> None:
    errors = [
        np.abs(
            RECIPES[name].draw(np.random.default_rng(seed)).degrade(image()).degraded - image()
        ).mean()
        for seed in range(12)
    ]
    assert np.median(errors) > 0.02


def test_more_blur_and_downscaling_give_a_larger_error() -> None:
    def error(sigma_px: float, downscale: float) -> float:
        degradation = GfpganDegradation(
            sigma_px=sigma_px, downscale=downscale, noise=0.0, jpeg_quality=100, noise_seed=0
        )
        return float(np.abs(degradation.degrade(image()).degraded - image()).mean())

    assert error(0.2, 1.0) < error(2.0, 1.0) < error(4.0, 4.0)


def test_no_degradation_rounds_to_8_bits() -> None:
    degradation = NoDegradation().draw(np.random.default_rng(0))
    assert np.abs(degradation.degrade(image()).degraded - image()).max() <= 0.5 / 255 + 1e-6


def test_recipes_are_drawn_by_their_probabilities() -> None:
    mixed = MixedRecipe(recipes=(RECIPES["gfpgan"], NoDegradation()), probabilities=(3.0, 1.0))
    rng = np.random.default_rng(0)
    is_clean = [isinstance(mixed.draw(rng), NoDegradation) for _ in range(400)]
    assert 0.18 < np.mean(is_clean) < 0.32


def test_recipes_without_a_probability_are_refused() -> None:
    with pytest.raises(ConfigError, match="every recipe needs one >= 0"):
        MixedRecipe(recipes=(NoDegradation(),), probabilities=(1.0, 1.0))


def test_a_softened_image_loses_fine_detail_and_keeps_its_tones() -> None:
    for seed in range(6):
        degradation = recipe_named("softened").draw(np.random.default_rng(seed))
        before, after = image(), degradation.degrade(image()).degraded

        assert np.abs(np.diff(after, axis=1)).max() < np.abs(np.diff(before, axis=1)).max() + 0.05
        assert after.mean() == pytest.approx(before.mean(), abs=0.01)
        assert 0.0 < np.abs(after - before).mean() < 0.1


def bicubic_1d(length: int, smaller: int) -> np.ndarray:
    """Return the ``(smaller, length)`` matrix of MATLAB's ``imresize``, away from the ends."""
    scale = max(1.0, length / smaller)
    centers = (np.arange(smaller) + 0.5) * length / smaller - 0.5
    x = np.abs(centers[:, None] - np.arange(length)) / scale
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weights = np.where(x <= 1, near, np.where(x < 2, far, 0))
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("factor", [4, 8])
def test_bicubic_recipes_shrink_and_enlarge_as_matlab_does(factor: int) -> None:
    result = RECIPES[f"bicubic_x{factor}"].draw(np.random.default_rng(0)).degrade(image()).degraded
    expected = image()
    for axis, length in enumerate(image().shape[:2]):
        down, up = bicubic_1d(length, length // factor), bicubic_1d(length // factor, length)
        expected = np.moveaxis(np.tensordot(up @ down, expected, axes=(1, axis)), 0, axis)
    inner = slice(2 * factor, -2 * factor)
    # Two roundings to 8 bits: of the small image, and of the large one.
    np.testing.assert_allclose(result[inner, inner], expected[inner, inner], atol=1.6 / 255)
