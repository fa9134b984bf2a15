"""The "clean" StyleGAN2 generator of the released GFP-GAN 1.2, 1.3 and 1.4.

No paper describes it; the released code is followed. Against the generator of the paper:
plain linear layers and convolutions instead of equalized ones, bilinear resizing instead of
filtered zero insertion, and the gain of sqrt(2) on the convolution's result only, before noise
and bias, instead of after the activation.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.common.inplace_ops import add_inplace
from vidrestore.models.stylegan2.layers import (
    SLOPE,
    SQRT_2,
    NormStyleCode,
    channels_by_size,
    upsample_2x,
)
from vidrestore.models.stylegan2.modulation import ModulatedWeight, scale_channels, to_rgb
from vidrestore.models.stylegan2.synthesis import (
    ConstantInput,
    NoiseBuffers,
    Synthesis,
    scale_count,
    scale_modules,
)


def _modulated_weight(
    *, in_channels: int, out_channels: int, kernel_size: int, style_dim: int, demodulate: bool
) -> ModulatedWeight:
    modulation = nn.Linear(style_dim, in_channels)
    nn.init.kaiming_normal_(modulation.weight, a=0, mode="fan_in", nonlinearity="linear")
    nn.init.ones_(modulation.bias)
    return ModulatedWeight(
        in_channels=in_channels,
        out_channels=out_channels,
        kernel_size=kernel_size,
        modulation=modulation,
        demodulate=demodulate,
        weight_init_std=(in_channels * kernel_size**2) ** -0.5,
        gain=1.0,
    )


class CleanStyleConv(nn.Module):
    """Modulated convolution, noise, bias, activation; ``upsample`` doubles the size first."""

    def __init__(
        self, *, in_channels: int, out_channels: int, style_dim: int, upsample: bool = False
    ) -> None:
        super().__init__()
        self.modulated_conv = _modulated_weight(
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_size=3,
            style_dim=style_dim,
            demodulate=True,
        )
        self.weight = nn.Parameter(torch.zeros(1))
        """Strength of the noise."""
        self.bias = nn.Parameter(torch.zeros(1, out_channels, 1, 1))
        self.upsample = upsample

    def forward(self, feat_NCHW: Tensor, style_NF: Tensor, noise: Tensor) -> Tensor:
        """Return ``(N, out_channels, S, S)``; as ``StyleBlock`` says."""
        modulation = self.modulated_conv.modulate(style_NF)
        feat = scale_channels(feat_NCHW, modulation.input_scale, reuse=not self.upsample)
        if self.upsample:
            feat = upsample_2x(feat)
        feat = self.modulated_conv.convolve(feat)
        feat = scale_channels(feat, modulation.output_scale * SQRT_2, reuse=True)
        feat = add_inplace(add_inplace(feat, self.weight * noise), self.bias)
        return F.leaky_relu(feat, SLOPE, inplace=True)


class CleanToRGB(nn.Module):
    """The image of a scale, added to the upsampled image of the coarser scales."""

    def __init__(self, *, in_channels: int, style_dim: int) -> None:
        super().__init__()
        self.modulated_conv = _modulated_weight(
            in_channels=in_channels,
            out_channels=3,
            kernel_size=1,
            style_dim=style_dim,
            demodulate=False,
        )
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, feat_NCHW: Tensor, style_NF: Tensor, coarser: Tensor | None) -> Tensor:
        """Return ``(N, 3, S, S)``."""
        image = to_rgb(feat_NCHW, self.modulated_conv, style_NF) + self.bias
        return image if coarser is None else image + upsample_2x(coarser)


class CleanGenerator(Synthesis):
    """Mapping and synthesis; arguments as those of ``StyleGAN2Generator``."""

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
        self.num_latent = 2 * scales + 2
        layers: list[nn.Module] = [NormStyleCode()]
        for _ in range(num_mlp):
            linear = nn.Linear(num_style_feat, num_style_feat)
            nn.init.kaiming_normal_(linear.weight, a=SLOPE, nonlinearity="leaky_relu")
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.LeakyReLU(SLOPE)]
        self.style_mlp = nn.Sequential(*layers)
        self.constant_input = ConstantInput(channels=channels[4])
        style_conv = partial(CleanStyleConv, style_dim=num_style_feat)
        to_rgb = partial(CleanToRGB, style_dim=num_style_feat)
        self.style_conv1 = style_conv(in_channels=channels[4], out_channels=channels[4])
        self.to_rgb1 = to_rgb(in_channels=channels[4])
        self.style_convs, self.to_rgbs = scale_modules(scales, channels, style_conv, to_rgb)
        self.noises = NoiseBuffers(size_px=out_size)
