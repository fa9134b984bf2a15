"""Adversarial losses: against formulas, at any shape of the scores."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.training.losses.adversarial import (
    Scores,
    hinge_discriminator_loss,
    hinge_generator_loss,
    logistic_discriminator_loss,
    logistic_generator_loss,
)

GENERATOR = [logistic_generator_loss, hinge_generator_loss]
DISCRIMINATOR = [logistic_discriminator_loss, hinge_discriminator_loss]


def scores(*shape: int, seed: int = 0) -> Tensor:
    return 2 * torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def test_logistic_losses_are_cross_entropies_of_real_and_fake() -> None:
    real, fake = scores(4, 1), scores(4, 1, seed=1)
    one, zero = torch.ones_like(real), torch.zeros_like(fake)
    as_real = F.binary_cross_entropy_with_logits(fake, one)
    torch.testing.assert_close(logistic_generator_loss(fake), as_real)
    told_apart = F.binary_cross_entropy_with_logits(real, one) + F.binary_cross_entropy_with_logits(
        fake, zero
    )
    torch.testing.assert_close(logistic_discriminator_loss(real, fake), told_apart)


def test_the_loss_of_an_undecided_discriminator_is_the_logarithm_of_four() -> None:
    nothing = torch.zeros(2, 1)
    assert float(logistic_discriminator_loss(nothing, nothing)) == pytest.approx(math.log(4))
    assert float(logistic_generator_loss(nothing)) == pytest.approx(math.log(2))
    assert float(hinge_discriminator_loss(nothing, nothing)) == 2.0


def test_hinge_losses_equal_values_computed_by_hand() -> None:
    real, fake = torch.tensor([[-1.0], [0.5], [3.0]]), torch.tensor([[-3.0], [-0.5], [1.0]])
    assert float(hinge_discriminator_loss(real, fake)) == pytest.approx(2.5 / 3 + 2.5 / 3)
    assert float(hinge_generator_loss(fake)) == pytest.approx(2.5 / 3)


def test_scores_beyond_the_margin_give_the_hinge_discriminator_no_gradient() -> None:
    real, fake = torch.tensor([[2.0]]).requires_grad_(), torch.tensor([[-2.0]]).requires_grad_()
    hinge_discriminator_loss(real, fake).backward()
    assert real.grad is not None
    assert fake.grad is not None
    assert float(real.grad) == float(fake.grad) == 0.0


@pytest.mark.parametrize("loss", GENERATOR)
def test_scales_count_equally_however_many_patches_they_have(
    loss: Callable[[Scores], Tensor],
) -> None:
    fine, coarse = scores(2, 1, 6, 6), scores(2, 1, 2, 2, seed=1)
    torch.testing.assert_close(loss([fine, coarse]), (loss(fine) + loss(coarse)) / 2)


@pytest.mark.parametrize("loss", DISCRIMINATOR)
def test_scales_count_equally_for_discriminators(loss: Callable[[Scores, Scores], Tensor]) -> None:
    real = (scores(2, 1, 6, 6), scores(2, 1, 2, 2, seed=1))
    fake = (scores(2, 1, 6, 6, seed=2), scores(2, 1, 2, 2, seed=3))
    each = [loss(first, other) for first, other in zip(real, fake, strict=True)]
    torch.testing.assert_close(loss(real, fake), sum(each, torch.zeros(())) / 2)


@pytest.mark.parametrize("loss", GENERATOR)
def test_a_higher_score_of_the_fake_lowers_the_generator_loss(
    loss: Callable[[Scores], Tensor],
) -> None:
    score = scores(3, 1).requires_grad_()
    loss(score).backward()
    assert score.grad is not None
    assert bool((score.grad < 0).all())
    assert torch.autograd.gradcheck(loss, (scores(3, 1, seed=5).requires_grad_(),))


def test_large_half_precision_scores_stay_finite() -> None:
    large = torch.tensor([[3e4]], dtype=torch.float16)
    result = logistic_discriminator_loss(-large, large)
    assert result.dtype is torch.float32
    assert float(result) == pytest.approx(6e4, rel=1e-3)
    assert float(logistic_generator_loss(large.bfloat16())) == 0.0


def test_an_empty_list_of_scores_is_an_error() -> None:
    with pytest.raises(ValueError, match="no scores"):
        hinge_generator_loss([])
