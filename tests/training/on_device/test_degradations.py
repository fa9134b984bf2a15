"""Degradations on the device are OpenCV's, for every image of a batch on its own."""

import cv2
import numpy as np
import pytest
import torch
from support.facefolders import painted_face
from torch import Tensor

from vidrestore.errors import ConfigError
from vidrestore.training.data.dataset import limit_resolution
from vidrestore.training.degradations.blur import gaussian_blur, motion_blur
from vidrestore.training.degradations.compression import jpeg
from vidrestore.training.degradations.fading import Tone
from vidrestore.training.degradations.recipes.table import FilmRecipe, GfpganRecipe, RecipeConfig
from vidrestore.training.on_device.data.blur_kernels import (
    filter_batch,
    gaussian_kernels,
    motion_kernels,
)
from vidrestore.training.on_device.data.degradation_table import DegradationTable
from vidrestore.training.on_device.data.degrade_batch import apply_tones, degrade_batch
from vidrestore.training.on_device.data.jpeg import jpeg_batch
from vidrestore.training.on_device.data.resize_matrices import (
    apply_matrices,
    resize_matrices,
    resolution_matrices,
    shift_matrices,
)
from vidrestore.types import FloatArray

CPU = torch.device("cpu")
SIDE = 96
LEVEL = 1 / 255


def pictures(count: int) -> list[FloatArray]:
    return [painted_face(index, side_px=SIDE).astype(np.float32) / 255 for index in range(count)]


def batch(images: list[FloatArray]) -> Tensor:
    """Stack images at the top left of the canvas."""
    canvas = torch.zeros(len(images), 3, SIDE, SIDE)
    for index, image in enumerate(images):
        height, width = image.shape[:2]
        canvas[index, :, :height, :width] = torch.from_numpy(image.transpose(2, 0, 1).copy())
    return canvas


def table(*shares: tuple[str, float], rows: int = 400, **changes: float) -> DegradationTable:
    settings = {"gray_probability": 0.0, "aged_probability": 0.0} | changes
    recipes = [RecipeConfig(name=name, probability=share) for name, share in shares]
    return DegradationTable(recipes, rows=rows, side_px=SIDE, seed=5, device=CPU, **settings)


def test_blur_is_opencvs_for_each_picture() -> None:
    images = pictures(4)
    settings = [(0.3, 1.0, 0.0), (3.3, 1.0, 0.0), (10.0, 1.0, 0.0), (4.0, 0.4, 0.7)]
    sigma, ratio, angle = torch.tensor(settings).T
    found = filter_batch(batch(images), gaussian_kernels(sigma, ratio, angle, reach_px=30))
    wanted = batch(
        [
            gaussian_blur(image, sigma_px=sigma_px, ratio=share, angle=turn)
            for image, (sigma_px, share, turn) in zip(images, settings, strict=True)
        ]
    )
    assert (found - wanted).abs().max() < 1e-5


def test_motion_is_opencvs_for_each_picture() -> None:
    images = pictures(3)
    settings = [(1.5, 0.3), (8.0, 0.7), (24.0, 2.0)]
    length, angle = torch.tensor(settings).T
    found = filter_batch(batch(images), motion_kernels(length, angle, reach_px=12))
    wanted = batch(
        [
            motion_blur(image, length_px=length_px, angle=turn)
            for image, (length_px, turn) in zip(images, settings, strict=True)
        ]
    )
    assert (found - wanted).abs().max() < 1e-5


@pytest.mark.parametrize("filter_", [cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA])
def test_pictures_shrink_and_grow_as_in_opencv_each_to_its_size(filter_: int) -> None:
    images = pictures(3)
    sides = [SIDE, 61, 17]
    whole, small = torch.full((3,), SIDE), torch.tensor(sides)
    shrink = resize_matrices(whole, small, torch.full((3,), filter_), side_px=SIDE)
    found = apply_matrices(batch(images), shrink, shrink)
    shrunk = [
        cv2.resize(image, (side, side), interpolation=filter_)
        for image, side in zip(images, sides, strict=True)
    ]
    for each, image, side in zip(found, shrunk, sides, strict=True):
        wanted = torch.from_numpy(image.transpose(2, 0, 1).copy())
        assert (each[:, :side, :side] - wanted).abs().max() < 1e-5
        assert torch.equal(each[:, side:], each[:, side - 1 : side].expand_as(each[:, side:]))
    up = min(filter_, cv2.INTER_CUBIC)
    enlarge = resize_matrices(small, whole, torch.full((3,), up), side_px=SIDE)
    wanted = batch([cv2.resize(image, (SIDE, SIDE), interpolation=up) for image in shrunk])
    assert (apply_matrices(found, enlarge, enlarge) - wanted).abs().max() < 1e-5


@pytest.mark.parametrize("quality", [5, 40, 75, 95])
def test_jpeg_is_opencvs_within_a_level_in_the_mean(quality: int) -> None:
    sides = [SIDE, 61, 16]
    images = [
        cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        for image, side in zip(pictures(3), sides, strict=True)
    ]
    found = jpeg_batch(batch(images), torch.full((3,), quality), torch.tensor(sides))
    for each, image, side in zip(found, images, sides, strict=True):
        wanted = torch.from_numpy(jpeg(image, quality=quality).transpose(2, 0, 1).copy())
        lost = (wanted - torch.from_numpy(image.transpose(2, 0, 1).copy())).abs().mean()
        error = (each[:, :side, :side] - wanted).abs()
        assert error.mean() < min(LEVEL, 0.3 * float(lost))
        assert error.max() < 24 * LEVEL  # a coefficient that is rounded the other way


def test_details_are_left_as_the_cpu_leaves_them() -> None:
    image, resolution_ratio = batch(pictures(3)), torch.tensor([1.0, 0.8, 0.55])
    matrices = resolution_matrices(resolution_ratio, side_px=SIDE)
    assert (
        apply_matrices(image, matrices, matrices) - limit_resolution(image, resolution_ratio)
    ).abs().max() < 1e-5


def test_a_shift_by_whole_pixels_moves_pixels() -> None:
    image = batch(pictures(1))
    matrix = shift_matrices(torch.tensor([2.0]), side_px=SIDE)
    still = shift_matrices(torch.zeros(1), side_px=SIDE)
    assert torch.equal(apply_matrices(image, still, matrix)[..., :-2], image[..., 2:])


def test_parameters_keep_to_the_recipes_ranges() -> None:
    gfpgan = table(("gfpgan", 1.0)).all()
    recipe = GfpganRecipe()
    for values, limits in (
        (gfpgan.sigma_px, recipe.sigma_px),
        (gfpgan.noise * 255, recipe.noise),
        (gfpgan.jpeg_quality, recipe.jpeg_quality),
        (gfpgan.small_px, (SIDE / recipe.downscale[1], SIDE / recipe.downscale[0])),
    ):
        low, high = limits
        assert low - 1e-4 <= values.min() < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < values.max() <= high + 1e-4
    film = table(("film", 1.0)).all()
    assert film.sigma_px.max() <= FilmRecipe().blur_px[1]
    assert film.grain.max() * 255 <= FilmRecipe().grain[1]
    assert 0.1 < (film.motion_px > 0).float().mean() < 0.3
    assert 0.05 < (film.jpeg_quality == 0).float().mean() < 0.3
    assert bool((film.ratio < 1).any())


def test_equal_seeds_give_equal_pictures_and_others_do_not() -> None:
    image = batch(pictures(4))
    drawn = table(("gfpgan", 0.5), ("film", 0.5))

    def made(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        rows = drawn.draw(4, generator)
        return degrade_batch(image, rows, reach_px=drawn.reach_px, generator=generator)

    first = made(1)
    assert torch.equal(first, made(1))
    assert not torch.equal(first, made(2))
    assert torch.equal(first, (first * 255).round() / 255)
    assert 0 <= first.min() < first.max() <= 1


def test_each_sample_is_degraded_alone() -> None:
    image = batch(pictures(2))
    drawn = table(("gfpgan", 1.0))
    quiet = drawn.all().rows(torch.tensor([3, 4]))
    quiet = quiet._replace(noise=torch.zeros(2), grain=torch.zeros(2))

    def made(chosen: slice) -> Tensor:
        rows = quiet.rows(torch.arange(2)[chosen])
        generator = torch.Generator().manual_seed(0)
        return degrade_batch(image[chosen], rows, reach_px=drawn.reach_px, generator=generator)

    assert (made(slice(1, 2)) - made(slice(0, 2))[1:]).abs().max() <= LEVEL + 1e-6


def test_untouched_faces_stay_as_they_are_but_for_their_tones() -> None:
    image = batch(pictures(2))
    drawn = table(("none", 1.0))
    plain = drawn.draw(2, torch.Generator().manual_seed(0))
    target = apply_tones(image, plain)
    assert not torch.equal(target, image)
    found = degrade_batch(
        target, plain, reach_px=drawn.reach_px, generator=torch.Generator().manual_seed(0)
    )
    assert (found - target).abs().max() <= 0.5 * LEVEL + 1e-6


def test_gray_and_old_footage_is_in_its_tones() -> None:
    image = batch(pictures(3))
    gray = table(("none", 1.0), gray_probability=1.0).all().rows(torch.arange(3))
    target = apply_tones(image, gray)
    assert torch.allclose(target[:, 0], target[:, 2], atol=1e-6)
    aged = table(("none", 1.0), aged_probability=1.0).all()
    assert bool((aged.aged_lift > 0).any())
    assert bool((aged.aged_gray == 1).any())
    tone = Tone(gray=1.0, tint_rgb=(1.0, 0.9, 0.7), lift=0.1, gamma=1.2)
    plain = table(("none", 1.0)).all().rows(torch.arange(3))
    ones = torch.ones(3)
    sepia = plain._replace(
        gamma=ones,
        gain_rgb=torch.ones(3, 3),
        lift=0 * ones,
        aged_gamma=1.2 * ones,
        aged_gain_rgb=0.9 * torch.tensor([tone.tint_rgb] * 3),
        aged_lift=0.1 * ones,
        aged_gray=ones,
    )
    wanted = batch([tone.apply(picture, 0) for picture in pictures(3)])
    assert (apply_tones(image, sepia) - wanted).abs().max() < 1e-5


def test_a_recipe_for_the_cpu_alone_is_refused() -> None:
    with pytest.raises(ConfigError, match="'vhs' does not run on the device"):
        table(("vhs", 1.0))


def test_grain_has_the_strength_it_was_drawn_with() -> None:
    rows = table(("none", 1.0)).all().rows(torch.arange(2))
    rows = rows._replace(grain=torch.tensor([0.05, 0.05]), grain_px=torch.tensor([0.0, 1.2]))
    flat = torch.full((2, 3, SIDE, SIDE), 0.5)
    noisy = degrade_batch(flat, rows, reach_px=1, generator=torch.Generator().manual_seed(0))
    deviation = (noisy - flat).mean(dim=1).std(dim=(1, 2))
    assert torch.allclose(deviation, torch.tensor([0.05, 0.05]), rtol=0.1)
    assert torch.equal(noisy[:, 0], noisy[:, 2])
