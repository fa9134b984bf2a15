"""The StyleGAN2 generator (Karras et al. 2020), the generative prior of GFP-GAN (section 3.3).

Where text and released code differ the code is followed: noise enters before the bias and the
activation with one strength per block, and images of coarser scales are upsampled and added
(the paper's output skips). Names of parameters are those of the published checkpoints.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.common.inplace_ops import add_inplace
from vidrestore.models.stylegan2.fir import FirSmooth, FirUpsample
from vidrestore.models.stylegan2.layers import (
    SLOPE,
    SQRT_2,
    EqualLinear,
    FusedLeakyReLU,
    channels_by_size,
    mapping_network,
)
from vidrestore.models.stylegan2.modulation import ModulatedWeight, scale_channels, to_rgb
from vidrestore.models.stylegan2.synthesis import (
    ConstantInput,
    Noise,
    NoiseBuffers,
    Synthesis,
    scale_count,
    scale_modules,
)


class EqualModulatedWeight(ModulatedWeight):
    """A modulated weight with equalized learning rate, its style biased to one."""

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        style_dim: int,
        demodulate: bool,
    ) -> None:
        super().__init__(
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_size=kernel_size,
            modulation=EqualLinear(in_features=style_dim, out_features=in_channels, bias_init=1.0),
            demodulate=demodulate,
            weight_init_std=1.0,
            gain=(in_channels * kernel_size**2) ** -0.5,
        )


class StyleConv(nn.Module):
    """Modulated convolution, noise, bias, activation; ``upsample`` doubles the size first."""

    def __init__(
        self, *, in_channels: int, out_channels: int, style_dim: int, upsample: bool = False
    ) -> None:
        super().__init__()
        self.modulated_conv = EqualModulatedWeight(
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_size=3,
            style_dim=style_dim,
            demodulate=True,
        )
        self.weight = nn.Parameter(torch.zeros(1))
        """Strength of the noise."""
        self.activate = FusedLeakyReLU(channels=out_channels)
        self.smooth = FirSmooth(kernel_size=3, up=True) if upsample else None

    def forward(self, feat_NCHW: Tensor, style_NF: Tensor, noise: Tensor) -> Tensor:
        """Return ``(N, out_channels, S, S)``; as ``StyleBlock`` says."""
        feat = styled_conv(feat_NCHW, self.modulated_conv, self.smooth, style_NF)
        feat = add_inplace(feat, (self.weight * noise) * SQRT_2)
        feat = add_inplace(feat, (self.activate.bias * SQRT_2).view(1, -1, 1, 1))
        return F.leaky_relu(feat, SLOPE, inplace=True)


def styled_conv(
    feat_NCHW: Tensor, weight: ModulatedWeight, smooth: FirSmooth | None, style_NF: Tensor
) -> Tensor:
    """Return a modulated convolution times the gain of the activation that follows.

    The gain is applied before the activation: fewer passes over large features.

    Args:
        feat_NCHW: May be overwritten as ``StyleBlock`` says.
        weight: Weight of the convolution.
        smooth: Filter of a convolution that doubles the size; None keeps the size.
        style_NF: Style code of the block.
    """
    modulation = weight.modulate(style_NF)
    feat = scale_channels(feat_NCHW, modulation.input_scale, reuse=smooth is None)
    feat = weight.convolve(feat) if smooth is None else upsampled_conv(feat, weight, smooth)
    return scale_channels(feat, modulation.output_scale * SQRT_2, reuse=True)


def upsampled_conv(scaled_NCHW: Tensor, weight: ModulatedWeight, smooth: FirSmooth) -> Tensor:
    """Return a transposed convolution with stride two, filtered to ``(N, O, 2H, 2W)``."""
    up = F.conv_transpose2d(scaled_NCHW, weight.weight.transpose(0, 1), stride=2)
    return smooth(up)


class ToRGB(nn.Module):
    """The image of a scale, added to the upsampled image of the coarser scales."""

    def __init__(self, *, in_channels: int, style_dim: int, upsample: bool = True) -> None:
        super().__init__()
        self.modulated_conv = EqualModulatedWeight(
            in_channels=in_channels,
            out_channels=3,
            kernel_size=1,
            style_dim=style_dim,
            demodulate=False,
        )
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.upsample = FirUpsample() if upsample else None

    def forward(self, feat_NCHW: Tensor, style_NF: Tensor, coarser: Tensor | None) -> Tensor:
        """Return ``(N, 3, S, S)``."""
        image = to_rgb(feat_NCHW, self.modulated_conv, style_NF) + self.bias
        if coarser is None or self.upsample is None:
            return image
        return add_inplace(image, self.upsample(coarser))


class StyleGAN2Generator(Synthesis):
    """Mapping and synthesis.

    Args:
        out_size: Side of the image, a power of two.
        num_style_feat: Features of a code.
        num_mlp: Layers of the mapping.
        channel_multiplier: Factor of the channels at 64 pixels and above.
        narrow: Factor of all channels.
    """

    def __init__(
        self,
        *,
        out_size: int,
        num_style_feat: int = 512,
        num_mlp: int = 8,
        channel_multiplier: float = 2,
        narrow: float = 1,
    ) -> None:
        super().__init__()
        scales = scale_count(out_size)
        channels = channels_by_size(multiplier=channel_multiplier, narrow=narrow)
        self.num_style_feat = num_style_feat
        self.num_latent = 2 * scales + 2
        self.style_mlp = mapping_network(features=num_style_feat, layers=num_mlp)
        self.constant_input = ConstantInput(channels=channels[4])
        style_conv = partial(StyleConv, style_dim=num_style_feat)
        to_rgb = partial(ToRGB, style_dim=num_style_feat)
        self.style_conv1 = style_conv(in_channels=channels[4], out_channels=channels[4])
        self.to_rgb1 = to_rgb(in_channels=channels[4], upsample=False)
        self.style_convs, self.to_rgbs = scale_modules(scales, channels, style_conv, to_rgb)
        self.noises = NoiseBuffers(size_px=out_size)

    def forward(self, z_NF: Tensor, *, noise: Noise | None = None) -> Tensor:
        """Return the image of a code in Z, ``(N, 3, S, S)``; uses the stored noise if None."""
        return self.synthesize(self.to_w_plus(self.style_mlp(z_NF)), noise=noise)

    def mix_styles(self, style_NF: Tensor, other_NF: Tensor, *, crossover: int) -> Tensor:
        """Return W+ codes: ``style_NF`` before block ``crossover``, ``other_NF`` from there on.

        The mixing regularization of StyleGAN (Karras et al. 2019, section 3.1).
        """
        first, second = self.to_w_plus(style_NF), self.to_w_plus(other_NF)
        return torch.cat([first[:, :crossover], second[:, crossover:]], dim=1)
