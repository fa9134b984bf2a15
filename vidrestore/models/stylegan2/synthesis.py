"""The synthesis network: from a constant through style blocks to an image (StyleGAN2, fig. 2c).

All networks built on the prior share this forward pass. They differ in their blocks
(``StyleBlock``, ``RgbBlock``) and in the hook on the features between two blocks of a scale: none
in the prior, a spatial feature transform in GFP-GAN.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

import torch
from torch import Tensor, nn

Noise: TypeAlias = Sequence[Tensor]
"""One ``(1 or N, C, S, S)`` map per style block, coarse to fine."""

FeatureHook: TypeAlias = Callable[[int, Tensor], Tensor]
"""(scale, features between its two style blocks) -> features; scale 0 is 8 pixels."""


class StyleBlock(Protocol):
    """A modulated convolution with noise and activation.

    One that keeps the size may use the memory of its features while nothing is trained; one
    that doubles it leaves them as they are.
    """

    def __call__(self, feat_NCHW: Tensor, style_NF: Tensor, noise: Tensor) -> Tensor:
        """Return ``(N, out_channels, S, S)``; ``noise`` is ``(1 or N, 1, S, S)``."""
        ...


class RgbBlock(Protocol):
    """Adds a scale's image to that of the coarser scales."""

    def __call__(self, feat_NCHW: Tensor, style_NF: Tensor, coarser: Tensor | None) -> Tensor:
        """Return the image up to this scale."""
        ...


class ConstantInput(nn.Module):
    """The learned 4 x 4 constant that synthesis starts from.

    Args:
        channels: Number of feature channels.
        key: Name of the parameter in checkpoints.
    """

    def __init__(self, *, channels: int, key: str = "weight") -> None:
        super().__init__()
        self._key = key
        self.register_parameter(key, nn.Parameter(torch.randn(1, channels, 4, 4)))

    def forward(self, batch: int) -> Tensor:
        """Return ``(batch, channels, 4, 4)``, which shares no memory with the parameter."""
        return self.get_parameter(self._key).repeat(batch, 1, 1, 1)


class NoiseBuffers(nn.Module):
    """The fixed noise maps of a checkpoint: ``noise0`` at 4 pixels, then two per scale."""

    def __init__(self, *, size_px: int) -> None:
        super().__init__()
        for index, side in enumerate(noise_sides(size_px)):
            self.register_buffer(f"noise{index}", torch.randn(1, 1, side, side))

    def forward(self) -> list[Tensor]:
        """Return the maps, coarse to fine."""
        return [self.get_buffer(f"noise{index}") for index in range(len(self._buffers))]


def noise_sides(size_px: int) -> list[int]:
    """Return the side of every style block's noise map, coarse to fine."""
    return [2 ** ((index + 5) // 2) for index in range(scale_count(size_px) * 2 + 1)]


def scale_count(size_px: int) -> int:
    """Return the number of scales above 4 pixels.

    Raises:
        ValueError: The side is not a power of two from 8 to 1024.
    """
    if size_px not in {2**power for power in range(3, 11)}:
        raise ValueError(f"the side must be a power of two from 8 to 1024, got {size_px}")
    return size_px.bit_length() - 3


def scale_modules(
    scales: int,
    channels: Mapping[int, int],
    style_conv: Callable[..., nn.Module],
    to_rgb: Callable[..., nn.Module],
    *,
    wide: int = 1,
) -> tuple[nn.ModuleList, nn.ModuleList]:
    """Return the style blocks, two per scale above 4 pixels, and the RGB block of each scale.

    Args:
        scales: Number of scales.
        channels: Number of channels by side.
        style_conv: Builds a ``StyleBlock``.
        to_rgb: Builds an ``RgbBlock``.
        wide: How many times the channels of a block's result the next block gets.
    """
    style_convs, to_rgbs = nn.ModuleList(), nn.ModuleList()
    for index in range(scales):
        coarse, fine = channels[4 << index], channels[8 << index]
        style_convs.append(style_conv(in_channels=coarse * wide, out_channels=fine, upsample=True))
        style_convs.append(style_conv(in_channels=fine * wide, out_channels=fine))
        to_rgbs.append(to_rgb(in_channels=fine * wide))
    return style_convs, to_rgbs


def sample_noise(size_px: int, *, batch: int, generator: torch.Generator) -> list[Tensor]:
    """Return fresh noise for a batch, on the generator's device; for training."""
    return [
        torch.randn(batch, 1, side, side, generator=generator, device=generator.device)
        for side in noise_sides(size_px)
    ]


def identity_hook(scale: int, feat_NCHW: Tensor) -> Tensor:
    """Return features as they are: the hook of the prior alone."""
    del scale
    return feat_NCHW


def run_synthesis(
    start_NCHW: Tensor,
    latents_NLF: Tensor,
    noise: Noise,
    *,
    first: tuple[StyleBlock, RgbBlock],
    scales: Sequence[tuple[StyleBlock, StyleBlock, RgbBlock]],
    hook: FeatureHook = identity_hook,
) -> Tensor:
    """Run the style blocks from the constant to the image.

    Args:
        start_NCHW: The constant, once per sample.
        latents_NLF: ``(N, 2 * scales + 2, F)`` codes, one per block; the RGB block of a scale
            shares its code with the first style block of the next.
        noise: One map per style block.
        first: The blocks at 4 pixels.
        scales: The blocks of every further scale; the first of them doubles the size.
        hook: Applied to the features between the two style blocks of a scale.

    Returns:
        ``(N, 3, S, S)`` image, not clipped.
    """
    feat = first[0](start_NCHW, latents_NLF[:, 0], noise[0])
    image = first[1](feat, latents_NLF[:, 1], None)
    for index, (up_block, block, rgb_block) in enumerate(scales):
        feat = up_block(feat, latents_NLF[:, 2 * index + 1], noise[2 * index + 1])
        feat = hook(index, feat)
        feat = block(feat, latents_NLF[:, 2 * index + 2], noise[2 * index + 2])
        image = rgb_block(feat, latents_NLF[:, 2 * index + 3], image)
    return image


class Synthesis(nn.Module):
    """A generator's parts under their published names, and the synthesis through them."""

    num_latent: int
    constant_input: ConstantInput
    style_conv1: nn.Module
    to_rgb1: nn.Module
    style_convs: nn.ModuleList
    to_rgbs: nn.ModuleList
    noises: NoiseBuffers

    def to_w_plus(self, style_NF: Tensor) -> Tensor:
        """Return W+ codes ``(N, num_latent, F)`` that repeat one code in W."""
        return style_NF[:, None].expand(-1, self.num_latent, -1)

    def synthesize(
        self, latents_NLF: Tensor, *, noise: Noise | None = None, hook: FeatureHook = identity_hook
    ) -> Tensor:
        """Return the image of codes in W+, ``(N, 3, S, S)``.

        Args:
            latents_NLF: ``(N, num_latent, F)``.
            noise: One map per style block; the stored ones where None.
            hook: What to do to the features between the two blocks of a scale.
        """
        convs = list(self.style_convs)
        return run_synthesis(
            self.constant_input(latents_NLF.shape[0]),
            latents_NLF,
            self.noises() if noise is None else noise,
            first=(self.style_conv1, self.to_rgb1),
            scales=list(zip(convs[::2], convs[1::2], self.to_rgbs, strict=True)),
            hook=hook,
        )
