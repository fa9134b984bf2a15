"""The "clean" StyleGAN2 generator of the released GFP-GAN 1.2, 1.3 and 1.4.

No paper describes it; the released code is followed. Against the generator of the paper:
plain linear layers and convolutions instead of equalised ones, bilinear resizing instead of
filtered zero insertion, and the gain of sqrt(2) on the convolution's result only, before noise
and bias, instead of after the activation.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.common.inplace_ops import plus
from vidrestore.models.stylegan2.layers import (
    SLOPE,
    SQRT_2,
    NormStyleCode,
    channels_by_size,
    doubled,
)
from vidrestore.models.stylegan2.modulation import ModulatedWeight, scaled, to_rgb
from vidrestore.models.stylegan2.synthesis import (
    ConstantInput,
    NoiseBuffers,
    Synthesis,
    scale_count,
)


def _modulated_weight(
    *, inputs: int, outputs: int, kernel_size: int, style_features: int, demodulate: bool
) -> ModulatedWeight:
    modulation = nn.Linear(style_features, inputs)
    nn.init.kaiming_normal_(modulation.weight, a=0, mode="fan_in", nonlinearity="linear")
    nn.init.ones_(modulation.bias)
    return ModulatedWeight(
        inputs=inputs,
        outputs=outputs,
        kernel_size=kernel_size,
        modulation=modulation,
        demodulate=demodulate,
        weight_init_std=(inputs * kernel_size**2) ** -0.5,
        gain=1.0,
    )


class CleanStyleConv(nn.Module):
    """Modulated convolution, noise, bias, activation; ``upsample`` doubles the size first."""

    def __init__(
        self, *, inputs: int, outputs: int, style_features: int, upsample: bool = False
    ) -> None:
        super().__init__()
        self.modulated_conv = _modulated_weight(
            inputs=inputs,
            outputs=outputs,
            kernel_size=3,
            style_features=style_features,
            demodulate=True,
        )
        self.weight = nn.Parameter(torch.zeros(1))
        """Strength of the noise."""
        self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1))
        self.upsample = upsample

    def forward(self, feat_NCHW: Tensor, style_NF: Tensor, noise: Tensor) -> Tensor:
        """Return ``(N, outputs, S, S)``; as ``StyleBlock`` says."""
        modulation = self.modulated_conv.modulate(style_NF)
        feat = scaled(feat_NCHW, modulation.input_scale, reuse=not self.upsample)
        if self.upsample:
            feat = doubled(feat)
        feat = self.modulated_conv.convolve(feat)
        feat = scaled(feat, modulation.output_scale * SQRT_2, reuse=True)
        feat = plus(plus(feat, self.weight * noise), self.bias)
        return F.leaky_relu(feat, SLOPE, inplace=True)


class CleanToRGB(nn.Module):
    """The picture of a scale, added to the upsampled picture of the coarser scales."""

    def __init__(self, *, inputs: int, style_features: int) -> None:
        super().__init__()
        self.modulated_conv = _modulated_weight(
            inputs=inputs,
            outputs=3,
            kernel_size=1,
            style_features=style_features,
            demodulate=False,
        )
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, feat_NCHW: Tensor, style_NF: Tensor, coarser: Tensor | None) -> Tensor:
        """Return ``(N, 3, S, S)``."""
        picture = to_rgb(feat_NCHW, self.modulated_conv, style_NF) + self.bias
        return picture if coarser is None else picture + doubled(coarser)


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
        self.style_conv1 = CleanStyleConv(
            inputs=channels[4], outputs=channels[4], style_features=num_style_feat
        )
        self.to_rgb1 = CleanToRGB(inputs=channels[4], style_features=num_style_feat)
        style_convs: list[nn.Module] = []
        to_rgbs: list[nn.Module] = []
        for at in range(scales):
            coarse, fine = channels[4 << at], channels[8 << at]
            style_convs += [
                CleanStyleConv(
                    inputs=coarse, outputs=fine, style_features=num_style_feat, upsample=True
                ),
                CleanStyleConv(inputs=fine, outputs=fine, style_features=num_style_feat),
            ]
            to_rgbs.append(CleanToRGB(inputs=fine, style_features=num_style_feat))
        self.style_convs = nn.ModuleList(style_convs)
        self.to_rgbs = nn.ModuleList(to_rgbs)
        self.noises = NoiseBuffers(size_px=out_size)
