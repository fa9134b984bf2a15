"""The generator of GPEN (Yang et al. 2021): StyleGAN2 with features instead of noise."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.common.inplace_ops import add_inplace
from vidrestore.models.stylegan2.fir import FirSmooth, FirUpsample
from vidrestore.models.stylegan2.generator import EqualModulatedWeight, styled_conv
from vidrestore.models.stylegan2.layers import (
    SLOPE,
    SQRT_2,
    FusedLeakyReLU,
    channels_by_size,
    mapping_network,
)
from vidrestore.models.stylegan2.modulation import to_rgb
from vidrestore.models.stylegan2.synthesis import (
    ConstantInput,
    FeatureHook,
    Noise,
    identity_hook,
    run_synthesis,
    scale_count,
    scale_modules,
)


class _NoiseStrength(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


class _ModulatedConv(EqualModulatedWeight):
    """A modulated weight and, where it doubles the size, its filter."""

    def __init__(
        self, *, in_channels: int, out_channels: int, style_dim: int, upsample: bool
    ) -> None:
        super().__init__(
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_size=3,
            style_dim=style_dim,
            demodulate=True,
        )
        self.blur = FirSmooth(kernel_size=3, up=True, in_state_dict=True) if upsample else None


class GpenStyleConv(nn.Module):
    """Modulated convolution, features concatenated, bias, activation."""

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        style_dim: int,
        upsample: bool = False,
    ) -> None:
        super().__init__()
        self.conv = _ModulatedConv(
            in_channels=in_channels,
            out_channels=out_channels,
            style_dim=style_dim,
            upsample=upsample,
        )
        self.noise = _NoiseStrength()
        self.activate = FusedLeakyReLU(channels=2 * out_channels)

    def forward(self, feat_NCHW: Tensor, style_NF: Tensor, noise: Tensor) -> Tensor:
        """Return ``(N, 2 * out_channels, S, S)``.

        Features may be overwritten as ``StyleBlock`` says; ``noise`` is not.
        """
        feat = styled_conv(feat_NCHW, self.conv, self.conv.blur, style_NF)
        injected = (self.noise.weight * SQRT_2) * noise
        feat = torch.cat([feat, injected], dim=1)
        feat = add_inplace(feat, (self.activate.bias * SQRT_2).view(1, -1, 1, 1))
        return F.leaky_relu(feat, SLOPE, inplace=True)


class GpenToRGB(nn.Module):
    """The image of a scale, added to the upsampled image of the coarser scales."""

    def __init__(self, *, in_channels: int, style_dim: int, upsample: bool = True) -> None:
        super().__init__()
        self.conv = EqualModulatedWeight(
            in_channels=in_channels,
            out_channels=3,
            kernel_size=1,
            style_dim=style_dim,
            demodulate=False,
        )
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.upsample = FirUpsample(in_state_dict=True) if upsample else None

    def forward(self, feat_NCHW: Tensor, style_NF: Tensor, coarser: Tensor | None) -> Tensor:
        """Return ``(N, 3, S, S)``."""
        image = to_rgb(feat_NCHW, self.conv, style_NF) + self.bias
        if coarser is None or self.upsample is None:
            return image
        return add_inplace(image, self.upsample(coarser))


class GpenGenerator(nn.Module):
    """StyleGAN2 with feature branches; arguments as those of ``GPEN``."""

    def __init__(
        self,
        *,
        size: int,
        style_dim: int,
        n_mlp: int,
        channel_multiplier: float,
        narrow: float,
    ) -> None:
        super().__init__()
        scales = scale_count(size)
        channels = channels_by_size(multiplier=channel_multiplier, narrow=narrow)
        self.num_latent = 2 * scales + 2
        self.style = mapping_network(features=style_dim, layers=n_mlp)
        self.input = ConstantInput(channels=channels[4], key="input")
        style_conv = partial(GpenStyleConv, style_dim=style_dim)
        to_rgb = partial(GpenToRGB, style_dim=style_dim)
        self.conv1 = style_conv(in_channels=channels[4], out_channels=channels[4])
        self.to_rgb1 = to_rgb(in_channels=2 * channels[4], upsample=False)
        self.convs, self.to_rgbs = scale_modules(scales, channels, style_conv, to_rgb, wide=2)

    def forward(self, z_NF: Tensor, branches: Noise) -> Tensor:
        """Return the image of codes in Z, ``(N, 3, S, S)``.

        Args:
            z_NF: ``(N, style_dim)``.
            branches: Features per style block, coarse to fine, ``(N, C, S, S)`` with the
                channels of the block.
        """
        return self.synthesize(self.to_w_plus(self.style(z_NF)), noise=branches)

    @property
    def style_mlp(self) -> nn.Module:
        """The mapping, under its name in ``GenerativePrior``."""
        return self.style

    def to_w_plus(self, style_NF: Tensor) -> Tensor:
        """Return W+ codes ``(N, num_latent, F)`` that repeat one code in W."""
        return style_NF[:, None].expand(-1, self.num_latent, -1)

    def synthesize(
        self, latents_NLF: Tensor, *, noise: Noise | None = None, hook: FeatureHook = identity_hook
    ) -> Tensor:
        """Return the image of codes in W+, ``(N, 3, S, S)``; see ``GenerativePrior``.

        Raises:
            ValueError: ``noise`` is None: features replace it, and none are stored.
        """
        if noise is None:
            raise ValueError("this generator takes features as noise: pass them")
        convs = list(self.convs)
        return run_synthesis(
            self.input(latents_NLF.shape[0]),
            latents_NLF,
            noise,
            first=(self.conv1, self.to_rgb1),
            scales=list(zip(convs[::2], convs[1::2], self.to_rgbs, strict=True)),
            hook=hook,
        )
