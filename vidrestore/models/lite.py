"""``lite``: the embedded restorer, a compact residual U-Net over folded pixels.

Our own design. The 512 crop is folded to a quarter of its side (pixel unshuffle), so that
all arithmetic happens at 128 pixels and below, where dense 3x3 convolutions keep a CPU's
matrix units busy. The network predicts what to add to its input: zero weights in the last
layer make it the identity, which is what protects faces that are already good. Texture too fine
to be recovered is mixed from a fixed basis, in strengths that the network tells.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.outputs import Restored
from vidrestore.models.texture_basis import TEXTURES, texture_basis
from vidrestore.types import CROP_SIZE_PX

_FOLD = 4


class ResidualBlock(nn.Module):
    """Normalise, filter, activate, filter, scale; around an identity path.

    Normalisation is over the channels of each pixel, so that neither the batch nor the rest
    of the picture has a say in a pixel's result.
    """

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.conv1 = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        # A small step per block keeps a deep stack trainable from the start.
        self.scale = nn.Parameter(torch.full((1, channels, 1, 1), 0.2))

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return features of the same shape."""
        normed = self.norm(feat_NCHW.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        change = self.conv2(F.leaky_relu(self.conv1(normed), 0.2))
        return feat_NCHW + self.scale * change


def _blocks(count: int, *, channels: int) -> nn.Sequential:
    return nn.Sequential(*[ResidualBlock(channels=channels) for _ in range(count)])


class TextureMixer(nn.Module):
    """Tells how much of each texture is to be seen where, and mixes it.

    Args:
        channels: Of the features, at 1/4 of the picture's side.
        blocks: Residual blocks that read them.
    """

    basis: Tensor

    def __init__(self, *, channels: int, blocks: int) -> None:
        super().__init__()
        self.blocks = _blocks(blocks, channels=channels)
        self.strengths = nn.Conv2d(channels, TEXTURES, kernel_size=3, padding=1)
        nn.init.zeros_(self.strengths.weight)
        if self.strengths.bias is not None:
            nn.init.zeros_(self.strengths.bias)
        self.register_buffer("basis", texture_basis(CROP_SIZE_PX), persistent=False)

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return brightness to add, ``(N, 1, 4 H, 4 W)`` float32."""
        height, width = (_FOLD * each for each in feat_NCHW.shape[-2:])
        times = [1, -(-height // CROP_SIZE_PX), -(-width // CROP_SIZE_PX)]
        basis = self.basis.float().repeat(times)[:, :height, :width]
        strengths = self.strengths(self.blocks(feat_NCHW)).float()
        # Smooth in space, or the grid of its samples would be seen.
        smooth = F.interpolate(strengths.contiguous(), (height, width), mode="bilinear")
        return (smooth * basis).sum(dim=1, keepdim=True)


class Lite(nn.Module):
    """U-Net restorer of faces in the 512 alignment; sides must be multiples of 32.

    Args:
        widths: Channels at 1/4, 1/8, 1/16, ... of the input's side.
        encoder_blocks: Residual blocks per scale on the way down, one entry per width;
            the last is the bottleneck.
        decoder_blocks: Residual blocks per scale on the way up, finest first, one entry
            fewer than widths.
        texture_blocks: Residual blocks of the texture mixer.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int],
        encoder_blocks: Sequence[int],
        decoder_blocks: Sequence[int],
        texture_blocks: int = 2,
    ) -> None:
        super().__init__()
        if len(encoder_blocks) != len(widths) or len(decoder_blocks) != len(widths) - 1:
            raise ValueError("one encoder entry per width, and one decoder entry fewer")
        self.multiple_px = _FOLD * 2 ** (len(widths) - 1)
        folded = 3 * _FOLD**2
        self.stem = nn.Conv2d(folded, widths[0], kernel_size=3, padding=1)
        self.encoder = nn.ModuleList(
            _blocks(count, channels=width)
            for count, width in zip(encoder_blocks, widths, strict=True)
        )
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(
            nn.Conv2d(fine, coarse, kernel_size=2, stride=2) for fine, coarse in pairs
        )
        self.up = nn.ModuleList(
            nn.Conv2d(coarse, fine * 4, kernel_size=1) for fine, coarse in pairs
        )
        self.decoder = nn.ModuleList(
            _blocks(count, channels=width)
            for count, width in zip(decoder_blocks, widths[:-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], folded, kernel_size=3, padding=1)
        nn.init.zeros_(self.head.weight)
        if self.head.bias is not None:
            nn.init.zeros_(self.head.bias)
        self.texture = TextureMixer(channels=widths[0], blocks=texture_blocks)

    def forward(self, image_NCHW: Tensor) -> Restored:
        """Restore ``(N, 3, H, W)`` float32 RGB crops in [-1, 1], in the weights' precision.

        Raises:
            ValueError: A side is not a multiple of ``multiple_px``.
        """
        height, width = image_NCHW.shape[-2:]
        if height % self.multiple_px or width % self.multiple_px:
            raise ValueError(
                f"sides must be multiples of {self.multiple_px} px, got {height} x {width}"
            )
        folded = F.pixel_unshuffle(image_NCHW, _FOLD)
        feat = self.stem(folded.to(self.stem.weight.dtype))
        skips: list[Tensor] = []
        for blocks, down in zip(self.encoder, self.down, strict=False):
            feat = blocks(feat)
            skips.append(feat)
            feat = down(feat)
        feat = self.encoder[-1](feat)
        for at in reversed(range(len(self.decoder))):
            feat = F.pixel_shuffle(self.up[at](feat), 2) + skips[at]
            feat = self.decoder[at](feat)
        # Added in the input's precision: bf16 holds too few levels for a picture.
        change = F.pixel_shuffle(self.head(feat), _FOLD).to(image_NCHW.dtype)
        return Restored(image=image_NCHW + change + self.texture(feat).to(image_NCHW.dtype))


def build_lite() -> Lite:
    """Return ``lite`` in its shipped size."""
    return Lite(widths=(32, 64, 128, 256), encoder_blocks=(2, 2, 3, 4), decoder_blocks=(2, 2, 2))
