"""Facial component loss (GFP-GAN, section 3.5): a discriminator for each eye and for the mouth.

Boxes are in image pixels, with sample centers at whole numbers, and come with the training samples
(``data.component_boxes``; an eye's box is its extent enlarged 1.4 times, as released). At 512 px,
crops are 80 px for eyes and 120 px for the mouth; they scale with the image. The released code
supports only multiples of 512, and brightens the crops by that multiple, which is not followed.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torchvision.ops import roi_align  # pyright: ignore[reportUnknownVariableType]

from vidrestore.models.gfpgan.component_discriminator import FacialComponentDiscriminator
from vidrestore.training.data.component_boxes import COMPONENTS
from vidrestore.training.losses.adversarial import (
    logistic_discriminator_loss,
    logistic_generator_loss,
)
from vidrestore.training.losses.freeze import frozen_weights
from vidrestore.training.losses.full_precision import to_float32, without_autocast
from vidrestore.training.losses.perceptual import feature_loss, style_loss
from vidrestore.types import CROP_SIZE_PX

_SIDES_AT_512 = (80, 80, 120)
_DIVISIBLE_BY = 4
"""The discriminator halves its input twice."""
_STYLE_WEIGHTS = (0.5, 1.0)
"""Weights of the discriminator's two features, as released."""


def crop_sides_px(size_px: int) -> tuple[int, int, int]:
    """Return the sides of the crops of ``COMPONENTS`` from images of ``size_px``.

    The sides at 512 px are scaled and rounded to a multiple of four.
    """
    scaled = [side * size_px / CROP_SIZE_PX / _DIVISIBLE_BY for side in _SIDES_AT_512]
    left, right, mouth = (max(2, round(side)) * _DIVISIBLE_BY for side in scaled)
    return left, right, mouth


def component_crops(image_NCHW: Tensor, boxes_N34: Tensor) -> dict[str, Tensor]:
    """Return the crop of each of ``COMPONENTS``, ``(N, 3, side, side)`` in float32 or float64.

    ROI align (He et al. 2017), with gradients to the image.

    Args:
        image_NCHW: ``(N, 3, S, S)``.
        boxes_N34: ``(N, 3, 4)``, or ``(3, 4)`` for all samples: x0 y0 x1 y1 in pixels.

    Raises:
        ValueError: Images are not square, or boxes are of another shape.
    """
    count, _, height, width = image_NCHW.shape
    if height != width:
        raise ValueError(f"aligned faces are square, got {height} x {width} px")
    if tuple(boxes_N34.shape) not in ((3, 4), (count, 3, 4)):
        raise ValueError(f"boxes must be ({count}, 3, 4) or (3, 4), got {tuple(boxes_N34.shape)}")
    image = to_float32(image_NCHW)
    boxes = boxes_N34.to(image).expand(count, 3, 4)
    crops: dict[str, Tensor] = {}
    with without_autocast(image.device):
        for index, (name, side) in enumerate(zip(COMPONENTS, crop_sides_px(width), strict=True)):
            # "aligned" means sample centers at halves; ours are at whole numbers.
            crops[name] = roi_align(
                image, list(boxes[:, index : index + 1]), output_size=side, aligned=False
            )
    return crops


def component_style_loss(restored: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
    """Return the feature style loss of one component, on ``ComponentScores.features``.

    The L1 difference of Gram matrices; the finer of the two features has half weight, as released.
    """
    return style_loss(restored, target, layer_weights=_STYLE_WEIGHTS)


def component_generator_terms(
    discriminators: Mapping[str, FacialComponentDiscriminator],
    restored: Mapping[str, Tensor],
    target: Mapping[str, Tensor],
    *,
    adversarial_weight: float = 1.0,
    style_weight: float = 200.0,
    matching_weight: float = 0.0,
) -> dict[str, Tensor]:
    """Return the weighted terms ``component_NAME``, ``component_style`` and ``component_matching``.

    GFP-GAN's facial component loss, with the weights of its released configuration; MMRB's local
    losses (equations 12 and 13) are ``adversarial_weight`` 3 without style. Terms of
    weight 0 are left out and not computed. Discriminators get no gradients.

    Args:
        discriminators: Discriminators by name of ``COMPONENTS``; others are skipped.
        restored: ``component_crops`` of the restored images.
        target: Crops of the targets, used by style and matching only.
        adversarial_weight: Weight of each component's adversarial loss.
        style_weight: Weight of the sum of the components' style losses.
        matching_weight: Weight of the sum of the components' feature differences (L1).
    """
    if not (adversarial_weight or style_weight or matching_weight):
        return {}
    terms: dict[str, Tensor] = {}
    styles: list[Tensor] = []
    differences: list[Tensor] = []
    for name, discriminator in discriminators.items():
        with frozen_weights(discriminator):
            fake = discriminator(restored[name])
        if adversarial_weight:
            loss = logistic_generator_loss(fake.scores)
            terms[f"component_{name}"] = loss * adversarial_weight
        if style_weight or matching_weight:
            with torch.no_grad():
                real = discriminator(target[name])
            styles.append(component_style_loss(fake.features, real.features))
            differences.append(feature_loss(fake.features, real.features))
    if style_weight:
        terms["component_style"] = torch.stack(styles).sum() * style_weight
    if matching_weight:
        terms["component_matching"] = torch.stack(differences).sum() * matching_weight
    return terms


def component_discriminator_losses(
    discriminators: Mapping[str, FacialComponentDiscriminator],
    restored: Mapping[str, Tensor],
    target: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """Return the logistic loss of each component's discriminator, by name.

    Args:
        discriminators: Discriminators by name of ``COMPONENTS``.
        restored: ``component_crops`` of the restored images; detached.
        target: ``component_crops`` of the targets.
    """
    return {
        name: logistic_discriminator_loss(
            discriminator(target[name].detach()).scores,
            discriminator(restored[name].detach()).scores,
        )
        for name, discriminator in discriminators.items()
    }
