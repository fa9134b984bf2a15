"""Losses on pixels: their values by hand, and where gradients go."""

import pytest
import torch
from torch.nn import functional as F

from vidrestore.training.losses.pixel import l1_loss, log_l1_loss, pyramid_loss, ssim_loss


def image(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_the_loss_of_a_constant_error_is_that_error() -> None:
    target = image(2, 3, 8, 8)
    torch.testing.assert_close(l1_loss(target + 0.25, target), torch.tensor(0.25))


def test_only_the_restored_image_gets_a_gradient() -> None:
    restored, target = image(1, 3, 4, 4).requires_grad_(), image(1, 3, 4, 4, seed=1)
    target.requires_grad_()
    (l1_loss(restored, target) + pyramid_loss([restored], target)).backward()
    torch.testing.assert_close(restored.grad, 2 * (restored - target).sign().detach() / 48)
    assert target.grad is None


def test_images_of_different_shapes_are_refused_rather_than_broadcast() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        l1_loss(image(2, 3, 4, 4), image(2, 1, 4, 4))


def test_every_scale_is_compared_with_the_target_halved_to_its_size() -> None:
    target = image(2, 3, 32, 32)
    pyramid = [image(2, 3, side, side, seed=side) for side in (8, 16, 32)]
    expected, small = torch.zeros(()), target
    for scale in reversed(pyramid):
        expected = expected + (scale - small).abs().mean()
        # The released code's way of halving.
        small = F.interpolate(small, scale_factor=0.5, mode="bilinear", align_corners=False)
    torch.testing.assert_close(pyramid_loss(pyramid, target), expected)


def test_the_loss_of_a_pyramid_of_the_downscaled_target_is_zero() -> None:
    target = image(1, 3, 16, 16)
    pyramid = (F.avg_pool2d(target, 4), F.avg_pool2d(target, 2), target)
    assert float(pyramid_loss(pyramid, target)) < 1e-7


def test_a_missing_pyramid_is_an_error() -> None:
    with pytest.raises(ValueError, match="with_pyramid"):
        pyramid_loss((), image(1, 3, 8, 8))
    with pytest.raises(ValueError, match="16 x 16 px cannot"):
        pyramid_loss((image(1, 3, 16, 16),), image(1, 3, 8, 8))


def test_half_precision_is_summed_in_float32() -> None:
    target = torch.zeros(1, 3, 64, 64)
    restored = torch.full_like(target, 0.5).bfloat16()
    result = l1_loss(restored, target.bfloat16())
    assert result.dtype is torch.float32
    assert float(result) == 0.5
    assert float(pyramid_loss([restored], target)) == 0.5


def test_the_loss_averages_the_logarithms_of_the_errors_of_crops() -> None:
    target = torch.zeros(2, 3, 4, 4)
    restored = target + torch.tensor([0.1, 0.4])[:, None, None, None]
    result = log_l1_loss(restored, target, floor=0.1)
    torch.testing.assert_close(result, torch.tensor([0.2, 0.5]).log())


def test_the_logarithm_weighs_a_relative_gain_alike_on_good_and_bad_crops() -> None:
    target = torch.zeros(2, 3, 8, 8)
    errors = torch.tensor([0.2, 1.0])[:, None, None, None]
    worse = log_l1_loss(target + 1.1 * errors, target) - log_l1_loss(target + errors, target)
    assert float(worse[0]) == pytest.approx(float(worse[1]), rel=0.1)


def test_lost_contrast_has_a_larger_loss_than_a_shift_of_the_same_error() -> None:
    target = image(1, 3, 32, 32) / 2
    target.requires_grad_()
    flat = target.detach().mean(dim=(2, 3), keepdim=True).expand_as(target)
    shift = (flat - target.detach()).abs().mean()
    shifted = (target.detach() + shift).requires_grad_()
    assert float(ssim_loss(target.detach(), target)) == pytest.approx(0.0, abs=1e-5)
    loss = ssim_loss(shifted, target)
    assert float(loss.detach()) < 0.5 * float(ssim_loss(flat, target).detach())
    loss.backward()
    assert shifted.grad is not None
    assert target.grad is None
