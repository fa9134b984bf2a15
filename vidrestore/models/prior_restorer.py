"""``prior``: a restorer in GFP-GAN's form around MobileStyleGAN, small enough for a laptop.

Our own design, after GFP-GAN (Wang et al. 2021, section 3): a U-Net removes the degradation and
gives a style for every layer of the generator (W+) and features at 8 to 256 pixels; the features
scale and shift half the channels of the generator at 16 to 256 pixels (``sft``, equation 5). What
GFP-GAN does at 512 pixels happens at 128 here: the crop is folded to a quarter of its side first
(pixel unshuffle), because full-size features cost a CPU most.

The generator alone does not reach colors and shapes of a given face, so means over 4 x 4 pixels are
the U-Net's: its image there is the shrunken crop plus a correction. Generator and conditions decide
what is finer.

The generator's picture may have another size than the crop: training on a CPU draws at 128 px from
crops of 256 px, as most of a step's time goes into the generator's finest levels.

Untrained, its output is the fine part of the generator's mean face on tones near the crop's.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.common.inplace_ops import add_inplace
from vidrestore.models.common.input_checks import check_input_size
from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.generative_prior import GenerativePrior
from vidrestore.models.gfpgan.sft import sft_hook
from vidrestore.models.lite import ResidualBlock
from vidrestore.models.mobile_stylegan.generator import MobileStyleGAN
from vidrestore.models.stylegan2.layers import SLOPE, channels_by_size
from vidrestore.models.stylegan2.synthesis import Noise
from vidrestore.types import TINY_CROP_SIZE_PX

_FOLD = 4
_MIN_PX = 4
_WIDTHS = {4: 160, 8: 160, 16: 192, 32: 176, 64: 112, 128: 48, 256: 24}
"""Channels of the U-Net by the side of its features."""
_SUMMARY_FEATURES = 128
"""Features of the whole face that its styles are made from; with a style's 512, the linear layer to
W+ would be the largest of the network."""
_CONDITIONED_FROM_PX = 16
_TONES_SHRINK = 4
"""Factor by which crops are shrunk to the size from which on the U-Net decides tones."""


class _Condition(nn.Module):
    """Scale and shift for half the channels of a level; at first 1 and 0."""

    def __init__(self, channels: int, conditioned: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.out = nn.Conv2d(channels, 2 * conditioned, kernel_size=1)
        nn.init.zeros_(self.out.weight)
        if self.out.bias is not None:
            nn.init.zeros_(self.out.bias)

    def forward(self, feat_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return scale and shift, ``(N, conditioned, S, S)`` each."""
        hidden = F.leaky_relu(self.conv(feat_NCHW), SLOPE, inplace=True)
        gain, shift = self.out(hidden).chunk(2, dim=1)
        return gain + 1, shift


class PriorRestorer(nn.Module):
    """Restores aligned faces of one size.

    Args:
        out_size: Side of crops, a power of two from 64 on, and of results unless ``prior`` has
            another.
        num_style_feat: Size of a style code.
        num_mlp: Layers of the generator's mapping.
        narrow: Factor of all channels.
        prior: The generator, of any size; an untrained MobileStyleGAN of the crop's where None.
    """

    def __init__(
        self,
        *,
        out_size: int = 512,
        num_style_feat: int = 512,
        num_mlp: int = 8,
        narrow: float = 1,
        prior: MobileStyleGAN | None = None,
    ) -> None:
        super().__init__()
        if prior is None:
            prior = MobileStyleGAN(
                out_size=out_size, num_style_feat=num_style_feat, num_mlp=num_mlp, narrow=narrow
            )
        widths = {side: max(8, int(width * narrow)) for side, width in _WIDTHS.items()}
        drawn = channels_by_size(multiplier=2, narrow=narrow)
        self.out_size = out_size
        self.stylegan_decoder = prior
        finest = out_size // _FOLD
        sides = [finest >> index for index in range(finest.bit_length() - _MIN_PX.bit_length() + 1)]
        self.stem = nn.Conv2d(3 * _FOLD**2, widths[finest], kernel_size=3, padding=1)
        self.encoder = nn.ModuleList(ResidualBlock(channels=widths[side]) for side in sides)
        self.down = nn.ModuleList(
            nn.Conv2d(widths[fine], widths[coarse], kernel_size=2, stride=2)
            for fine, coarse in pairwise(sides)
        )
        summary = max(8, int(_SUMMARY_FEATURES * narrow))
        self.summary = nn.Linear(widths[_MIN_PX] * _MIN_PX**2, summary)
        self.final_linear = nn.Linear(summary, prior.num_latent * num_style_feat)
        nn.init.normal_(self.final_linear.weight, std=1e-3)
        nn.init.zeros_(self.final_linear.bias)
        ups = [*reversed(sides[:-1]), out_size // 2]
        self.up = nn.ModuleList(
            nn.Conv2d(widths[coarse], 4 * widths[fine], kernel_size=1)
            for coarse, fine in pairwise([_MIN_PX, *ups])
        )
        self.decoder = nn.ModuleList(ResidualBlock(channels=widths[side]) for side in ups[:-1])
        # The generator's last level is left as it is.
        conditioned = [side for side in ups if _CONDITIONED_FROM_PX <= side < prior.out_size]
        self.conditions = nn.ModuleList(
            _Condition(widths[side], drawn[side] // 2) for side in conditioned
        )
        self.toRGB = nn.ModuleList(nn.Conv2d(widths[side], 3, kernel_size=1) for side in ups)

    def forward(
        self,
        image_NCHW: Tensor,
        *,
        noise: Noise | None = None,
        with_pyramid: bool = False,
        draws: bool = True,
    ) -> RestorerOutput:
        """Restore ``(N, 3, out_size, out_size)`` RGB crops in [-1, 1].

        Args:
            image_NCHW: In any precision; the weights' is used inside.
            noise: One map per convolution of the generator; the stored ones where None.
            with_pyramid: Whether to compute the U-Net's images, which only losses need.
            draws: Whether the generator draws. Without, for losses of styles and pyramid alone, the
                image is the U-Net's finest, of half the side.

        Raises:
            ValueError: The crops have another size.
        """
        styles, features = self.encode(image_NCHW)
        if not draws:
            pyramid = self.pyramid(image_NCHW, features)
            return RestorerOutput(image=pyramid[-1], pyramid=pyramid, styles=styles)
        start = _CONDITIONED_FROM_PX.bit_length() - _MIN_PX.bit_length() - 1
        given = [
            condition(feat)
            for condition, feat in zip(self.conditions, features[start:], strict=False)
        ]
        change = sft_hook(given, split=True)

        def hook(level: int, feat_NCHW: Tensor) -> Tensor:
            if start <= level < start + len(given):
                return change(level - start, feat_NCHW)
            return feat_NCHW

        prior: GenerativePrior = self.stylegan_decoder
        image = prior.synthesize(styles, noise=noise, hook=hook)
        image = self._with_tones(image, image_NCHW, features)
        pyramid: tuple[Tensor, ...] = ()
        if with_pyramid:
            pyramid = self.pyramid(image_NCHW, features)
        return RestorerOutput(image=image.to(image_NCHW.dtype), pyramid=pyramid, styles=styles)

    def _with_tones(
        self, drawn_NCHW: Tensor, image_NCHW: Tensor, features: Sequence[Tensor]
    ) -> Tensor:
        """Return the generator's image with the U-Net's means over small areas."""
        side = min(self.out_size // _TONES_SHRINK, drawn_NCHW.shape[-1] // 2)
        level = side.bit_length() - _MIN_PX.bit_length() - 1
        (tones,) = self._images(image_NCHW, features, range(level, level + 1))
        change = tones.to(drawn_NCHW.dtype) - F.adaptive_avg_pool2d(drawn_NCHW, side)
        size_hw = (drawn_NCHW.shape[-2], drawn_NCHW.shape[-1])
        return drawn_NCHW + F.interpolate(change, size_hw, mode="bilinear", align_corners=False)

    def pyramid(self, image_NCHW: Tensor, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the U-Net's images from 8 pixels to half the crop's side, for losses.

        Each adds to the crop shrunk to its size: the U-Net has to find the degradation alone.
        """
        return self._images(image_NCHW, features, range(len(features)))

    def _images(
        self, image_NCHW: Tensor, features: Sequence[Tensor], levels: range
    ) -> tuple[Tensor, ...]:
        image = image_NCHW.to(self.stem.weight.dtype)
        return tuple(
            F.adaptive_avg_pool2d(image, features[level].shape[-1])
            + self.toRGB[level](features[level])
            for level in levels
        )

    def encode(self, image_NCHW: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return styles in W+ ``(N, num_latent, F)``, and features at 8 pixels to half the crop's.

        Raises:
            ValueError: The crops have another size.
        """
        check_input_size(image_NCHW, self.out_size)
        feat = self.stem(F.pixel_unshuffle(image_NCHW.to(self.stem.weight.dtype), _FOLD))
        skips: list[Tensor] = []
        for index, block in enumerate(self.encoder):
            feat = block(feat if index == 0 else self.down[index - 1](feat))
            skips.append(feat)
        offsets = self.final_linear(F.leaky_relu(self.summary(feat.flatten(1)), SLOPE))
        mean = self.stylegan_decoder.get_buffer("mean_style")
        styles = mean + offsets.view(len(feat), self.stylegan_decoder.num_latent, -1)
        features: list[Tensor] = []
        for index, up in enumerate(self.up):
            feat = F.pixel_shuffle(up(feat), 2)
            if index < len(self.decoder):
                feat = self.decoder[index](add_inplace(feat, skips[-2 - index]))
            features.append(feat)
        return styles, features


def build_small_prior() -> PriorRestorer:
    """Return the untrained restorer of tiny crops, around the generator's first levels."""
    return PriorRestorer(out_size=TINY_CROP_SIZE_PX)
