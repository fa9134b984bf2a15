"""Local energies: as much texture in every place, wherever its lines run."""

import pytest
import torch
from torch.nn import functional as F

from vidrestore.training.losses.texture import texture_energies, texture_energy_loss


def noise(seed: int) -> torch.Tensor:
    return torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(seed)) * 0.1


def test_energies_are_root_mean_squares_of_differences() -> None:
    ramp = (torch.arange(64) * 0.01).expand(1, 1, 64, 64).contiguous()
    for scale, energies in enumerate(texture_energies(ramp)):
        step = 0.01 * 2**scale
        expected = torch.tensor([step, 0.0, step, step])[None, :, None, None]
        torch.testing.assert_close(energies, expected.expand_as(energies), atol=2e-4, rtol=0)


def test_other_texture_of_the_same_strength_costs_far_less_than_none() -> None:
    target, other = noise(0), noise(1)
    none = F.avg_pool2d(target, 9, stride=1, padding=4)
    assert texture_energy_loss(other, target) < 0.3 * texture_energy_loss(none, target)
    assert float(texture_energy_loss(target, target)) == 0.0


def test_too_much_costs_as_too_little_does() -> None:
    target = noise(0)
    more = texture_energy_loss(target * 2, target)
    less = texture_energy_loss(target / 2, target)
    assert float(more) == pytest.approx(float(less), rel=0.15)


def test_texture_in_the_wrong_place_costs() -> None:
    left = noise(0)
    left[..., 32:] = 0
    assert float(texture_energy_loss(left.flip(3), left)) > 1.0


def test_flat_pictures_have_finite_gradients_and_targets_none() -> None:
    flat = torch.zeros(1, 3, 64, 64, requires_grad=True)
    target = noise(0).requires_grad_()
    texture_energy_loss(flat, target).backward()
    assert flat.grad is not None
    assert bool(torch.isfinite(flat.grad).all())
    assert target.grad is None


def test_where_texture_does_not_count_it_costs_nothing() -> None:
    target, flat = noise(0), torch.zeros(1, 3, 64, 64)
    left = torch.zeros(1, 1, 64, 64)
    left[..., :32] = 1
    half_right = torch.cat([target[..., :32], flat[..., 32:]], dim=3)
    everywhere = texture_energy_loss(half_right, target)
    assert texture_energy_loss(half_right, target, places_N1HW=left) < 0.2 * everywhere
    torch.testing.assert_close(
        texture_energy_loss(flat, target, places_N1HW=torch.ones(1, 1, 64, 64)),
        texture_energy_loss(flat, target),
    )
