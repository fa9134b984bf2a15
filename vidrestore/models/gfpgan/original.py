"""GFP-GAN as in its paper (Wang et al. 2021): degradation removal, mapping to W+, CS-SFT.

Section 3.2: a U-Net removes degradation and gives features at every scale, with a picture each
for the pyramid loss. Section 3.3: its innermost features are mapped to codes in W+, one per
style block. Section 3.4: its features modulate half the channels of the prior (``sft``).

The released code is followed where the text is silent: skips of the U-Net are added, not
concatenated; its channels are half those of the prior; 512 pixels give seven scales.
"""

from torch import Tensor, nn

from vidrestore.models.common.inplace_ops import add_inplace, mul_inplace
from vidrestore.models.generative_prior import GenerativePrior
from vidrestore.models.gfpgan.base import GfpganBase
from vidrestore.models.stylegan2.generator import StyleGAN2Generator
from vidrestore.models.stylegan2.layers import (
    SQRT_2,
    ConvLayer,
    EqualConv2d,
    EqualLinear,
    ResBlock,
    ScaledLeakyReLU,
    UpConv,
    channels_by_size,
)
from vidrestore.models.stylegan2.synthesis import scale_count


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


class GFPGAN(GfpganBase):
    """The paper's network; published as ``GFPGANv1``.

    Args:
        out_size: Side of crops and results, a power of two.
        num_style_feat: Features of a style code.
        channel_multiplier: Factor of the channels at 64 pixels and above.
        num_mlp: Layers of the prior's mapping.
        input_is_latent: Whether codes are in W+ (as released), or in Z and mapped first.
        different_w: Whether every style block gets its own code.
        narrow: Factor of all channels.
        sft_half: Whether half the channels pass the transform unchanged.
        prior: The generator, of ``out_size`` and ``num_style_feat`` and with the channels of
            ``channel_multiplier`` and ``narrow``; the paper's StyleGAN2 where None.
        is_modulated: Whether the U-Net's features change the prior's; without, codes alone do.
    """

    def __init__(
        self,
        *,
        out_size: int = 512,
        num_style_feat: int = 512,
        channel_multiplier: float = 1,
        num_mlp: int = 8,
        input_is_latent: bool = True,
        different_w: bool = True,
        narrow: float = 1,
        sft_half: bool = True,
        prior: GenerativePrior | None = None,
        is_modulated: bool = True,
    ) -> None:
        super().__init__()
        scales = scale_count(out_size)
        channels = channels_by_size(multiplier=channel_multiplier, narrow=narrow * 0.5)
        self.out_size = out_size
        self.input_is_latent = input_is_latent
        self.different_w = different_w
        self.num_style_feat = num_style_feat
        self.sft_half = sft_half

        self.conv_body_first = ConvLayer(
            in_channels=3, out_channels=channels[out_size], kernel_size=1
        )
        downs = [out_size >> index for index in range(scales)]
        self.conv_body_down = nn.ModuleList(
            ResBlock(in_channels=channels[size], out_channels=channels[size // 2]) for size in downs
        )
        self.final_conv = ConvLayer(
            in_channels=channels[4], out_channels=channels[4], kernel_size=3
        )
        ups = [8 << index for index in range(scales)]
        self.conv_body_up = nn.ModuleList(
            ResUpBlock(in_channels=channels[size // 2], out_channels=channels[size]) for size in ups
        )
        self.toRGB = nn.ModuleList(
            EqualConv2d(in_channels=channels[size], out_channels=3, kernel_size=1) for size in ups
        )
        styles = 2 * scales + 2 if prior is None else prior.num_latent
        codes = styles if different_w else 1
        self.final_linear = EqualLinear(
            in_features=channels[4] * 16, out_features=codes * num_style_feat
        )
        if prior is None:
            prior = StyleGAN2Generator(
                out_size=out_size,
                num_style_feat=num_style_feat,
                num_mlp=num_mlp,
                channel_multiplier=channel_multiplier,
                narrow=narrow,
            )
        self.stylegan_decoder = prior
        modulated = ups if is_modulated else []
        self.condition_scale = nn.ModuleList(
            _condition(channels[size], split=sft_half, bias_init=1.0) for size in modulated
        )
        self.condition_shift = nn.ModuleList(
            _condition(channels[size], split=sft_half, bias_init=0.0) for size in modulated
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
