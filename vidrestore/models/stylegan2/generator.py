"""The StyleGAN2 generator (Karras et al. 2020), the generative prior of GFP-GAN (section 3.3).

Where text and released code differ the code is followed: noise enters before the bias and the
activation with one strength per block, and pictures of coarser scales are upsampled and added
(the paper's output skips). Names of parameters are those of the published checkpoints.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.common.inplace_ops import plus
from vidrestore.models.stylegan2.fir import FIR_TAPS, FirSmooth, FirUpsample
from vidrestore.models.stylegan2.layers import (
    SLOPE,
    SQRT_2,
    EqualLinear,
    FusedLeakyReLU,
    channels_by_size,
    mapping_network,
)
from vidrestore.models.stylegan2.modulation import ModulatedWeight, scaled, to_rgb
from vidrestore.models.stylegan2.synthesis import (
    ConstantInput,
    Noise,
    NoiseBuffers,
    Synthesis,
    scale_count,
)


def equal_modulated_weight(
    *, inputs: int, outputs: int, kernel_size: int, style_features: int, demodulate: bool
) -> ModulatedWeight:
    """Return a modulated weight with equalised learning rate, its style biased to one."""
    return ModulatedWeight(
        inputs=inputs,
        outputs=outputs,
        kernel_size=kernel_size,
        modulation=EqualLinear(inputs=style_features, outputs=inputs, bias_init=1.0),
        demodulate=demodulate,
        weight_init_std=1.0,
        gain=(inputs * kernel_size**2) ** -0.5,
    )


class StyleConv(nn.Module):
    """Modulated convolution, noise, bias, activation; ``upsample`` doubles the size first."""

    def __init__(
        self,
        *,
        inputs: int,
        outputs: int,
        style_features: int,
        upsample: bool = False,
        taps: Sequence[float] = FIR_TAPS,
    ) -> None:
        super().__init__()
        self.modulated_conv = equal_modulated_weight(
            inputs=inputs,
            outputs=outputs,
            kernel_size=3,
            style_features=style_features,
            demodulate=True,
        )
        self.weight = nn.Parameter(torch.zeros(1))
        """Strength of the noise."""
        self.activate = FusedLeakyReLU(channels=outputs)
        self.smooth = FirSmooth(kernel_size=3, up=True, taps=taps) if upsample else None

    def forward(self, feat_NCHW: Tensor, style_NF: Tensor, noise: Tensor) -> Tensor:
        """Return ``(N, outputs, S, S)``; as ``StyleBlock`` says."""
        modulation = self.modulated_conv.modulate(style_NF)
        feat = scaled(feat_NCHW, modulation.input_scale, reuse=self.smooth is None)
        if self.smooth is None:
            feat = self.modulated_conv.convolve(feat)
        else:
            feat = upsampled_conv(feat, self.modulated_conv, self.smooth)
        # The gain of the activation is taken through it: fewer passes over large features.
        feat = scaled(feat, modulation.output_scale * SQRT_2, reuse=True)
        feat = plus(feat, (self.weight * noise) * SQRT_2)
        feat = plus(feat, (self.activate.bias * SQRT_2).view(1, -1, 1, 1))
        return F.leaky_relu(feat, SLOPE, inplace=True)


def upsampled_conv(scaled_NCHW: Tensor, weight: ModulatedWeight, smooth: FirSmooth) -> Tensor:
    """Return a transposed convolution with stride two, filtered to ``(N, O, 2H, 2W)``."""
    up = F.conv_transpose2d(scaled_NCHW, weight.weight.transpose(0, 1), stride=2)
    return smooth(up)


class ToRGB(nn.Module):
    """The picture of a scale, added to the upsampled picture of the coarser scales."""

    def __init__(
        self,
        *,
        inputs: int,
        style_features: int,
        upsample: bool = True,
        taps: Sequence[float] = FIR_TAPS,
    ) -> None:
        super().__init__()
        self.modulated_conv = equal_modulated_weight(
            inputs=inputs,
            outputs=3,
            kernel_size=1,
            style_features=style_features,
            demodulate=False,
        )
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.upsample = FirUpsample(taps=taps) if upsample else None

    def forward(self, feat_NCHW: Tensor, style_NF: Tensor, coarser: Tensor | None) -> Tensor:
        """Return ``(N, 3, S, S)``."""
        picture = to_rgb(feat_NCHW, self.modulated_conv, style_NF) + self.bias
        if coarser is None or self.upsample is None:
            return picture
        return plus(picture, self.upsample(coarser))


class StyleGAN2Generator(Synthesis):
    """Mapping and synthesis.

    Args:
        out_size: Side of the picture, a power of two.
        num_style_feat: Features of a code.
        num_mlp: Layers of the mapping.
        channel_multiplier: Of the channels at 64 pixels and above.
        resample_kernel: Taps of the up- and downsampling filter.
        lr_mlp: Pace of the mapping against the rest.
        narrow: Of all channels.
    """

    def __init__(
        self,
        *,
        out_size: int,
        num_style_feat: int = 512,
        num_mlp: int = 8,
        channel_multiplier: float = 2,
        resample_kernel: Sequence[float] = FIR_TAPS,
        lr_mlp: float = 0.01,
        narrow: float = 1,
    ) -> None:
        super().__init__()
        scales = scale_count(out_size)
        channels = channels_by_size(multiplier=channel_multiplier, narrow=narrow)
        self.num_style_feat = num_style_feat
        self.num_latent = 2 * scales + 2
        self.style_mlp = mapping_network(features=num_style_feat, layers=num_mlp, lr_mul=lr_mlp)
        self.constant_input = ConstantInput(channels=channels[4])
        self.style_conv1 = StyleConv(
            inputs=channels[4], outputs=channels[4], style_features=num_style_feat
        )
        self.to_rgb1 = ToRGB(
            inputs=channels[4],
            style_features=num_style_feat,
            upsample=False,
        )
        style_convs: list[nn.Module] = []
        to_rgbs: list[nn.Module] = []
        for at in range(scales):
            coarse, fine = channels[4 << at], channels[8 << at]
            style_convs += [
                StyleConv(
                    inputs=coarse,
                    outputs=fine,
                    style_features=num_style_feat,
                    upsample=True,
                    taps=resample_kernel,
                ),
                StyleConv(inputs=fine, outputs=fine, style_features=num_style_feat),
            ]
            to_rgbs.append(ToRGB(inputs=fine, style_features=num_style_feat, taps=resample_kernel))
        self.style_convs = nn.ModuleList(style_convs)
        self.to_rgbs = nn.ModuleList(to_rgbs)
        self.noises = NoiseBuffers(size_px=out_size)

    def forward(self, z_NF: Tensor, *, noise: Noise | None = None) -> Tensor:
        """Return the picture of a code in Z, ``(N, 3, S, S)``; stored noise where none is given."""
        return self.synthesise(self.broadcast(self.style_mlp(z_NF)), noise=noise)

    def mixed(self, style_NF: Tensor, other_NF: Tensor, *, crossover: int) -> Tensor:
        """Return latents of ``style_NF`` before block ``crossover`` and of the other from there.

        The mixing regularisation of StyleGAN (Karras et al. 2019, section 3.1).
        """
        one, other = self.broadcast(style_NF), self.broadcast(other_NF)
        return torch.cat([one[:, :crossover], other[:, crossover:]], dim=1)
