"""Adversarial losses on scores of whole images, of patches, and of several scales.

Scores are logits, higher for images that look more real. Scales count equally: PSFR-GAN's
equations 7 and 8 sum over them, its released code averages.
"""

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.training.losses.full_precision import to_float32

ScaleReduction: TypeAlias = Literal["sum", "mean"]
"""How the losses of several scales are combined."""

Scores: TypeAlias = Tensor | Sequence[Tensor]
"""Scores ``(N, 1)`` of images or ``(N, 1, h, w)`` of patches; or a sequence of them, by scale."""


def logistic_generator_loss(fake: Scores) -> Tensor:
    """Return ``mean softplus(-fake)``: the non-saturating logistic loss of a generator.

    StyleGAN2's, GFP-GAN's (section 3.5) and MMRB's (section 3.4, equation 11). The latter's
    equation 12 and GFP-GAN's component loss are written ``log(1 - D)``; GFP-GAN's released code
    uses this form for that term, too. It has the same optimum and does not saturate.
    """
    return _reduce(fake, lambda score: F.softplus(-score))


def logistic_discriminator_loss(real: Scores, fake: Scores) -> Tensor:
    """Return ``mean softplus(-real) + mean softplus(fake)``; see ``logistic_generator_loss``.

    Args:
        real: Scores of real images.
        fake: Scores of restored images, which are detached.
    """
    return _reduce(real, lambda score: F.softplus(-score)) + _reduce(fake, F.softplus)


def hinge_generator_loss(fake: Scores, *, scale_reduction: ScaleReduction = "mean") -> Tensor:
    """Return ``-mean fake`` (PSFR-GAN, section 3.3, equation 7)."""
    return _reduce(fake, torch.neg, scale_reduction)


def hinge_discriminator_loss(
    real: Scores, fake: Scores, *, scale_reduction: ScaleReduction = "mean"
) -> Tensor:
    """Return ``mean max(0, 1 - real) + mean max(0, 1 + fake)`` (PSFR-GAN, equation 8).

    The released code halves this, which makes no difference with Adam.

    Args:
        real: Scores of real images.
        fake: Scores of restored images, which are detached.
        scale_reduction: Whether scales are summed or averaged.
    """
    real_loss = _reduce(real, lambda score: F.relu(1 - score), scale_reduction)
    return real_loss + _reduce(fake, lambda score: F.relu(1 + score), scale_reduction)


def _reduce(
    scores: Scores, cost: Callable[[Tensor], Tensor], scale_reduction: ScaleReduction = "mean"
) -> Tensor:
    scales = [scores] if isinstance(scores, Tensor) else list(scores)
    if not scales:
        raise ValueError("no scores")
    costs = torch.stack([cost(to_float32(scale)).mean() for scale in scales])
    return costs.sum() if scale_reduction == "sum" else costs.mean()
