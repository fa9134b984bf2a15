"""Adversarial losses on scores of whole images, of patches, and of several scales.

A discriminator's score is higher for what looks more real and is not passed through a sigmoid.
Several scales count equally: where PSFR-GAN's equations 7 and 8 sum over scales, the released code
takes the mean, and so does this, so that the weight of a loss does not depend on their number.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.training.losses.full_precision import to_float32

Scores: TypeAlias = Tensor | Sequence[Tensor]
"""Scores ``(N, 1)`` of images or ``(N, 1, h, w)`` of patches; or such of every scale."""


def logistic_generator_loss(fake: Scores) -> Tensor:
    """Return ``mean softplus(-fake)``: the non-saturating logistic loss of a generator.

    StyleGAN2's, GFP-GAN's (section 3.5) and MMRB's (section 3.4, equation 11). The latter's
    equation 12 and GFP-GAN's component loss are written ``log(1 - D)``; GFP-GAN's released code
    trains that term in this form too, which has the same optimum and does not saturate.
    """
    return _mean_over_scales(fake, lambda score: F.softplus(-score))


def logistic_discriminator_loss(real: Scores, fake: Scores) -> Tensor:
    """Return ``mean softplus(-real) + mean softplus(fake)``, as ``logistic_generator_loss`` says.

    Args:
        real: Scores of real images.
        fake: Scores of restored ones, computed from detached images.
    """
    return _mean_over_scales(real, lambda score: F.softplus(-score)) + _mean_over_scales(
        fake, F.softplus
    )


def hinge_generator_loss(fake: Scores) -> Tensor:
    """Return ``-mean fake`` (PSFR-GAN, section 3.3, equation 7)."""
    return _mean_over_scales(fake, torch.neg)


def hinge_discriminator_loss(real: Scores, fake: Scores) -> Tensor:
    """Return ``mean max(0, 1 - real) + mean max(0, 1 + fake)`` (PSFR-GAN, equation 8).

    The released code halves this, which makes no difference to Adam.

    Args:
        real: Scores of real images.
        fake: Scores of restored ones, computed from detached images.
    """
    return _mean_over_scales(real, lambda score: F.relu(1 - score)) + _mean_over_scales(
        fake, lambda score: F.relu(1 + score)
    )


def _mean_over_scales(scores: Scores, cost: Callable[[Tensor], Tensor]) -> Tensor:
    scales = [scores] if isinstance(scores, Tensor) else list(scores)
    if not scales:
        raise ValueError("no scores")
    return torch.stack([cost(to_float32(scale)).mean() for scale in scales]).mean()
