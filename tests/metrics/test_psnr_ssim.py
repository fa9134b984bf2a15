"""PSNR, SSIM and sharpness against values known from their definitions."""

import numpy as np
import pytest
import torch

from vidrestore.metrics.psnr_ssim import gradient_magnitude, ms_ssim, psnr_db, ssim


def noise(seed: int) -> torch.Tensor:
    return torch.rand(2, 3, 32, 40, generator=torch.Generator().manual_seed(seed))


def test_a_constant_error_of_0_1_is_20_db() -> None:
    picture = noise(0) * 0.5
    torch.testing.assert_close(psnr_db(picture, picture + 0.1), torch.full((2,), 20.0))


def test_each_pair_is_measured_separately() -> None:
    picture = noise(0)
    other = picture.clone()
    other[1] += 0.01
    values = psnr_db(picture, other)
    assert float(values[0]) == pytest.approx(100.0)
    assert float(values[1]) == pytest.approx(40.0, abs=0.01)


def test_the_similarity_is_1_for_equal_images_and_low_for_noise() -> None:
    torch.testing.assert_close(ssim(noise(0), noise(0)), torch.ones(2))
    assert float(ssim(noise(0), noise(1)).max()) < 0.1


def test_the_similarity_of_constant_images_is_that_of_their_means() -> None:
    # Without structure, SSIM is (2ab + C1) / (a^2 + b^2 + C1).
    a, b = 0.4, 0.6
    expected = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
    value = ssim(torch.full((1, 3, 16, 16), a), torch.full((1, 3, 16, 16), b))
    assert float(value) == pytest.approx(expected, abs=1e-4)


def test_sharpness_of_a_ramp_is_its_slope() -> None:
    ramp = torch.arange(20.0).expand(1, 3, 20, 20) / 100
    assert float(gradient_magnitude(ramp)) == pytest.approx(0.01, abs=1e-6)


def waves_and_noise() -> tuple[torch.Tensor, torch.Tensor]:
    y, x = np.mgrid[0:48, 0:64]
    clean = np.stack([0.5 + 0.3 * np.sin(x / (3 + k)) * np.cos(y / 5) for k in range(3)], axis=2)
    noisy = np.clip(clean + np.random.default_rng(0).normal(0, 0.08, clean.shape), 0, 1)
    first, second = (torch.from_numpy(values).permute(2, 0, 1)[None] for values in (clean, noisy))
    return first, second


def test_psnr_and_ssim_equal_those_of_scikit_image() -> None:
    # skimage.metrics 0.24, structural_similarity with gaussian_weights, sigma 1.5 and
    # use_sample_covariance off.
    first, second = waves_and_noise()
    assert float(psnr_db(first, second)) == pytest.approx(21.928932, abs=1e-4)
    assert float(ssim(first, second)) == pytest.approx(0.5993341, abs=1e-5)


def test_ms_ssim_is_one_for_equal_pictures_and_falls_with_damage() -> None:
    picture = torch.rand(1, 3, 180, 200, generator=torch.Generator().manual_seed(0))
    slight = picture + 0.05 * torch.randn(picture.shape, generator=torch.Generator().manual_seed(1))
    heavy = picture + 0.4 * torch.randn(picture.shape, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(ms_ssim(picture, picture), torch.ones(1))
    assert 1 > float(ms_ssim(picture, slight)) > float(ms_ssim(picture, heavy)) > 0


def test_ms_ssim_of_constant_images_is_the_luminance_term_at_the_coarsest_scale() -> None:
    a, b = 0.4, 0.6
    luminance = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
    value = ms_ssim(torch.full((1, 3, 192, 192), a), torch.full((1, 3, 192, 192), b))
    assert float(value) == pytest.approx(luminance**0.1333, abs=1e-3)


def test_ms_ssim_weights_every_scale_by_its_equation() -> None:
    # A change of contrast alone: at every scale the structure term is the same known number.
    noise = torch.randn(1, 1, 352, 352, generator=torch.Generator().manual_seed(0)).double()
    # Equal energy at all scales, and far above the constant that steadies the quotient.
    picture = sum(
        torch.nn.functional.interpolate(noise[:, :, :: 2**k, :: 2**k], (352, 352)) for k in range(6)
    )
    assert isinstance(picture, torch.Tensor)
    structure = 2 * 1.5 / (1 + 1.5**2)
    value = float(ms_ssim(10 * picture, 15 * picture))
    weights = 0.0448 + 0.2856 + 0.3001 + 0.2363 + 0.1333
    assert value == pytest.approx(structure**weights, rel=0.05)


def test_ms_ssim_refuses_images_too_small_for_five_scales() -> None:
    with pytest.raises(ValueError, match="176"):
        ms_ssim(noise(0), noise(0))
