"""The facial component loss (GFP-GAN, section 3.5): eyes and mouth, each judged by its own network.

Boxes are in pixels of the image, sample centers at whole numbers, and come with the training
samples (``data.components``: an eye's box is its extent enlarged 1.4 times, as released). Crops are
80 pixels for eyes and 120 for the mouth at 512, and shrink with the image: the released code
knows only multiples of 512, where it also brightens the crops by that multiple; that is not
followed.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import roi_align  # pyright: ignore[reportUnknownVariableType]

from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.models.gfpgan.component_discriminator import FacialComponentDiscriminator
from vidrestore.training.data.component_boxes import COMPONENTS, component_boxes
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
"""The discriminator halves twice."""
_STYLE_WEIGHTS = (0.5, 1.0)
"""Of the discriminator's two features, as released."""


def template_boxes(size_px: int) -> Tensor:
    """Return the boxes of the canonical face, ``(3, 4)`` float32: x0 y0 x1 y1 of ``COMPONENTS``.

    For aligned faces whose own landmarks are not known.

    Args:
        size_px: Side of the crops, in the 512 alignment.
    """
    points = (TEMPLATE_LANDMARKS_XY + 0.5) * (size_px / CROP_SIZE_PX) - 0.5
    return torch.from_numpy(component_boxes(points).astype(np.float32))


def boxes_at_points(points_N52: Tensor) -> Tensor:
    """Return boxes ``(N, 3, 4)`` float32 around eyes and mouth of five landmarks in pixels."""
    points = points_N52.detach().cpu().double().numpy()
    boxes = np.stack([component_boxes(point) for point in points]).astype(np.float32)
    return torch.from_numpy(boxes).to(points_N52.device)


def crop_sides_px(size_px: int) -> tuple[int, int, int]:
    """Return the sides of the crops of ``COMPONENTS`` from images of ``size_px``.

    Those at 512 scaled, to the nearest multiple of four.
    """
    scaled = [side * size_px / CROP_SIZE_PX / _DIVISIBLE_BY for side in _SIDES_AT_512]
    left, right, mouth = (max(2, round(each)) * _DIVISIBLE_BY for each in scaled)
    return left, right, mouth


def component_crops(image_NCHW: Tensor, boxes_N34: Tensor) -> dict[str, Tensor]:
    """Return the crop of each of ``COMPONENTS``, ``(N, 3, side, side)`` in full precision.

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
            # Unaligned in its sense: its samples lie at whole numbers, as ours.
            crops[name] = roi_align(
                image, list(boxes[:, index : index + 1]), output_size=side, aligned=False
            )
    return crops


def component_style_loss(restored: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
    """Return the feature style loss of one component, on ``ComponentScores.features``.

    The L1 difference of Gram matrices, the finer of the two features at half weight, as released.
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
    losses (equations 12 and 13) are ``adversarial_weight`` 3 without style. A term of weight 0 is
    left out, and nothing is computed for it. Discriminators get no gradient.

    Args:
        discriminators: By name of ``COMPONENTS``; those without one are left out.
        restored: ``component_crops`` of the restored images.
        target: Those of the targets; looked at for the style alone.
        adversarial_weight: Of each component.
        style_weight: Of the sum of the components' styles.
        matching_weight: Of the sum of the differences of the components' features (L1).
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
        discriminators: By name of ``COMPONENTS``.
        restored: ``component_crops`` of the restored images, which get no gradient.
        target: Those of real images.
    """
    return {
        name: logistic_discriminator_loss(
            discriminator(target[name].detach()).scores,
            discriminator(restored[name].detach()).scores,
        )
        for name, discriminator in discriminators.items()
    }
