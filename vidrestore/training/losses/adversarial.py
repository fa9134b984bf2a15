"""Adversarial losses on scores of whole images, of patches, and of several scales.

A discriminator's score is higher for what looks more real and is not passed through a sigmoid.
Several scales count equally. PSFR-GAN's equations 7 and 8 sum over them; its released code takes
the mean.
"""

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.training.losses.full_precision import to_float32

OverScales: TypeAlias = Literal["sum", "mean"]
"""How the losses of several scales become one."""

Scores: TypeAlias = Tensor | Sequence[Tensor]
"""Scores ``(N, 1)`` of images or ``(N, 1, h, w)`` of patches; or such of every scale."""


def logistic_generator_loss(fake: Scores) -> Tensor:
    """Return ``mean softplus(-fake)``: the non-saturating logistic loss of a generator.

    StyleGAN2's, GFP-GAN's (section 3.5) and MMRB's (section 3.4, equation 11). The latter's
    equation 12 and GFP-GAN's component loss are written ``log(1 - D)``; GFP-GAN's released code
    trains that term in this form too, which has the same optimum and does not saturate.
    """
    return _over_scales(fake, lambda score: F.softplus(-score))


def logistic_discriminator_loss(real: Scores, fake: Scores) -> Tensor:
    """Return ``mean softplus(-real) + mean softplus(fake)``, as ``logistic_generator_loss`` says.

    Args:
        real: Scores of real images.
        fake: Scores of restored ones, computed from detached images.
    """
    return _over_scales(real, lambda score: F.softplus(-score)) + _over_scales(fake, F.softplus)


def hinge_generator_loss(fake: Scores, *, over_scales: OverScales = "mean") -> Tensor:
    """Return ``-mean fake`` (PSFR-GAN, section 3.3, equation 7)."""
    return _over_scales(fake, torch.neg, over_scales)


def hinge_discriminator_loss(
    real: Scores, fake: Scores, *, over_scales: OverScales = "mean"
) -> Tensor:
    """Return ``mean max(0, 1 - real) + mean max(0, 1 + fake)`` (PSFR-GAN, equation 8).

    The released code halves this, which makes no difference to Adam.

    Args:
        real: Scores of real images.
        fake: Scores of restored ones, computed from detached images.
        over_scales: Whether scales are summed or averaged.
    """
    real_loss = _over_scales(real, lambda score: F.relu(1 - score), over_scales)
    return real_loss + _over_scales(fake, lambda score: F.relu(1 + score), over_scales)


def _over_scales(
    scores: Scores, cost: Callable[[Tensor], Tensor], over_scales: OverScales = "mean"
) -> Tensor:
    scales = [scores] if isinstance(scores, Tensor) else list(scores)
    if not scales:
        raise ValueError("no scores")
    costs = torch.stack([cost(to_float32(scale)).mean() for scale in scales])
    return costs.sum() if over_scales == "sum" else costs.mean()
