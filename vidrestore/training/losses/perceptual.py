"""Losses on features: content, style by Gram matrices, and feature matching.

Targets get no gradients. Differences and Gram matrices are computed in full precision.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.training.losses.adversarial import ScaleReduction
from vidrestore.training.losses.feature_extractors import FeatureNetwork
from vidrestore.training.losses.full_precision import to_float32, without_autocast

Norm: TypeAlias = Literal["l1", "l2"]
"""The mean of absolute or of squared differences."""

LAYER_WEIGHTS = (0.1, 0.1, 1.0, 1.0, 1.0)
"""Weights of ``feature_extractors.LAYERS`` in GFP-GAN's released configuration."""


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
        target: Features of the targets.
        layer_weights: One for each layer; None means all 1. Layers of weight 0 are skipped.
        norm: Norm of the differences.

    Returns:
        A scalar.

    Raises:
        ValueError: The numbers of features and weights differ, or no weight is above 0.
    """
    return _sum(
        [
            _difference(restored_feat, target_feat.detach(), norm) * weight
            for restored_feat, target_feat, weight in _with_weights(restored, target, layer_weights)
        ]
    )


def gram_matrix(feat_NCHW: Tensor) -> Tensor:
    """Return ``F F^T / (C H W)``, ``(N, C, C)``: correlations of channels over all positions.

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

    GFP-GAN's released configuration adds it to the perceptual loss, at 50 times its weight. On
    features of the component discriminators it is the feature style loss (section 3.5).
    Arguments, result and errors are those of ``feature_loss``; the images' sizes may differ.
    """
    return _sum(
        [
            _difference(gram_matrix(restored_feat), gram_matrix(target_feat.detach()), norm)
            * weight
            for restored_feat, target_feat, weight in _with_weights(restored, target, layer_weights)
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
    """Return the weighted terms ``perceptual`` and ``style``, with one forward pass per image.

    Terms of weight 0 are left out; if both are, the network does not run.

    Args:
        network: A frozen network.
        restored_NCHW: RGB in [-1, 1].
        target_NCHW: Same shape; gets no gradient.
        content_weight: Weight of ``feature_loss``.
        style_weight: Weight of ``style_loss``.
        layer_weights: Weights of the network's features in both losses.
        norm: Norm of both losses.
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
    scale_reduction: ScaleReduction = "mean",
) -> Tensor:
    """Return the difference of a multi-scale discriminator's features of restored and real.

    The second term of PSFR-GAN's equation 6: mean squares, summed over layers from the first, as
    released (five; the text counts four), and summed over scales; the released code averages over
    scales.

    Args:
        fake: ``DiscriminatorOutput.features`` of restored images.
        real: Those of the targets, which get no gradients.
        norm: Norm of the differences.
        scale_reduction: Whether scales are summed or averaged.

    Returns:
        A scalar.

    Raises:
        ValueError: The numbers of scales or layers differ, or there is nothing to compare.
    """
    scales = [feature_loss(*features, norm=norm) for features in zip(fake, real, strict=True)]
    return _sum(scales) / (len(scales) if scale_reduction == "mean" else 1)


def _with_weights(
    restored: Sequence[Tensor], target: Sequence[Tensor], weights: Sequence[float] | None
) -> list[tuple[Tensor, Tensor, float]]:
    counts: Mapping[str, int] = {
        "restored": len(restored),
        "target": len(target),
        "weights": len(restored) if weights is None else len(weights),
    }
    if len(set(counts.values())) != 1:
        counts_text = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise ValueError(f"features and weights must be equal in number, got {counts_text}")
    triples = zip(restored, target, weights or [1.0] * len(restored), strict=True)
    return [triple for triple in triples if triple[2] != 0]


def _difference(restored: Tensor, target: Tensor, norm: Norm) -> Tensor:
    if restored.shape != target.shape:
        raise ValueError(f"shapes differ: {tuple(restored.shape)} and {tuple(target.shape)}")
    compare = F.l1_loss if norm == "l1" else F.mse_loss
    return compare(to_float32(restored), to_float32(target))


def _sum(terms: Sequence[Tensor]) -> Tensor:
    if not terms:
        raise ValueError("no features to compare")
    return torch.stack(list(terms)).sum()
