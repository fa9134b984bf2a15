"""``lite``: the packaged restorer, a compact stack of convolutions with a U-Net for context.

Our own design. The 512 crop is folded to a quarter of its side (pixel unshuffle; Shi et al. 2016,
section 3), so that all arithmetic happens at 128 pixels and below, where dense 3x3 convolutions
use a CPU well. A straight stack predicts the detail, as in the compact network of Real-ESRGAN's
authors. A U-Net beside it (Ronneberger et al. 2015) sees the whole face; its output is added in the
middle of the stack.

The stack handles detail finer than its own pixels badly. So it predicts two things for every pixel:
what to add, and how much of the crop's own detail finer than 1/128 of its side to keep. That ratio
is near 0 where fine detail is noise, and near 1 where a face is already good.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.common.outputs import RestorerOutput

_FOLD = 4
_PIXELS = _FOLD**2
"""Pixels of the crop in one folded pixel."""
_CONTEXT_WIDTHS = (80, 128, 160)
_ENCODER_BLOCKS, _DECODER_BLOCKS = (1, 2, 2), (1, 1)
_CONTEXT_FROM, _CONTEXT_INTO = 4, 8
"""Positions in the stack where the U-Net takes its input, and where its output is added."""


class ResidualBlock(nn.Module):
    """Convolve, activate, convolve, scale; beside an identity path."""

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        # A small scale keeps training stable without normalization.
        self.scale = nn.Parameter(torch.full((1, channels, 1, 1), 0.2))

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return features of the same shape."""
        return feat_NCHW + self.scale * self.conv2(F.leaky_relu(self.conv1(feat_NCHW), 0.2))


def _blocks(count: int, *, channels: int) -> nn.Sequential:
    return nn.Sequential(*[ResidualBlock(channels=channels) for _ in range(count)])


class Context(nn.Module):
    """A U-Net over features, whose receptive field is the whole face.

    Args:
        channels: Number of input and output features.
        widths: Channels at 1/2, 1/4, ... of the features' size.
        encoder_blocks: Residual blocks on the way down, one entry per width.
        decoder_blocks: Residual blocks on the way up, finest first, one entry fewer than widths.
    """

    def __init__(
        self,
        *,
        channels: int,
        widths: Sequence[int],
        encoder_blocks: Sequence[int],
        decoder_blocks: Sequence[int],
    ) -> None:
        super().__init__()
        if len(encoder_blocks) != len(widths) or len(decoder_blocks) != len(widths) - 1:
            raise ValueError("one encoder entry per width, and one decoder entry fewer")
        self.down = nn.ModuleList(
            nn.Conv2d(fine, coarse, kernel_size=2, stride=2)
            for fine, coarse in pairwise((channels, *widths))
        )
        self.encoder = nn.ModuleList(
            _blocks(count, channels=width)
            for count, width in zip(encoder_blocks, widths, strict=True)
        )
        self.up = nn.ModuleList(
            nn.Conv2d(coarse, fine * 4, kernel_size=1) for fine, coarse in pairwise(widths)
        )
        self.decoder = nn.ModuleList(
            _blocks(count, channels=width)
            for count, width in zip(decoder_blocks, widths[:-1], strict=True)
        )
        self.out = nn.Conv2d(widths[0], channels * 4, kernel_size=1)
        _zero(self.out)

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return features of the same shape."""
        skips: list[Tensor] = []
        for down, blocks in zip(self.down, self.encoder, strict=True):
            feat_NCHW = blocks(down(feat_NCHW))
            skips.append(feat_NCHW)
        feat = skips.pop()
        for index in reversed(range(len(self.decoder))):
            feat = self.decoder[index](F.pixel_shuffle(self.up[index](feat), 2) + skips[index])
        return F.pixel_shuffle(self.out(feat), 2)


class Lite(nn.Module):
    """Restorer of faces in the 512 alignment; sides must be multiples of 32 px.

    Args:
        width: Channels of the stack, at 1/4 of the input's side.
        convolutions: Number of convolutions between the first and the last one.
    """

    multiple_px = _FOLD * 2 ** len(_CONTEXT_WIDTHS)

    def __init__(self, *, width: int, convolutions: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3 * _PIXELS, width, kernel_size=3, padding=1)
        self.stem_activation = nn.PReLU(width)
        self.body = nn.ModuleList(
            nn.Conv2d(width, width, kernel_size=3, padding=1) for _ in range(convolutions)
        )
        self.activations = nn.ModuleList(nn.PReLU(width) for _ in range(convolutions))
        self.context = Context(
            channels=width,
            widths=_CONTEXT_WIDTHS,
            encoder_blocks=_ENCODER_BLOCKS,
            decoder_blocks=_DECODER_BLOCKS,
        )
        self.head = nn.Conv2d(width, (3 + 1) * _PIXELS, kernel_size=3, padding=1)
        _zero(self.head)
        if self.head.bias is not None:
            # Untrained, nearly all fine detail is kept and nothing is added.
            nn.init.constant_(self.head.bias[3 * _PIXELS :], 4.0)

    def forward(self, image_NCHW: Tensor) -> RestorerOutput:
        """Restore ``(N, 3, H, W)`` float32 RGB crops in [-1, 1], in the weights' precision.

        Raises:
            ValueError: A side is not a multiple of ``multiple_px``.
        """
        count, _, height, width = image_NCHW.shape
        if height % self.multiple_px or width % self.multiple_px:
            raise ValueError(
                f"sides must be multiples of {self.multiple_px} px, got {height} x {width}"
            )
        crop = image_NCHW * 0.5 + 0.5
        folded = F.pixel_unshuffle(crop, _FOLD)
        small = folded.view(count, 3, _PIXELS, height // _FOLD, width // _FOLD).mean(dim=2)
        # Added in the input's precision: bf16 has too few levels for an image.
        predicted = self._predict(folded.to(self.stem.weight.dtype)).to(image_NCHW.dtype)
        detail = F.pixel_shuffle(predicted[:, : 3 * _PIXELS], _FOLD)
        dropped = torch.sigmoid(-F.pixel_shuffle(predicted[:, 3 * _PIXELS :], _FOLD))
        enlarged = F.interpolate(small, scale_factor=_FOLD, mode="nearest")
        return RestorerOutput(image=image_NCHW + 2.0 * (detail + dropped * (enlarged - crop)))

    def _predict(self, folded_NCHW: Tensor) -> Tensor:
        """Return ``(N, 4 * 16, H / 4, W / 4)``: folded RGB detail, then the ratio to keep."""
        feat = self.stem_activation(self.stem(folded_NCHW))
        context = feat
        for index, (conv, activation) in enumerate(zip(self.body, self.activations, strict=True)):
            if index == _CONTEXT_FROM:
                context = self.context(feat)
            if index == _CONTEXT_INTO:
                feat = feat + context
            feat = activation(conv(feat))
        return self.head(feat)


def _zero(convolution: nn.Conv2d) -> None:
    nn.init.zeros_(convolution.weight)
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)


def build_lite() -> Lite:
    """Return ``lite`` in its shipped size."""
    return Lite(width=64, convolutions=16)
