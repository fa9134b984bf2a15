"""PSNR, SSIM and sharpness against values known from their definitions."""

import pytest
import torch

from vidrestore.metrics.pixel import gradient_magnitude, psnr_db, ssim


def noise(seed: int) -> torch.Tensor:
    return torch.rand(2, 3, 32, 40, generator=torch.Generator().manual_seed(seed))


def test_a_constant_error_of_a_tenth_is_twenty_decibel() -> None:
    picture = noise(0) * 0.5
    torch.testing.assert_close(psnr_db(picture, picture + 0.1), torch.full((2,), 20.0))


def test_each_pair_is_measured_by_itself() -> None:
    picture = noise(0)
    other = picture.clone()
    other[1] += 0.01
    values = psnr_db(picture, other)
    assert float(values[0]) == pytest.approx(100.0)
    assert float(values[1]) == pytest.approx(40.0, abs=0.01)


def test_a_picture_is_fully_similar_to_itself_and_noise_is_not() -> None:
    torch.testing.assert_close(ssim(noise(0), noise(0)), torch.ones(2))
    assert float(ssim(noise(0), noise(1)).max()) < 0.1


def test_similarity_of_flat_pictures_is_that_of_their_means() -> None:
    # Without structure, SSIM is (2ab + C1) / (a^2 + b^2 + C1).
    a, b = 0.4, 0.6
    expected = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
    value = ssim(torch.full((1, 3, 16, 16), a), torch.full((1, 3, 16, 16), b))
    assert float(value) == pytest.approx(expected, abs=1e-4)


def test_sharpness_of_a_ramp_is_its_slope() -> None:
    ramp = torch.arange(20.0).expand(1, 3, 20, 20) / 100
    assert float(gradient_magnitude(ramp)) == pytest.approx(0.01, abs=1e-6)
