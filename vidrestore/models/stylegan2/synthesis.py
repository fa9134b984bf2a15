"""The synthesis network: from a constant through style blocks to a picture (StyleGAN2, fig. 2c).

One walk serves every network built on the prior. They differ in their blocks (``StyleBlock``,
``RgbBlock``) and in what is done to the features between two blocks of a scale: nothing in the
prior, a spatial feature transform in GFP-GAN.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import torch
from torch import Tensor, nn

Noise: TypeAlias = Sequence[Tensor]
"""One ``(1 or N, C, S, S)`` map per style block, coarse to fine."""

Between: TypeAlias = Callable[[int, Tensor], Tensor]
"""(scale, features between its two style blocks) -> features; scale 0 is 8 pixels."""


class StyleBlock(Protocol):
    """A modulated convolution with noise and activation.

    One that keeps the size may use the memory of its features while nothing is trained; one
    that doubles it leaves them as they are.
    """

    def __call__(self, feat_NCHW: Tensor, style_NF: Tensor, noise: Tensor) -> Tensor:
        """Return ``(N, outputs, S, S)``; ``noise`` is ``(1 or N, 1, S, S)``."""
        ...


class RgbBlock(Protocol):
    """Adds a scale's picture to that of the coarser scales."""

    def __call__(self, feat_NCHW: Tensor, style_NF: Tensor, coarser: Tensor | None) -> Tensor:
        """Return the picture of this scale."""
        ...


class ConstantInput(nn.Module):
    """The learned 4 x 4 start of every picture.

    Args:
        channels: Of the features.
        size: Side in pixels.
        key: What the parameter is called in checkpoints.
    """

    def __init__(self, *, channels: int, size: int = 4, key: str = "weight") -> None:
        super().__init__()
        self._key = key
        self.register_parameter(key, nn.Parameter(torch.randn(1, channels, size, size)))

    def forward(self, batch: int) -> Tensor:
        """Return a new tensor, ``(batch, channels, size, size)``, that shares no memory."""
        return self.get_parameter(self._key).repeat(batch, 1, 1, 1)


class NoiseBuffers(nn.Module):
    """The fixed noise maps of a checkpoint: ``noise0`` at 4 pixels, then two per scale."""

    def __init__(self, *, size_px: int) -> None:
        super().__init__()
        for at, side in enumerate(noise_sides(size_px)):
            self.register_buffer(f"noise{at}", torch.randn(1, 1, side, side))

    def forward(self) -> list[Tensor]:
        """Return the maps, coarse to fine."""
        return [self.get_buffer(f"noise{at}") for at in range(len(self._buffers))]


def noise_sides(size_px: int) -> list[int]:
    """Return the side of every style block's noise map, coarse to fine."""
    return [2 ** ((at + 5) // 2) for at in range(scale_count(size_px) * 2 + 1)]


def scale_count(size_px: int) -> int:
    """Return how many scales above 4 pixels a picture has.

    Raises:
        ValueError: The side is not a power of two from 8 to 1024.
    """
    if size_px not in {2**power for power in range(3, 11)}:
        raise ValueError(f"the side must be a power of two from 8 to 1024, got {size_px}")
    return size_px.bit_length() - 3


def sample_noise(size_px: int, *, batch: int, generator: torch.Generator) -> list[Tensor]:
    """Return fresh noise for a batch, on the generator's device; for training."""
    return [
        torch.randn(batch, 1, side, side, generator=generator, device=generator.device)
        for side in noise_sides(size_px)
    ]


def unchanged(scale: int, feat_NCHW: Tensor) -> Tensor:
    """Return features as they are: the plain prior's ``Between``."""
    del scale
    return feat_NCHW


def run_synthesis(
    start_NCHW: Tensor,
    latents_NLF: Tensor,
    noise: Noise,
    *,
    first: tuple[StyleBlock, RgbBlock],
    scales: Sequence[tuple[StyleBlock, StyleBlock, RgbBlock]],
    between: Between = unchanged,
) -> Tensor:
    """Walk from the constant to the picture.

    Args:
        start_NCHW: The constant, once per sample.
        latents_NLF: ``(N, 2 * scales + 2, F)`` codes, one per block; the picture block of a
            scale shares its code with the first style block of the next.
        noise: One map per style block.
        first: The blocks at 4 pixels.
        scales: The blocks of every further scale; the first of them doubles the size.
        between: Applied to the features between the two style blocks of a scale.

    Returns:
        ``(N, 3, S, S)`` picture, not clipped.
    """
    feat = first[0](start_NCHW, latents_NLF[:, 0], noise[0])
    picture = first[1](feat, latents_NLF[:, 1], None)
    for at, (up_block, block, rgb_block) in enumerate(scales):
        feat = up_block(feat, latents_NLF[:, 2 * at + 1], noise[2 * at + 1])
        feat = between(at, feat)
        feat = block(feat, latents_NLF[:, 2 * at + 2], noise[2 * at + 2])
        picture = rgb_block(feat, latents_NLF[:, 2 * at + 3], picture)
    return picture


class Synthesis(nn.Module):
    """A generator's parts in their published names, and the walk through them."""

    num_latent: int
    constant_input: ConstantInput
    style_conv1: nn.Module
    to_rgb1: nn.Module
    style_convs: nn.ModuleList
    to_rgbs: nn.ModuleList
    noises: NoiseBuffers

    def broadcast(self, style_NF: Tensor) -> Tensor:
        """Return one code in W for all blocks, ``(N, num_latent, F)``."""
        return style_NF[:, None].expand(-1, self.num_latent, -1)

    def synthesise(
        self, latents_NLF: Tensor, *, noise: Noise | None = None, between: Between = unchanged
    ) -> Tensor:
        """Return the picture of codes in W+, ``(N, 3, S, S)``.

        Args:
            latents_NLF: ``(N, num_latent, F)``.
            noise: One map per style block; the stored ones where None.
            between: What to do to the features between the two blocks of a scale.
        """
        convs = list(self.style_convs)
        return run_synthesis(
            self.constant_input(latents_NLF.shape[0]),
            latents_NLF,
            self.noises() if noise is None else noise,
            first=(self.style_conv1, self.to_rgb1),
            scales=list(zip(convs[::2], convs[1::2], self.to_rgbs, strict=True)),
            between=between,
        )
