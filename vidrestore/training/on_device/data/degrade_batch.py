"""Degrades a batch on the device, each image with its own degradation.

The order is that of GFP-GAN (section 4.1) and of the recipe ``film``: blur, downscaling, grain and
noise, JPEG, upscaling, rounding to 8 bits. It runs in float32 without gradients.
"""

import torch
from torch import Tensor

from vidrestore.training.degradations.fading import LUMA_RGB
from vidrestore.training.degradations.noise import GRAIN_BASE, GRAIN_MIDTONE_GAIN
from vidrestore.training.on_device.data.blur_kernels import (
    filter_batch,
    gaussian_kernels,
    motion_kernels,
)
from vidrestore.training.on_device.data.degradation_table import DrawnDegradations
from vidrestore.training.on_device.data.jpeg import jpeg_batch
from vidrestore.training.on_device.data.resize_matrices import (
    apply_matrices,
    repeat_edges,
    resize_matrices,
)

_GRAIN_REACH_PX = 5
"""Grains are at most 1.2 pixels wide."""


def apply_tones(image_NCHW: Tensor, rows: DrawnDegradations) -> Tensor:
    """Return images in the exposure and the tones of their footage, the restorer's targets.

    Equals ``Exposure.apply``, then ``Tone.apply`` without flicker.

    Args:
        image_NCHW: ``(N, 3, S, S)`` float32 RGB in [0, 1].
        rows: N degradations.
    """
    image = image_NCHW.pow(_per_image(rows.gamma)) * rows.gain_rgb[:, :, None, None]
    image = (image + _per_image(rows.lift)).clamp(0, 1)
    image = image.lerp(image.mean(dim=1, keepdim=True).expand_as(image), _per_image(rows.gray))
    image = image.pow(_per_image(rows.aged_gamma))
    red, green, blue = (float(weight) for weight in LUMA_RGB)
    luma = red * image[:, :1] + green * image[:, 1:2] + blue * image[:, 2:]
    image = image.lerp(luma.expand_as(image), _per_image(rows.aged_gray))
    return (image * rows.aged_gain_rgb[:, :, None, None] + _per_image(rows.aged_lift)).clamp(0, 1)


def degrade_batch(
    image_NCHW: Tensor, rows: DrawnDegradations, *, reach_px: int, generator: torch.Generator
) -> Tensor:
    """Return degraded images in [0, 1], rounded to 8-bit levels.

    Args:
        image_NCHW: ``(N, 3, S, S)`` float32 RGB in [0, 1] from ``apply_tones``; S is a multiple of
            16.
        rows: N degradations for images of that size.
        reach_px: ``DegradationTable.reach_px`` of the rows' table.
        generator: Generator of the noise, on the device.
    """
    side = image_NCHW.shape[-1]
    full_N = torch.full_like(rows.small_px, side)
    shrink = resize_matrices(full_N, rows.small_px, rows.down_filter, side_px=side)
    image = apply_matrices(_blur(image_NCHW, rows, reach_px), shrink, shrink)
    image = _add_grain(image, rows, generator)
    noise = torch.randn(image.shape, generator=generator, device=image.device)
    image = repeat_edges(image + _per_image(rows.noise) * noise, rows.small_px)
    coded = jpeg_batch(image, rows.jpeg_quality, rows.small_px)
    image = torch.where(_per_image(rows.jpeg_quality) > 0, coded, image)
    enlarge = resize_matrices(rows.small_px, full_N, rows.up_filter, side_px=side)
    return (apply_matrices(image, enlarge, enlarge).clamp(0, 1) * 255).round() / 255


def _blur(image_NCHW: Tensor, rows: DrawnDegradations, reach_px: int) -> Tensor:
    lens = gaussian_kernels(rows.sigma_px, rows.ratio, rows.angle, reach_px=reach_px)
    motion = motion_kernels(rows.motion_px, rows.angle, reach_px=reach_px)
    kernel = torch.where(rows.motion_px[:, None, None] > 0, motion, lens)
    return filter_batch(image_NCHW, kernel)


def _add_grain(image_NCHW: Tensor, rows: DrawnDegradations, generator: torch.Generator) -> Tensor:
    """Add gray grain, as ``add_grain``."""
    count, _, height, width = image_NCHW.shape
    white = torch.randn(count, 1, height, width, generator=generator, device=image_NCHW.device)
    ratio, angle = torch.ones_like(rows.grain_px), torch.zeros_like(rows.grain_px)
    kernel = gaussian_kernels(rows.grain_px, ratio, angle, reach_px=_GRAIN_REACH_PX)
    kernel = kernel / kernel.square().sum(dim=(1, 2), keepdim=True).sqrt()
    luma = image_NCHW.mean(dim=1, keepdim=True).clamp(0, 1)
    visibility = GRAIN_BASE + GRAIN_MIDTONE_GAIN * luma * (1 - luma)
    return image_NCHW + _per_image(rows.grain) * filter_batch(white, kernel) * visibility


def _per_image(value_N: Tensor) -> Tensor:
    return value_N[:, None, None, None]
