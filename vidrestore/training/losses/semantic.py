"""The semantic-aware style loss of PSFR-GAN (section 3.2, equations 4 and 5).

It has two forms, each with the layers and the weight that belong to it (``STYLE_FORMS``). The
text's: Gram matrices over the number of pixels, and the sum over classes of the norms of their
differences. The released code's: Gram matrices also over the number of channels, and mean squares
over classes and entries of their differences, which are far smaller, at ten times the weight.

Masks come as labels, so that every pixel is multiplied once, for the class it is of, where one-hot
masks cost as many products of whole feature maps as there are classes.
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
    """What belongs to a form of the loss."""

    layers: tuple[str, ...]
    """Of VGG-19."""
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

    What discriminators see beside the image (section 3.3). Pixels of unknown class, labeled
    anything outside the range, are 0 everywhere.
    """
    each_K = torch.arange(classes, device=labels_NHW.device)
    return (labels_NHW[:, None] == each_K[:, None, None]).float()


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
        labels_NHW: int64 classes, resized to the features by nearest neighbors; what is outside
            the range belongs to no class.
        classes: Number of classes.
        form: Whether to divide by the number of channels, as released.

    Returns:
        For each sample and class ``(C, C)``: products summed over the pixels of the class, over
        their number and that of channels; None, meaning zeros, where there is no such pixel.
    """
    channels = feat_NCHW.shape[1] if form == "released" else 1
    counts, order_NP = _grouped(labels_NHW, feat_NCHW, classes)
    matrices: list[list[Tensor | None]] = []
    with without_autocast(feat_NCHW.device):
        flat_NCP = to_float32(feat_NCHW).flatten(2)
        for sample, sizes in enumerate(counts):
            # Pixels of no class come last.
            of_some = flat_NCP[sample].index_select(1, order_NP[sample][: sum(sizes)])
            regions: Sequence[Tensor] = torch.split(of_some, sizes, dim=1)
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
    """Return the sum over layers of the difference of regions' Gram matrices (equation 4).

    Args:
        restored: ``(N, C, h, w)`` features of the restored images, one for each layer of the
            form.
        target: Those of the targets; get no gradient.
        labels_NHW: int64 classes of the targets' pixels, for both.
        classes: Number of classes, absent ones counting in the mean of squares.
        form: Mean squares over samples, classes and entries, as released; or, as in the text, the
            mean over samples of the sum over classes of the norms.

    Returns:
        A scalar.

    Raises:
        ValueError: There are no features, or not equally many.
    """
    if not restored or len(restored) != len(target):
        raise ValueError(f"equally many features, please: {len(restored)} and {len(target)}")
    layers: list[Tensor] = []
    for one, other in zip(restored, target, strict=True):
        found = region_gram_matrices(one, labels_NHW, classes=classes, form=form)
        with torch.no_grad():
            aimed = region_gram_matrices(other, labels_NHW, classes=classes, form=form)
        differences: list[Tensor] = [
            a - b
            for sample, wanted in zip(found, aimed, strict=True)
            for a, b in zip(sample, wanted, strict=True)
            if a is not None and b is not None
        ]
        released = form == "released"
        terms: list[Tensor] = [
            each.square().sum() if released else each.norm() for each in differences
        ]
        entries = len(found) * (classes * one.shape[1] ** 2 if released else 1)
        total = torch.stack(terms).sum() if terms else one.new_zeros((), dtype=torch.float32)
        layers.append(total / entries)
    return torch.stack(layers).sum()


def _grouped(labels_NHW: Tensor, feat_NCHW: Tensor, classes: int) -> tuple[list[list[int]], Tensor]:
    """Return the number of pixels of every class by sample, and pixels sorted by class."""
    size_hw = feat_NCHW.shape[2:]
    small = F.interpolate(labels_NHW[:, None].float(), size_hw, mode="nearest").long().flatten(1)
    known = torch.where((small >= 0) & (small < classes), small, classes)
    order_NP = known.argsort(dim=1, stable=True)
    counts_NK = torch.stack([each.bincount(minlength=classes + 1) for each in known])
    return cast("list[list[int]]", counts_NK[:, :classes].tolist()), order_NP
