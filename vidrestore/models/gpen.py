"""GPEN (Yang et al. 2021): the base of the MMRB network (its section 3.1, equations 1 to 3).

An encoder maps the crop to one code in Z and to features at every scale. The code is mapped to
W; the features take the place of the noise and are concatenated to, not added to, the result of
every modulated convolution (equation 3), so that all later layers see twice the channels.
The released code is followed; names of parameters are those of its checkpoints.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.common.inplace_ops import plus
from vidrestore.models.common.input_checks import check_input_size
from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.stylegan2.fir import FIR_TAPS, FirSmooth, FirUpsample
from vidrestore.models.stylegan2.generator import equal_modulated_weight, upsampled_conv
from vidrestore.models.stylegan2.layers import (
    SLOPE,
    SQRT_2,
    ConvLayer,
    EqualLinear,
    FusedLeakyReLU,
    channels_by_size,
    mapping_network,
)
from vidrestore.models.stylegan2.modulation import ModulatedWeight, scaled, to_rgb
from vidrestore.models.stylegan2.synthesis import (
    Between,
    ConstantInput,
    Noise,
    run_synthesis,
    scale_count,
    unchanged,
)


class _NoiseStrength(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


class _ModulatedConv(ModulatedWeight):
    """The modulated weight and, where it doubles the size, its filter."""

    def __init__(
        self,
        *,
        inputs: int,
        outputs: int,
        kernel_size: int,
        style_features: int,
        upsample: bool = False,
        demodulate: bool = True,
        taps: Sequence[float] = FIR_TAPS,
    ) -> None:
        super().__init__(
            inputs=inputs,
            outputs=outputs,
            kernel_size=kernel_size,
            modulation=EqualLinear(inputs=style_features, outputs=inputs, bias_init=1.0),
            demodulate=demodulate,
            weight_init_std=1.0,
            gain=(inputs * kernel_size**2) ** -0.5,
        )
        self.blur = (
            FirSmooth(kernel_size=kernel_size, up=True, taps=taps, in_state_dict=True)
            if upsample
            else None
        )


class GpenStyleConv(nn.Module):
    """Modulated convolution, features concatenated, bias, activation."""

    def __init__(
        self,
        *,
        inputs: int,
        outputs: int,
        style_features: int,
        isconcat: bool,
        upsample: bool = False,
        taps: Sequence[float] = FIR_TAPS,
    ) -> None:
        super().__init__()
        self.conv = _ModulatedConv(
            inputs=inputs,
            outputs=outputs,
            kernel_size=3,
            style_features=style_features,
            upsample=upsample,
            taps=taps,
        )
        self.noise = _NoiseStrength()
        self.activate = FusedLeakyReLU(channels=outputs * 2 if isconcat else outputs)
        self.isconcat = isconcat

    def forward(self, feat_NCHW: Tensor, style_NF: Tensor, noise: Tensor) -> Tensor:
        """Return ``(N, 2 * outputs, S, S)``, or ``outputs`` where noise is added.

        Memory of the features is used as ``StyleBlock`` says; that of ``noise`` is not.
        """
        modulation = self.conv.modulate(style_NF)
        feat = scaled(feat_NCHW, modulation.input_scale, reuse=self.conv.blur is None)
        if self.conv.blur is None:
            feat = self.conv.convolve(feat)
        else:
            feat = upsampled_conv(feat, self.conv, self.conv.blur)
        # The gain of the activation is taken through it: fewer passes over large features.
        feat = scaled(feat, modulation.output_scale * SQRT_2, reuse=True)
        injected = (self.noise.weight * SQRT_2) * noise
        feat = torch.cat([feat, injected], dim=1) if self.isconcat else plus(feat, injected)
        feat = plus(feat, (self.activate.bias * SQRT_2).view(1, -1, 1, 1))
        return F.leaky_relu(feat, SLOPE, inplace=True)


class GpenToRGB(nn.Module):
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
        self.conv = equal_modulated_weight(
            inputs=inputs,
            outputs=3,
            kernel_size=1,
            style_features=style_features,
            demodulate=False,
        )
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.upsample = FirUpsample(taps=taps, in_state_dict=True) if upsample else None

    def forward(self, feat_NCHW: Tensor, style_NF: Tensor, coarser: Tensor | None) -> Tensor:
        """Return ``(N, 3, S, S)``."""
        picture = to_rgb(feat_NCHW, self.conv, style_NF) + self.bias
        if coarser is None or self.upsample is None:
            return picture
        return plus(picture, self.upsample(coarser))


class GpenGenerator(nn.Module):
    """StyleGAN2 with feature branches; arguments as those of ``GPEN``."""

    def __init__(
        self,
        *,
        size: int,
        style_dim: int,
        n_mlp: int,
        channel_multiplier: float,
        blur_kernel: Sequence[float],
        lr_mlp: float,
        isconcat: bool,
        narrow: float,
    ) -> None:
        super().__init__()
        scales = scale_count(size)
        channels = channels_by_size(multiplier=channel_multiplier, narrow=narrow)
        wide = 2 if isconcat else 1
        self.num_latent = 2 * scales + 2
        self.style = mapping_network(features=style_dim, layers=n_mlp, lr_mul=lr_mlp)
        self.input = ConstantInput(channels=channels[4], key="input")

        def style_conv(inputs: int, outputs: int, *, upsample: bool) -> GpenStyleConv:
            return GpenStyleConv(
                inputs=inputs,
                outputs=outputs,
                style_features=style_dim,
                isconcat=isconcat,
                upsample=upsample,
                taps=blur_kernel,
            )

        self.conv1 = style_conv(channels[4], channels[4], upsample=False)
        self.to_rgb1 = GpenToRGB(
            inputs=channels[4] * wide, style_features=style_dim, upsample=False
        )
        convs: list[nn.Module] = []
        to_rgbs: list[nn.Module] = []
        for at in range(scales):
            coarse, fine = channels[4 << at], channels[8 << at]
            convs += [
                style_conv(coarse * wide, fine, upsample=True),
                style_conv(fine * wide, fine, upsample=False),
            ]
            to_rgbs.append(
                GpenToRGB(inputs=fine * wide, style_features=style_dim, taps=blur_kernel)
            )
        self.convs = nn.ModuleList(convs)
        self.to_rgbs = nn.ModuleList(to_rgbs)

    def forward(self, z_NF: Tensor, branches: Noise) -> Tensor:
        """Return the picture of codes in Z, ``(N, 3, S, S)``.

        Args:
            z_NF: ``(N, style_dim)``.
            branches: Features per style block, coarse to fine, ``(N, C, S, S)`` with the
                channels of the block.
        """
        return self.synthesise(self.broadcast(self.style(z_NF)), noise=branches)

    @property
    def style_mlp(self) -> nn.Module:
        """The mapping under the name that ``GenerativePrior`` gives it."""
        return self.style

    def broadcast(self, style_NF: Tensor) -> Tensor:
        """Return one code in W for all blocks, ``(N, num_latent, F)``."""
        return style_NF[:, None].expand(-1, self.num_latent, -1)

    def synthesise(
        self, latents_NLF: Tensor, *, noise: Noise | None = None, between: Between = unchanged
    ) -> Tensor:
        """Return the picture of codes in W+, ``(N, 3, S, S)``; as ``GenerativePrior`` says.

        Raises:
            ValueError: No ``noise``: there is none stored, features take its place.
        """
        if noise is None:
            raise ValueError("features take the place of the noise: give them")
        convs = list(self.convs)
        return run_synthesis(
            self.input(latents_NLF.shape[0]),
            latents_NLF,
            noise,
            first=(self.conv1, self.to_rgb1),
            scales=list(zip(convs[::2], convs[1::2], self.to_rgbs, strict=True)),
            between=between,
        )


class GPEN(nn.Module):
    """Encoder and generator; published as ``FullGenerator``.

    Args:
        size: Side of crops and results, a power of two.
        style_dim: Features of a style code.
        n_mlp: Layers of the mapping.
        channel_multiplier: Of the channels at 64 pixels and above.
        blur_kernel: Taps of the resampling filter.
        lr_mlp: Pace of the mapping.
        isconcat: Whether features are concatenated (as released) or added.
        narrow: Of all channels.
    """

    def __init__(
        self,
        *,
        size: int = 512,
        style_dim: int = 512,
        n_mlp: int = 8,
        channel_multiplier: float = 2,
        blur_kernel: Sequence[float] = FIR_TAPS,
        lr_mlp: float = 0.01,
        isconcat: bool = True,
        narrow: float = 1,
    ) -> None:
        super().__init__()
        channels = channels_by_size(multiplier=channel_multiplier, narrow=narrow)
        self.generator = GpenGenerator(
            size=size,
            style_dim=style_dim,
            n_mlp=n_mlp,
            channel_multiplier=channel_multiplier,
            blur_kernel=blur_kernel,
            lr_mlp=lr_mlp,
            isconcat=isconcat,
            narrow=narrow,
        )
        self.size = size
        self.scales = scale_count(size) + 1
        for at in range(self.scales):
            self.add_module(f"ecd{at}", encoder_stage(at, size, channels, blur_kernel))
        self.final_linear = nn.Sequential(
            EqualLinear(inputs=channels[4] * 16, outputs=style_dim, activated=True)
        )

    def forward(self, image_NCHW: Tensor) -> RestorerOutput:
        """Restore ``(N, 3, size, size)`` RGB crops in [-1, 1].

        Raises:
            ValueError: The crops have another size.
        """
        check_input_size(image_NCHW, self.size)
        feat = image_NCHW.to(self.generator.input.get_parameter("input").dtype)
        features: list[Tensor] = []
        for at in range(self.scales):
            feat = self.get_submodule(f"ecd{at}")(feat)
            features.append(feat)
        code = self.final_linear(feat.flatten(1))
        image = self.generator(code, branches(features[::-1]))
        return RestorerOutput(image=image.to(image_NCHW.dtype))


def branches(features: Sequence[Tensor]) -> list[Tensor]:
    """Return one map per style block of features per scale, coarse to fine: 4, 8, 8, 16, 16 ..."""
    return [feat for feat in features for _ in range(2)][1:]


def encoder_stage(
    at: int, size: int, channels: Mapping[int, int], taps: Sequence[float]
) -> nn.Sequential:
    """Return the convolution to scale ``at`` of the encoder: 0 keeps the size, others halve it."""
    side = size >> at
    if at == 0:
        return nn.Sequential(ConvLayer(inputs=3, outputs=channels[side], kernel_size=1))
    return nn.Sequential(
        ConvLayer(
            inputs=channels[side * 2],
            outputs=channels[side],
            kernel_size=3,
            downsample=True,
            taps=taps,
            filter_in_state_dict=True,
        )
    )
