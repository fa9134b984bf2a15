"""Degradations on the device equal those of OpenCV, for each image of a batch."""

import cv2
import numpy as np
import pytest
import torch
from support.facefolders import draw_face
from torch import Tensor

from vidrestore.errors import ConfigError
from vidrestore.training.data.dataset import limit_resolution
from vidrestore.training.degradations.blur import gaussian_blur, motion_blur
from vidrestore.training.degradations.compression import jpeg
from vidrestore.training.degradations.fading import Tone
from vidrestore.training.degradations.film import FilmRecipe
from vidrestore.training.degradations.recipes.paper_recipes import GfpganRecipe
from vidrestore.training.degradations.recipes.table import RecipeConfig
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


def make_images(count: int) -> list[FloatArray]:
    return [draw_face(index, side_px=SIDE).astype(np.float32) / 255 for index in range(count)]


def to_batch(images: list[FloatArray]) -> Tensor:
    """Return images stacked at the top left of a canvas."""
    canvas = torch.zeros(len(images), 3, SIDE, SIDE)
    for index, image in enumerate(images):
        height, width = image.shape[:2]
        canvas[index, :, :height, :width] = torch.from_numpy(image.transpose(2, 0, 1).copy())
    return canvas


def table(*recipes: tuple[str, float], rows: int = 400, **changes: float) -> DegradationTable:
    settings = {"gray_probability": 0.0, "aged_probability": 0.0} | changes
    configs = [RecipeConfig(name=name, probability=value) for name, value in recipes]
    return DegradationTable(configs, rows=rows, side_px=SIDE, seed=5, device=CPU, **settings)


def test_blur_equals_opencv_for_each_image() -> None:
    images = make_images(4)
    settings = [(0.3, 1.0, 0.0), (3.3, 1.0, 0.0), (10.0, 1.0, 0.0), (4.0, 0.4, 0.7)]
    sigma, ratio, angle = torch.tensor(settings).T
    result = filter_batch(to_batch(images), gaussian_kernels(sigma, ratio, angle, reach_px=30))
    expected = to_batch(
        [
            gaussian_blur(image, sigma_px=sigma_px, ratio=axis_ratio, angle=radians)
            for image, (sigma_px, axis_ratio, radians) in zip(images, settings, strict=True)
        ]
    )
    assert (result - expected).abs().max() < 1e-5


def test_motion_blur_equals_opencv_for_each_image() -> None:
    images = make_images(3)
    settings = [(1.5, 0.3), (8.0, 0.7), (24.0, 2.0)]
    length, angle = torch.tensor(settings).T
    result = filter_batch(to_batch(images), motion_kernels(length, angle, reach_px=12))
    expected = to_batch(
        [
            motion_blur(image, length_px=length_px, angle=radians)
            for image, (length_px, radians) in zip(images, settings, strict=True)
        ]
    )
    assert (result - expected).abs().max() < 1e-5


@pytest.mark.parametrize("filter_", [cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA])
def test_resizing_equals_opencv_for_each_image(filter_: int) -> None:
    images = make_images(3)
    sides = [SIDE, 61, 17]
    full, sizes = torch.full((3,), SIDE), torch.tensor(sides)
    shrink = resize_matrices(full, sizes, torch.full((3,), filter_), side_px=SIDE)
    result = apply_matrices(to_batch(images), shrink, shrink)
    shrunk = [
        cv2.resize(image, (side, side), interpolation=filter_)
        for image, side in zip(images, sides, strict=True)
    ]
    for shrunk_image, image, side in zip(result, shrunk, sides, strict=True):
        expected = torch.from_numpy(image.transpose(2, 0, 1).copy())
        assert (shrunk_image[:, :side, :side] - expected).abs().max() < 1e-5
        repeated = shrunk_image[:, side:]
        assert torch.equal(repeated, shrunk_image[:, side - 1 : side].expand_as(repeated))
    up = min(filter_, cv2.INTER_CUBIC)
    enlarge = resize_matrices(sizes, full, torch.full((3,), up), side_px=SIDE)
    expected = to_batch([cv2.resize(image, (SIDE, SIDE), interpolation=up) for image in shrunk])
    assert (apply_matrices(result, enlarge, enlarge) - expected).abs().max() < 1e-5


@pytest.mark.parametrize("quality", [5, 40, 75, 95])
def test_jpeg_equals_opencv_within_a_mean_of_one_level(quality: int) -> None:
    sides = [SIDE, 61, 16]
    images = [
        cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        for image, side in zip(make_images(3), sides, strict=True)
    ]
    result = jpeg_batch(to_batch(images), torch.full((3,), quality), torch.tensor(sides))
    for compressed, image, side in zip(result, images, sides, strict=True):
        expected = torch.from_numpy(jpeg(image, quality=quality).transpose(2, 0, 1).copy())
        loss = (expected - torch.from_numpy(image.transpose(2, 0, 1).copy())).abs().mean()
        error = (compressed[:, :side, :side] - expected).abs()
        assert error.mean() < min(LEVEL, 0.3 * float(loss))
        assert error.max() < 24 * LEVEL  # a coefficient that is rounded the other way


def test_resolution_matrices_equal_limit_resolution() -> None:
    image, resolution_ratio = to_batch(make_images(3)), torch.tensor([1.0, 0.8, 0.55])
    matrices = resolution_matrices(resolution_ratio, side_px=SIDE)
    assert (
        apply_matrices(image, matrices, matrices) - limit_resolution(image, resolution_ratio)
    ).abs().max() < 1e-5


def test_a_shift_by_whole_pixels_is_exact() -> None:
    image = to_batch(make_images(1))
    matrix = shift_matrices(torch.tensor([2.0]), side_px=SIDE)
    identity = shift_matrices(torch.zeros(1), side_px=SIDE)
    assert torch.equal(apply_matrices(image, identity, matrix)[..., :-2], image[..., 2:])


def test_parameters_are_in_the_ranges_of_the_recipes() -> None:
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


def test_equal_seeds_give_equal_images_and_others_do_not() -> None:
    image = to_batch(make_images(4))
    degradations = table(("gfpgan", 0.5), ("film", 0.5))

    def degrade(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        rows = degradations.draw(4, generator)
        return degrade_batch(image, rows, reach_px=degradations.reach_px, generator=generator)

    first = degrade(1)
    assert torch.equal(first, degrade(1))
    assert not torch.equal(first, degrade(2))
    assert torch.equal(first, (first * 255).round() / 255)
    assert 0 <= first.min() < first.max() <= 1


def test_samples_are_degraded_independently() -> None:
    image = to_batch(make_images(2))
    degradations = table(("gfpgan", 1.0))
    rows = degradations.all().rows(torch.tensor([3, 4]))
    rows = rows._replace(noise=torch.zeros(2), grain=torch.zeros(2))

    def degrade(indices: slice) -> Tensor:
        selected = rows.rows(torch.arange(2)[indices])
        generator = torch.Generator().manual_seed(0)
        return degrade_batch(
            image[indices], selected, reach_px=degradations.reach_px, generator=generator
        )

    assert (degrade(slice(1, 2)) - degrade(slice(0, 2))[1:]).abs().max() <= LEVEL + 1e-6


def test_without_degradation_only_the_tones_of_a_face_change() -> None:
    image = to_batch(make_images(2))
    degradations = table(("none", 1.0))
    plain = degradations.draw(2, torch.Generator().manual_seed(0))
    target = apply_tones(image, plain)
    assert not torch.equal(target, image)
    result = degrade_batch(
        target, plain, reach_px=degradations.reach_px, generator=torch.Generator().manual_seed(0)
    )
    assert (result - target).abs().max() <= 0.5 * LEVEL + 1e-6


def test_tones_of_gray_and_old_footage() -> None:
    image = to_batch(make_images(3))
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
    expected = to_batch([tone.apply(face, 0) for face in make_images(3)])
    assert (apply_tones(image, sepia) - expected).abs().max() < 1e-5


def test_a_recipe_that_needs_the_cpu_is_refused() -> None:
    with pytest.raises(ConfigError, match="'vhs' does not run on the device"):
        table(("vhs", 1.0))


def test_grain_has_the_drawn_strength() -> None:
    rows = table(("none", 1.0)).all().rows(torch.arange(2))
    rows = rows._replace(grain=torch.tensor([0.05, 0.05]), grain_px=torch.tensor([0.0, 1.2]))
    flat = torch.full((2, 3, SIDE, SIDE), 0.5)
    noisy = degrade_batch(flat, rows, reach_px=1, generator=torch.Generator().manual_seed(0))
    deviation = (noisy - flat).mean(dim=1).std(dim=(1, 2))
    assert torch.allclose(deviation, torch.tensor([0.05, 0.05]), rtol=0.1)
    assert torch.equal(noisy[:, 0], noisy[:, 2])
