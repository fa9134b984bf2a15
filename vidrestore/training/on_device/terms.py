"""Losses of the stages: functions of batches, none of which asks the device for a number.

The fidelity end is trained by ``log_l1_loss``, structural similarity and identity. The detail end
imitates the teacher's detail on the truth's tones, then the features of the truth, against an
adversary. Where the teacher could only harm, the truth is the target.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.texture_discriminator import TextureDiscriminator
from vidrestore.training.losses.full_precision import to_float32
from vidrestore.training.on_device.data.batches import FaceBatch, shifted
from vidrestore.training.tasks.discriminators import CropWindow

_TONE_CELL_PX = 8
_WINDOW_SPREAD = 0.35
"""Deviation of a window's place from the middle, in parts of the way to the border."""
_LEAST_TAUGHT = 0.25
_BORDER_PX = 4
"""Left out where two shifted views are compared: beyond the edge nothing is known."""


def component_places(boxes_N34: Tensor, *, side_px: int) -> Tensor:
    """Return ``(N, 1, S, S)``: 1 in the middle of eyes and mouth, softly to 0 about their boxes."""
    place = torch.arange(side_px, device=boxes_N34.device, dtype=torch.float32)
    low, high = boxes_N34[..., :2], boxes_N34[..., 2:]
    centre, size = (low + high) / 2, (high - low).clamp_min(1)
    away = ((place - centre[..., None]) / size[..., None]).abs().pow(4)  # (N, 3, 2, S)
    inside = (1 - away[:, :, 0, None, :] - away[:, :, 1, :, None]).clamp(0, 1)
    return inside.amax(dim=1, keepdim=True)


def face_window(rng: np.random.Generator, *, side: int, within: int) -> CropWindow:
    """Draw a window of pictures of side ``within``, most often about the face in their middle.

    Args:
        rng: The host's: cutting out at a number that is on the device would wait for that.
        side: Of the window, at most ``within``.
        within: Side of the pictures.
    """
    side = min(side, within)
    room = within - side
    y, x = np.clip(rng.normal(1, _WINDOW_SPREAD, 2) * room / 2, 0, room)
    return CropWindow(int(y), int(x), side)


def tones(image_NCHW: Tensor) -> Tensor:
    """Return means over 8 x 8 pixels."""
    return F.avg_pool2d(image_NCHW, _TONE_CELL_PX)


def fine_detail(image_NCHW: Tensor) -> Tensor:
    """Return what a picture has beyond its ``tones``, same shape."""
    smooth = F.interpolate(
        tones(image_NCHW),
        scale_factor=float(_TONE_CELL_PX),
        mode="bilinear",
        align_corners=False,
    )
    return image_NCHW - smooth


def tone_loss(restored_NCHW: Tensor, target_NCHW: Tensor, places_N1HW: Tensor) -> Tensor:
    """Return the L1 difference of tones, a scalar.

    Args:
        restored_NCHW: Any range.
        target_NCHW: Same shape.
        places_N1HW: Weight of every pixel beyond 1.
    """
    error = (tones(restored_NCHW) - tones(target_NCHW)).abs()
    return ((1 + tones(places_N1HW)) * error).mean()


def sharpened(image_NCHW: Tensor, amount: float) -> Tensor:
    """Return a picture with ``amount`` of what is finer than 5 x 5 pixels added once more."""
    if amount == 0:
        return image_NCHW
    smooth = F.avg_pool2d(image_NCHW, 5, stride=1, padding=2, count_include_pad=False)
    return image_NCHW + amount * (image_NCHW - smooth)


def detail_error(restored_NCHW: Tensor, teacher_NCHW: Tensor, taught_N: Tensor) -> Tensor:
    """Return the fine detail restored less the teacher's, same shape; 0 where not ``taught``.

    Divided by the share of samples that are taught, a quarter at least, so that the mean does not
    depend on how many of a batch are.
    """
    error = fine_detail(restored_NCHW) - fine_detail(teacher_NCHW)
    share = taught_N.float().mean().clamp_min(_LEAST_TAUGHT)
    return error * taught_N[:, None, None, None] / share


def gradient_size(error_NCHW: Tensor) -> Tensor:
    """Return the sum of the mean absolute vertical and horizontal gradients, a scalar."""
    down = (error_NCHW[..., 1:, :] - error_NCHW[..., :-1, :]).abs().mean()
    return down + (error_NCHW[..., :, 1:] - error_NCHW[..., :, :-1]).abs().mean()


def unit_feature_loss(restored: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
    """Return the mean over layers of squared differences of unit features, a scalar.

    As LPIPS (Zhang et al. 2018, section 3.2, equation 1) with all channels weighted alike.

    Args:
        restored: ``(N, C, h, w)`` features, one for each layer.
        target: Those of the targets; get no gradient.
    """
    layers = [
        (F.normalize(to_float32(one), dim=1) - F.normalize(to_float32(other.detach()), dim=1))
        .square()
        .sum(dim=1)
        .mean()
        for one, other in zip(restored, target, strict=True)
    ]
    return torch.stack(layers).mean()


def judged_features(
    judge: TextureDiscriminator, picture_NCHW: Tensor, degraded_NCHW: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Return the scores of a texture discriminator and the features of its layers before them."""
    feat = torch.cat([picture_NCHW, degraded_NCHW], dim=1)
    feat = feat.contiguous(memory_format=torch.channels_last)
    features: list[Tensor] = []
    for layer in judge.layers:
        feat = layer(feat)
        if isinstance(layer, nn.LeakyReLU):
            features.append(feat)
    return feat, features


def sharp_hinge_loss(real: Tensor, fake: Tensor, sharp_N: Tensor) -> Tensor:
    """Return the discriminator's hinge loss, real pictures counting where they are sharp.

    As ``hinge_discriminator_loss``, but for a mask in place of a choice: how many samples are
    sharp stays on the device.

    Args:
        real: ``(N, 1, h, w)`` scores of originals.
        fake: Those of restored pictures.
        sharp_N: bool; where none is, real pictures cost nothing.
    """
    cost_N = F.relu(1 - to_float32(real)).mean(dim=(1, 2, 3))
    weight_N = sharp_N.float()
    known = (cost_N * weight_N).sum() / weight_N.sum().clamp_min(1)
    return known + F.relu(1 + to_float32(fake)).mean()


def consistency_loss(restored_NCHW: Tensor, again_MCHW: Tensor, batch: FaceBatch) -> Tensor:
    """Return the L1 difference of two views of the same faces after their shifts are undone.

    What flickers in a film is what noise and a sub-pixel motion change in the result. Both views
    are shifted back by as much, so that interpolation softens them alike.

    Args:
        restored_NCHW: Of the batch.
        again_MCHW: Of its second views.
        batch: With ``again``.

    Raises:
        ValueError: The batch has no second views.
    """
    if batch.again is None:
        raise ValueError("the batch has no second views")
    shift = batch.again.shift_xy
    own = shifted(restored_NCHW[: len(again_MCHW)], -shift)
    other = shifted(again_MCHW, shift)
    inner = slice(_BORDER_PX, -_BORDER_PX)
    return (own - other)[..., inner, inner].abs().mean()
