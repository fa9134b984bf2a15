"""Semantic-aware style loss of PSFR-GAN (section 3.2, equations 4 and 5).

It has two forms, each with its layers and weight (``STYLE_FORMS``). Paper: Gram matrices divided by
the number of pixels, and the sum over classes of the norms of their differences. Released code:
Gram matrices also divided by the number of channels, and the mean over classes and entries of
squared differences, which are far smaller, at ten times the weight.

Masks are given as labels, so that every pixel is multiplied once, for its class; one-hot masks
would cost a product of whole feature maps for every class.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.training.losses.feature_extractors import RELEASED_STYLE_LAYERS, STYLE_LAYERS
from vidrestore.training.losses.full_precision import to_float32, without_autocast

StyleForm: TypeAlias = Literal["released", "text"]


class StyleFormSpec(NamedTuple):
    """Layers and weight of a form of the loss."""

    layers: tuple[str, ...]
    """Layers of VGG-19."""
    weight: float


STYLE_FORMS: Mapping[StyleForm, StyleFormSpec] = MappingProxyType(
    {
        "released": StyleFormSpec(RELEASED_STYLE_LAYERS, 1000.0),
        "text": StyleFormSpec(STYLE_LAYERS, 100.0),
    }
)
"""The weights are the released command's ``--lambda_ss 1000`` and that of section 4.3."""

CLASSES = 19
_EPS = 1e-8


def one_hot_labels(labels_NHW: Tensor, *, classes: int = CLASSES) -> Tensor:
    """Return ``(N, classes, H, W)`` float32: 1 in the channel of a pixel's class, else 0.

    Discriminators see it next to the image (section 3.3). Pixels whose label is outside the range
    are 0 in every channel.
    """
    class_K = torch.arange(classes, device=labels_NHW.device)
    return (labels_NHW[:, None] == class_K[:, None, None]).float()


def region_gram_matrices(
    feat_NCHW: Tensor,
    labels_NHW: Tensor,
    *,
    classes: int = CLASSES,
    form: StyleForm = "released",
) -> list[list[Tensor | None]]:
    """Return the Gram matrix of every class in every sample (equation 5).

    Args:
        feat_NCHW: Features.
        labels_NHW: int64 classes, resized to the features by nearest neighbors; pixels whose label
            is outside the range are ignored.
        classes: Number of classes.
        form: Whether to divide by the number of channels, as released.

    Returns:
        For each sample and class ``(C, C)``: products summed over the pixels of the class, divided
        by their number and that of channels; None, meaning zeros, for a class without pixels.
    """
    channels = feat_NCHW.shape[1] if form == "released" else 1
    counts, order_NP = _sort_by_class(labels_NHW, feat_NCHW, classes)
    matrices: list[list[Tensor | None]] = []
    with without_autocast(feat_NCHW.device):
        flat_NCP = to_float32(feat_NCHW).flatten(2)
        for sample, sizes in enumerate(counts):
            # Pixels without a class come last.
            classified = flat_NCP[sample].index_select(1, order_NP[sample][: sum(sizes)])
            regions: Sequence[Tensor] = torch.split(classified, sizes, dim=1)
            matrices.append(
                [
                    region @ region.T / (channels * (size + _EPS)) if size else None
                    for region, size in zip(regions, sizes, strict=True)
                ]
            )
    return matrices


def semantic_style_loss(
    restored: Sequence[Tensor],
    target: Sequence[Tensor],
    labels_NHW: Tensor,
    *,
    classes: int = CLASSES,
    form: StyleForm = "released",
) -> Tensor:
    """Return the sum over layers of the differences of regions' Gram matrices (equation 4).

    Args:
        restored: ``(N, C, h, w)`` features of the restored images, one for each layer of the
            form.
        target: Features of the targets, which get no gradients.
        labels_NHW: int64 classes of the targets' pixels, used for both.
        classes: Number of classes; absent ones count in the mean of squares.
        form: Mean squares over samples, classes and entries, as released; or, as in the text, the
            mean over samples of the sum over classes of the norms.

    Returns:
        A scalar.

    Raises:
        ValueError: There are no features, or their numbers differ.
    """
    if not restored or len(restored) != len(target):
        raise ValueError(
            f"restored and target must have the same number of features > 0, got {len(restored)} "
            f"and {len(target)}"
        )
    layers: list[Tensor] = []
    for feat, target_feat in zip(restored, target, strict=True):
        matrices = region_gram_matrices(feat, labels_NHW, classes=classes, form=form)
        with torch.no_grad():
            targets = region_gram_matrices(target_feat, labels_NHW, classes=classes, form=form)
        differences: list[Tensor] = [
            a - b
            for sample, target_sample in zip(matrices, targets, strict=True)
            for a, b in zip(sample, target_sample, strict=True)
            if a is not None and b is not None
        ]
        released = form == "released"
        terms: list[Tensor] = [
            difference.square().sum() if released else difference.norm()
            for difference in differences
        ]
        entries = len(matrices) * (classes * feat.shape[1] ** 2 if released else 1)
        total = torch.stack(terms).sum() if terms else feat.new_zeros((), dtype=torch.float32)
        layers.append(total / entries)
    return torch.stack(layers).sum()


def _sort_by_class(
    labels_NHW: Tensor, feat_NCHW: Tensor, classes: int
) -> tuple[list[list[int]], Tensor]:
    """Return the number of pixels of every class by sample, and pixel indices sorted by class."""
    size_hw = feat_NCHW.shape[2:]
    small = F.interpolate(labels_NHW[:, None].float(), size_hw, mode="nearest").long().flatten(1)
    known = torch.where((small >= 0) & (small < classes), small, classes)
    order_NP = known.argsort(dim=1, stable=True)
    counts_NK = torch.stack([sample.bincount(minlength=classes + 1) for sample in known])
    return cast("list[list[int]]", counts_NK[:, :classes].tolist()), order_NP
