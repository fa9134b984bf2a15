"""One degradation for each picture of a batch, on the device.

The order is that of GFP-GAN's section 4.1 and of the film recipe: blur, a smaller picture, grain
and noise, JPEG, back to size, 8-bit levels. Runs in float32 and without gradients.
"""

import torch
from torch import Tensor

from vidrestore.training.degradations.fading import LUMA_RGB
from vidrestore.training.degradations.noise import GRAIN_AT_ENDS, GRAIN_IN_MIDTONES
from vidrestore.training.on_device.data.jpeg import jpeg_each
from vidrestore.training.on_device.data.kernels import (
    filtered_each,
    gaussian_kernels,
    motion_kernels,
)
from vidrestore.training.on_device.data.sampling import edges_repeated, resize_matrices, sampled
from vidrestore.training.on_device.data.table import DrawnDegradations

_GRAIN_REACH_PX = 5
"""Grains are at most 1.2 pixels wide."""


def toned(image_NCHW: Tensor, drawn: DrawnDegradations) -> Tensor:
    """Return pictures in the exposure and the tones of their footage: the restorer's targets.

    As ``data.sources.toned`` and then ``degradations.tone.Tone.apply`` without flicker.

    Args:
        image_NCHW: ``(N, 3, S, S)`` float32 RGB in [0, 1].
        drawn: N degradations.
    """
    image = image_NCHW.pow(_each(drawn.gamma)) * drawn.gain_rgb[:, :, None, None]
    image = (image + _each(drawn.lift)).clamp(0, 1)
    image = image.lerp(image.mean(dim=1, keepdim=True).expand_as(image), _each(drawn.grey))
    image = image.pow(_each(drawn.aged_gamma))
    red, green, blue = (float(each) for each in LUMA_RGB)
    luma = red * image[:, :1] + green * image[:, 1:2] + blue * image[:, 2:]
    image = image.lerp(luma.expand_as(image), _each(drawn.aged_grey))
    return (image * drawn.aged_gain_rgb[:, :, None, None] + _each(drawn.aged_lift)).clamp(0, 1)


def degraded(
    image_NCHW: Tensor, drawn: DrawnDegradations, *, reach_px: int, generator: torch.Generator
) -> Tensor:
    """Return degraded pictures in [0, 1], in 8-bit levels.

    Args:
        image_NCHW: ``(N, 3, S, S)`` float32 RGB in [0, 1] of ``toned``; S a multiple of 16.
        drawn: N degradations for pictures of that size.
        reach_px: Of the table that they are from.
        generator: Of the noise, on the device.
    """
    side = image_NCHW.shape[-1]
    full_N = torch.full_like(drawn.small_px, side)
    shrink = resize_matrices(full_N, drawn.small_px, drawn.down_filter, side_px=side)
    image = sampled(_blurred(image_NCHW, drawn, reach_px), shrink, shrink)
    image = _grainy(image, drawn, generator)
    noise = torch.randn(image.shape, generator=generator, device=image.device)
    image = edges_repeated(image + _each(drawn.noise) * noise, drawn.small_px)
    coded = jpeg_each(image, drawn.jpeg_quality, drawn.small_px)
    image = torch.where(_each(drawn.jpeg_quality) > 0, coded, image)
    enlarge = resize_matrices(drawn.small_px, full_N, drawn.up_filter, side_px=side)
    return (sampled(image, enlarge, enlarge).clamp(0, 1) * 255).round() / 255


def _blurred(image_NCHW: Tensor, drawn: DrawnDegradations, reach_px: int) -> Tensor:
    lens = gaussian_kernels(drawn.sigma_px, drawn.ratio, drawn.angle, reach_px=reach_px)
    motion = motion_kernels(drawn.motion_px, drawn.angle, reach_px=reach_px)
    kernel = torch.where(drawn.motion_px[:, None, None] > 0, motion, lens)
    return filtered_each(image_NCHW, kernel)


def _grainy(image_NCHW: Tensor, drawn: DrawnDegradations, generator: torch.Generator) -> Tensor:
    """Add grey grain of unit deviation before its strength and visibility, as ``add_grain``."""
    count, _, height, width = image_NCHW.shape
    white = torch.randn(count, 1, height, width, generator=generator, device=image_NCHW.device)
    round_ = torch.ones_like(drawn.grain_px)
    kernel = gaussian_kernels(
        drawn.grain_px, round_, torch.zeros_like(round_), reach_px=_GRAIN_REACH_PX
    )
    kernel = kernel / kernel.square().sum(dim=(1, 2), keepdim=True).sqrt()
    luma = image_NCHW.mean(dim=1, keepdim=True).clamp(0, 1)
    visible = GRAIN_AT_ENDS + GRAIN_IN_MIDTONES * luma * (1 - luma)
    return image_NCHW + _each(drawn.grain) * filtered_each(white, kernel) * visible


def _each(value_N: Tensor) -> Tensor:
    return value_N[:, None, None, None]
