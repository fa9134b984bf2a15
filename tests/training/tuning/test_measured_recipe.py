"""What is measured in a film's faces is what degraded copies of clear faces get."""

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from vidrestore.training.tuning.measured_recipe import FilmQuality, MeasuredRecipe, measure_film
from vidrestore.types import FloatArray

QUALITY = FilmQuality(resolution_px=160.0, noise=6.0, is_gray=False)


def sharp_face(seed: int, side: int = 512) -> FloatArray:
    """Return an image whose power falls with frequency as that of faces in focus does."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = 1.0
    noise = np.fft.rfft2(rng.standard_normal((side, side)))
    plane = np.fft.irfft2(noise * frequency**-1.25, s=(side, side))
    plane = 0.5 + 0.15 * plane / plane.std()
    image = np.stack([plane, 0.8 * plane + 0.05, 0.6 * plane + 0.1], axis=2)
    return np.clip(image, 0, 1).astype(np.float32)


def chw(image: FloatArray) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1).contiguous()


def film_face(seed: int, *, side_px: int, noise: float, frame: int = 0) -> Tensor:
    small = cv2.resize(sharp_face(seed), (side_px, side_px), interpolation=cv2.INTER_AREA)
    rng = np.random.default_rng((seed, frame))
    small = small + rng.normal(0, noise / 255, small.shape[:2])[:, :, None]
    large = cv2.resize(small, (512, 512), interpolation=cv2.INTER_CUBIC)
    return chw(large.clip(0, 1).astype(np.float32))


def clip(*, side_px: int, noise: float) -> list[Tensor]:
    return [film_face(0, side_px=side_px, noise=noise, frame=frame) for frame in range(5)]


@pytest.mark.parametrize("side_px", [128, 192])
def test_resolution_is_that_of_the_film(side_px: int) -> None:
    quality = measure_film(clip(side_px=side_px, noise=4.0))
    assert quality.resolution_px == pytest.approx(side_px, rel=0.25)
    assert not quality.is_gray


def test_noise_is_what_differs_from_frame_to_frame() -> None:
    clean, noisy = (measure_film(clip(side_px=160, noise=noise)).noise for noise in (0.0, 8.0))
    assert clean < 0.5
    assert 5 < noisy < 11


def test_a_black_and_white_film_has_gray_copies_and_gray_targets() -> None:
    gray = [
        film_face(seed, side_px=160, noise=0.0).mean(dim=0).expand(3, -1, -1) for seed in (0, 1)
    ]
    quality = measure_film(gray)
    assert quality.is_gray
    pair = MeasuredRecipe(quality=quality).draw(np.random.default_rng(0)).degrade(sharp_face(3))
    for image in pair:
        assert np.ptp(image, axis=2).max() < 0.02


def test_copies_vary_around_the_measured_quality() -> None:
    draws = [MeasuredRecipe(quality=QUALITY).draw(np.random.default_rng(k)) for k in range(40)]
    sides, noises = ([getattr(draw, name) for draw in draws] for name in ("side_px", "noise"))
    assert 110 < min(sides) < 150 < np.median(sides) < 175 < max(sides) < 215
    assert 3 <= min(noises) < 5 < 7 < max(noises) <= 9


def test_a_degradation_can_be_applied_again() -> None:
    face = sharp_face(0)
    results = [
        MeasuredRecipe(quality=QUALITY).draw(np.random.default_rng(5)).degrade(face).degraded
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*results)
    assert np.abs(results[0] - face).mean() > 0.01
