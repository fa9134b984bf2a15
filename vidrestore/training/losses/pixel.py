"""Losses on pixels."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.metrics.psnr_ssim import ssim
from vidrestore.training.losses.full_precision import to_float32


def log_l1_loss(restored_NCHW: Tensor, target_NCHW: Tensor, *, floor: float = 0.02) -> Tensor:
    """Return ``log(mean |error| + floor)`` of each crop, ``(N,)``.

    The logarithm of each crop's own L1 error weights every crop by its possible gain: a nearly
    clean face that gets 10 % worse costs as much as a ruined one that does. In a plain mean, ruined
    crops would dominate, and clean ones would be harmed.

    Args:
        restored_NCHW: float, any range.
        target_NCHW: Same shape.
        floor: Negligible error, in units of the range. Without it the few undegraded crops, whose
            error starts at zero, would outweigh all others.
    """
    error_N = (restored_NCHW - target_NCHW).abs().mean(dim=(1, 2, 3))
    return torch.log(error_N + floor)


def l1_loss(restored: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute difference, a scalar in units of the range.

    The first terms of GFP-GAN's reconstruction loss (section 3.5) and of MMRB's content loss
    (section 3.4, equation 14), and used by PSFR-GAN's released code, where equation 6 has
    squares.

    Args:
        restored: float, any shape and range.
        target: Same shape; gets no gradient.

    Raises:
        ValueError: The shapes differ.
    """
    if restored.shape != target.shape:
        raise ValueError(f"shapes differ: {tuple(restored.shape)} and {tuple(target.shape)}")
    return F.l1_loss(to_float32(restored), to_float32(target.detach()))


def ssim_loss(restored_NCHW: Tensor, target_NCHW: Tensor) -> Tensor:
    """Return one minus the mean structural similarity of brightness, a scalar.

    Zhao et al. 2017, "Loss functions for image restoration with neural networks", section III-B.
    Pixel losses treat flat and textured patches alike; this one is relative to the local contrast.
    It is computed on brightness, the mean of the channels: a third of the cost, nearly the same.

    Args:
        restored_NCHW: RGB in [-1, 1], at least 11 pixels on each side.
        target_NCHW: Same shape; gets no gradient.
    """
    restored, target = (
        to_float32(image).mean(dim=1, keepdim=True) / 2 + 0.5
        for image in (restored_NCHW, target_NCHW.detach())
    )
    return 1 - ssim(restored, target).mean()


def pyramid_loss(pyramid: Sequence[Tensor], target_NCHW: Tensor) -> Tensor:
    """Return the sum over scales of the L1 error against the target at the size of the scale.

    The pyramid restoration guidance of GFP-GAN (sections 3.2 and 3.5), and the L1 error of every
    decoder scale of MMRB. The target is downscaled by area averages, which for halved sizes equal
    the repeated bilinear halving of the released code. That code turns the loss off after 50,000 of
    800,000 steps; here the caller's schedule does.

    Args:
        pyramid: ``(N, 3, h, w)`` images of ``RestorerOutput.pyramid``, in any order.
        target_NCHW: ``(N, 3, H, W)``; no side smaller than those of the pyramid.

    Raises:
        ValueError: There is no image, or one is larger than the target.
    """
    if not pyramid:
        raise ValueError("the pyramid is empty; call the network with with_pyramid=True")
    target = to_float32(target_NCHW.detach())
    height, width = target.shape[2:]
    terms: list[Tensor] = []
    for image in pyramid:
        small_h, small_w = image.shape[2:]
        if small_h > height or small_w > width:
            raise ValueError(
                f"an image of {small_h} x {small_w} px cannot be compared with a target of "
                f"{height} x {width} px"
            )
        terms.append(l1_loss(image, F.adaptive_avg_pool2d(target, (small_h, small_w))))
    return torch.stack(terms).sum()
