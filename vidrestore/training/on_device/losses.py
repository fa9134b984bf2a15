"""Losses of the stages, computed without a synchronization.

The fidelity end is trained with ``log_l1_loss``, structural similarity and identity. The detail end
learns the detail of the teacher, the tones and features of the target, and to fool a discriminator.
Samples that the fidelity end restores well learn from the target alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.texture_discriminator import TextureDiscriminator
from vidrestore.training.losses.feature_extractors import FeatureNetwork, load_feature_network
from vidrestore.training.losses.full_precision import to_float32
from vidrestore.training.losses.identity import IdentityNetwork, load_identity_network
from vidrestore.training.on_device.config import DeviceRunConfig
from vidrestore.training.on_device.data.batches import FaceBatch, shift_batch
from vidrestore.training.tasks.discriminators import CropWindow

FEATURE_LAYERS = ("conv1_2", "conv2_2", "conv3_4", "conv4_4")
_TONE_CELL_PX = 8
_FOLD_PX, _PHASE_CELL_PX = 4, 32
_WINDOW_SPREAD = 0.35
"""Standard deviation of a window's distance from the middle, relative to the maximum distance."""
_MIN_TEACHER_RATIO = 0.25
_BORDER_PX = 4
"""Border that is not compared in two shifted views, because shifting repeats edges."""


class LossNetworks(NamedTuple):
    """Frozen networks of the losses."""

    identity: IdentityNetwork | None
    features: FeatureNetwork | None


def load_loss_networks(config: DeviceRunConfig, device: torch.device) -> LossNetworks:
    """Return the networks that the losses of the stages need.

    Raises:
        WeightsError: A file is missing, or of another network.
    """
    weights = [stage.loss_weights for stage in config.stages]
    identity = config.identity_weights if any(weight.identity for weight in weights) else None
    return LossNetworks(
        identity=None if identity is None else load_identity_network(identity).to(device),
        features=load_feature_network(config.feature_weights, layers=FEATURE_LAYERS).to(device)
        if any(weight.features or weight.style for weight in weights)
        else None,
    )


def component_weight_map(boxes_N34: Tensor, *, side_px: int) -> Tensor:
    """Return ``(N, 1, S, S)`` weights: 1 in eyes and mouth, falling smoothly to 0 around them."""
    position = torch.arange(side_px, device=boxes_N34.device, dtype=torch.float32)
    low, high = boxes_N34[..., :2], boxes_N34[..., 2:]
    center, size = (low + high) / 2, (high - low).clamp_min(1)
    distance = ((position - center[..., None]) / size[..., None]).abs().pow(4)  # (N, 3, 2, S)
    weight = (1 - distance[:, :, 0, None, :] - distance[:, :, 1, :, None]).clamp(0, 1)
    return weight.amax(dim=1, keepdim=True)


def draw_face_window(rng: np.random.Generator, *, side: int, image_side: int) -> CropWindow:
    """Draw the position of a window, mostly on the face in the middle of the images.

    Args:
        rng: Generator on the host, since reading a position from the device would synchronize.
        side: Side of the window, at most ``image_side``.
        image_side: Side of the images.
    """
    side = min(side, image_side)
    max_offset = image_side - side
    y, x = np.clip(rng.normal(1, _WINDOW_SPREAD, 2) * max_offset / 2, 0, max_offset)
    return CropWindow(int(y), int(x), side)


def tones(image_NCHW: Tensor) -> Tensor:
    """Return means over cells of 8 x 8 pixels."""
    return F.avg_pool2d(image_NCHW, _TONE_CELL_PX)


def fine_detail(image_NCHW: Tensor) -> Tensor:
    """Return an image minus its interpolated ``tones``, same shape."""
    smooth = F.interpolate(
        tones(image_NCHW),
        scale_factor=float(_TONE_CELL_PX),
        mode="bilinear",
        align_corners=False,
    )
    return image_NCHW - smooth


def tone_loss(restored_NCHW: Tensor, target_NCHW: Tensor, weight_N1HW: Tensor) -> Tensor:
    """Return the L1 difference of tones, a scalar.

    Args:
        restored_NCHW: Any range.
        target_NCHW: Same shape.
        weight_N1HW: Extra weight of every pixel, added to 1.
    """
    error = (tones(restored_NCHW) - tones(target_NCHW)).abs()
    return ((1 + tones(weight_N1HW)) * error).mean()


def phase_loss(restored_NCHW: Tensor, target_NCHW: Tensor) -> Tensor:
    """Return the L1 difference of the mean detail at each of 4 x 4 pixel phases, a scalar.

    The network computes 4 x 4 pixels from one, so detail that it cannot know becomes a grid with
    this period. Then the means of the 16 phases over 32 x 32 pixels differ; in photographs they are
    equal.

    Args:
        restored_NCHW: Any range; sides are multiples of 32.
        target_NCHW: Same shape.
    """
    error = fine_detail(restored_NCHW) - fine_detail(target_NCHW)
    phases = F.pixel_unshuffle(error, _FOLD_PX)
    return F.avg_pool2d(phases, _PHASE_CELL_PX // _FOLD_PX).abs().mean()


def sharpen(image_NCHW: Tensor, amount_N: Tensor) -> Tensor:
    """Return images with ``amount`` times their detail finer than 5 x 5 pixels added."""
    smooth = F.avg_pool2d(image_NCHW, 5, stride=1, padding=2, count_include_pad=False)
    return image_NCHW + amount_N[:, None, None, None] * (image_NCHW - smooth)


def detail_error(restored_NCHW: Tensor, teacher_NCHW: Tensor, use_teacher_N: Tensor) -> Tensor:
    """Return the restored minus the teacher's fine detail, and 0 for samples without a teacher.

    The error is divided by the ratio of samples with a teacher, at least a quarter, so that its
    mean does not depend on their number.
    """
    error = fine_detail(restored_NCHW) - fine_detail(teacher_NCHW)
    ratio = use_teacher_N.float().mean().clamp_min(_MIN_TEACHER_RATIO)
    return error * use_teacher_N[:, None, None, None] / ratio


def gradient_size(error_NCHW: Tensor) -> Tensor:
    """Return the sum of the mean absolute vertical and horizontal gradients, a scalar."""
    down = (error_NCHW[..., 1:, :] - error_NCHW[..., :-1, :]).abs().mean()
    return down + (error_NCHW[..., :, 1:] - error_NCHW[..., :, :-1]).abs().mean()


def unit_feature_loss(restored: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
    """Return the mean over layers of squared differences of unit features, a scalar.

    This is LPIPS (Zhang et al. 2018, section 3.2, equation 1) with equal weights of all channels.

    Args:
        restored: ``(N, C, h, w)`` features of each layer.
        target: Features of the targets, without gradients.
    """
    layers = [
        (
            F.normalize(to_float32(output), dim=1)
            - F.normalize(to_float32(reference.detach()), dim=1)
        )
        .square()
        .sum(dim=1)
        .mean()
        for output, reference in zip(restored, target, strict=True)
    ]
    return torch.stack(layers).mean()


def discriminator_features(
    discriminator: TextureDiscriminator, image_NCHW: Tensor, degraded_NCHW: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Return the scores of a texture discriminator, and the features of its hidden layers."""
    feat = discriminator.network_input(image_NCHW, degraded_NCHW)
    features: list[Tensor] = []
    for layer in discriminator.layers:
        feat = layer(feat)
        if isinstance(layer, nn.LeakyReLU):
            features.append(feat)
    return feat, features


def masked_hinge_loss(real: Tensor, fake: Tensor, sharp_N: Tensor) -> Tensor:
    """Return the discriminator's hinge loss, on sharp real images only.

    Unlike with ``hinge_discriminator_loss``, the number of sharp samples stays on the device.

    Args:
        real: ``(N, 1, h, w)`` scores of originals.
        fake: Scores of restored images.
        sharp_N: bool; without a sharp sample, real images do not contribute.
    """
    cost_N = F.relu(1 - to_float32(real)).mean(dim=(1, 2, 3))
    weight_N = sharp_N.float()
    real_loss = (cost_N * weight_N).sum() / weight_N.sum().clamp_min(1)
    return real_loss + F.relu(1 + to_float32(fake)).mean()


def consistency_loss(restored_NCHW: Tensor, second_MCHW: Tensor, batch: FaceBatch) -> Tensor:
    """Return the L1 difference of two views of the same faces after their shifts are undone.

    Noise and sub-pixel motion make the output flicker in a film. Both views are shifted back by the
    same distance, so that interpolation blurs them equally.

    Args:
        restored_NCHW: Output for the batch.
        second_MCHW: Output for its second views.
        batch: The batch, with ``second_view``.

    Raises:
        ValueError: The batch has no second views.
    """
    if batch.second_view is None:
        raise ValueError("the batch has no second views")
    shift = batch.second_view.shift_xy
    first = shift_batch(restored_NCHW[: len(second_MCHW)], -shift)
    second = shift_batch(second_MCHW, shift)
    inner = slice(_BORDER_PX, -_BORDER_PX)
    return (first - second)[..., inner, inner].abs().mean()
