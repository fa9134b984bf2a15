"""Losses on features: content, style by Gram matrices, and feature matching.

Targets get no gradient. Differences and Gram matrices are taken in full precision.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.training.losses.adversarial import OverScales
from vidrestore.training.losses.feature_extractors import FeatureNetwork
from vidrestore.training.losses.full_precision import to_float32, without_autocast

Norm: TypeAlias = Literal["l1", "l2"]
"""The mean of absolute or of squared differences."""

LAYER_WEIGHTS = (0.1, 0.1, 1.0, 1.0, 1.0)
"""Of ``features.LAYERS``, in GFP-GAN's released configuration."""


def feature_loss(
    restored: Sequence[Tensor],
    target: Sequence[Tensor],
    *,
    layer_weights: Sequence[float] | None = None,
    norm: Norm = "l1",
) -> Tensor:
    """Return the weighted sum over layers of the mean difference of features.

    GFP-GAN's perceptual loss (section 3.5; L1 in its released code) and MMRB's (equation 14,
    written with squares; the text does not say which layers).

    Args:
        restored: ``(N, C, h, w)`` features of the restored images, one for each layer.
        target: Those of the targets.
        layer_weights: One for each layer; all 1 where None. Layers of weight 0 are left out.
        norm: How to compare.

    Returns:
        A scalar.

    Raises:
        ValueError: The numbers of features and weights differ, or no weight is above 0.
    """
    return _summed(
        [
            _difference(one, other.detach(), norm) * weight
            for one, other, weight in _weighed(restored, target, layer_weights)
        ]
    )


def gram_matrix(feat_NCHW: Tensor) -> Tensor:
    """Return ``F F^T / (C H W)``, ``(N, C, C)``: how channels go together, wherever.

    Gatys et al. 2016, with the divisor of GFP-GAN's released code.
    """
    channels, height, width = feat_NCHW.shape[1:]
    with without_autocast(feat_NCHW.device):
        feat_NCP = to_float32(feat_NCHW).flatten(2)
        return feat_NCP @ feat_NCP.transpose(1, 2) / (channels * height * width)


def style_loss(
    restored: Sequence[Tensor],
    target: Sequence[Tensor],
    *,
    layer_weights: Sequence[float] | None = None,
    norm: Norm = "l1",
) -> Tensor:
    """Return the weighted sum over layers of the mean difference of Gram matrices.

    In GFP-GAN's released configuration it goes with the perceptual loss, at 50 times its weight;
    on features of the component discriminators it is the feature style loss (section 3.5).
    Arguments, result and errors are those of ``feature_loss``; the images' sizes may differ.
    """
    return _summed(
        [
            _difference(gram_matrix(one), gram_matrix(other.detach()), norm) * weight
            for one, other, weight in _weighed(restored, target, layer_weights)
        ]
    )


def perceptual_terms(
    network: FeatureNetwork,
    restored_NCHW: Tensor,
    target_NCHW: Tensor,
    *,
    content_weight: float = 1.0,
    style_weight: float = 0.0,
    layer_weights: Sequence[float] | None = LAYER_WEIGHTS,
    norm: Norm = "l1",
) -> dict[str, Tensor]:
    """Return the weighted terms ``perceptual`` and ``style`` from one look at each image.

    A term of weight 0 is left out; where both are, the network is not asked at all.

    Args:
        network: Frozen.
        restored_NCHW: RGB in [-1, 1].
        target_NCHW: Same shape; gets no gradient.
        content_weight: Of ``feature_loss``.
        style_weight: Of ``style_loss``.
        layer_weights: Of both, one for each of the network's features.
        norm: Of both.
    """
    if content_weight == 0 and style_weight == 0:
        return {}
    with torch.no_grad():
        target = network(target_NCHW)
    restored = network(restored_NCHW)
    terms: dict[str, Tensor] = {}
    if content_weight:
        loss = feature_loss(restored, target, layer_weights=layer_weights, norm=norm)
        terms["perceptual"] = loss * content_weight
    if style_weight:
        loss = style_loss(restored, target, layer_weights=layer_weights, norm=norm)
        terms["style"] = loss * style_weight
    return terms


def feature_matching_loss(
    fake: Sequence[Sequence[Tensor]],
    real: Sequence[Sequence[Tensor]],
    *,
    norm: Norm = "l2",
    over_scales: OverScales = "mean",
) -> Tensor:
    """Return how far a multi-scale discriminator's features of restored and real are apart.

    The second term of PSFR-GAN's equation 6: mean squares, summed over layers from the first, as
    released (five, where the text counts four), and summed over scales, of which the released code
    takes the mean.

    Args:
        fake: ``DiscriminatorOutput.features`` of restored images.
        real: Those of the targets; get no gradient.
        norm: How to compare.
        over_scales: Whether scales are summed or averaged.

    Returns:
        A scalar.

    Raises:
        ValueError: The numbers of scales or layers differ, or nothing is left to compare.
    """
    scales = [feature_loss(one, other, norm=norm) for one, other in zip(fake, real, strict=True)]
    return _summed(scales) / (len(scales) if over_scales == "mean" else 1)


def _weighed(
    restored: Sequence[Tensor], target: Sequence[Tensor], weights: Sequence[float] | None
) -> list[tuple[Tensor, Tensor, float]]:
    given: Mapping[str, int] = {
        "restored": len(restored),
        "target": len(target),
        "weights": len(restored) if weights is None else len(weights),
    }
    if len(set(given.values())) != 1:
        counts = ", ".join(f"{count} {name}" for name, count in given.items())
        raise ValueError(f"features and their weights must be equally many, got {counts}")
    triples = zip(restored, target, weights or [1.0] * len(restored), strict=True)
    return [triple for triple in triples if triple[2] != 0]


def _difference(one: Tensor, other: Tensor, norm: Norm) -> Tensor:
    if one.shape != other.shape:
        raise ValueError(f"shapes differ: {tuple(one.shape)} and {tuple(other.shape)}")
    compare = F.l1_loss if norm == "l1" else F.mse_loss
    return compare(to_float32(one), to_float32(other))


def _summed(terms: Sequence[Tensor]) -> Tensor:
    if not terms:
        raise ValueError("no features to compare")
    return torch.stack(list(terms)).sum()
