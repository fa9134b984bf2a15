"""GFP-GAN as in its paper (Wang et al. 2021): degradation removal, mapping to W+, CS-SFT.

Section 3.2: a U-Net removes degradation and gives features at every scale, with a picture each
for the pyramid loss. Section 3.3: its innermost features are mapped to codes in W+, one per
style block. Section 3.4: its features modulate half the channels of the prior (``sft``).

The released code is followed where the text is silent: skips of the U-Net are added, not
concatenated; its channels are half those of the prior; 512 pixels give seven scales.
"""

from functools import partial

from torch import Tensor, nn

from vidrestore.models.common.inplace_ops import add_inplace, mul_inplace
from vidrestore.models.gfpgan.base import GfpganBase, GfpganLayers
from vidrestore.models.stylegan2.generator import StyleGAN2Generator
from vidrestore.models.stylegan2.layers import (
    SQRT_2,
    ConvLayer,
    EqualConv2d,
    EqualLinear,
    ResBlock,
    ScaledLeakyReLU,
    UpConv,
)


class ResUpBlock(nn.Module):
    """Residual block that doubles the size."""

    def __init__(self, *, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = ConvLayer(in_channels=in_channels, out_channels=in_channels, kernel_size=3)
        self.conv2 = UpConv(
            in_channels=in_channels, out_channels=out_channels, kernel_size=3, activated=True
        )
        self.skip = UpConv(
            in_channels=in_channels, out_channels=out_channels, kernel_size=1, activated=False
        )

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return ``(N, out_channels, 2H, 2W)``."""
        return mul_inplace(
            add_inplace(self.conv2(self.conv1(feat_NCHW)), self.skip(feat_NCHW)), SQRT_2**-1
        )


def _condition(channels: int, *, split: bool, bias_init: float) -> nn.Sequential:
    """Return the two convolutions to a scale or shift (section 4: two per CS-SFT layer)."""
    return nn.Sequential(
        EqualConv2d(in_channels=channels, out_channels=channels, kernel_size=3, padding=1),
        ScaledLeakyReLU(),
        EqualConv2d(
            in_channels=channels,
            out_channels=channels if split else 2 * channels,
            kernel_size=3,
            padding=1,
            bias_init=bias_init,
        ),
    )


class GFPGAN(GfpganBase):
    """The paper's network; published as ``GFPGANv1``."""

    layers = GfpganLayers(
        conv=ConvLayer,
        down=ResBlock,
        up=ResUpBlock,
        to_rgb=partial(EqualConv2d, out_channels=3, kernel_size=1),
        linear=EqualLinear,
        condition=_condition,
        prior=StyleGAN2Generator,
        channel_multiplier=1,
    )
