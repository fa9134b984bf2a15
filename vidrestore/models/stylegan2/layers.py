"""Layers with equalized learning rates (Karras et al. 2018, section 4.1; StyleGAN2).

Weights are drawn with unit variance and multiplied by He's constant at every use, so that
Adam updates all layers at one rate. Names of parameters are those of published checkpoints.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.common.fusion import Fusible
from vidrestore.models.common.inplace_ops import add_inplace, mul_inplace
from vidrestore.models.stylegan2.fir import FirSmooth

SQRT_2 = 2.0**0.5
MAPPING_LR = 0.01
"""Learning rate of the mapping relative to the rest, in every published network."""
SLOPE = 0.2
"""Negative slope of all leaky ReLUs in this module."""


def scaled_leaky_relu(feat: Tensor) -> Tensor:
    """Return leaky ReLU of the features, at the same variance.

    Like all layers here, it may overwrite its input while nothing is trained.
    """
    return mul_inplace(F.leaky_relu(feat, SLOPE, inplace=not torch.is_grad_enabled()), SQRT_2)


class ScaledLeakyReLU(nn.Module):
    """``scaled_leaky_relu`` as a layer."""

    def forward(self, feat: Tensor) -> Tensor:
        """Return features of the same shape."""
        return scaled_leaky_relu(feat)


class FusedLeakyReLU(nn.Module):
    """Add a bias per channel, then ``scaled_leaky_relu``."""

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, feat: Tensor) -> Tensor:
        """Return ``(N, C, ...)`` features of the same shape."""
        return scaled_leaky_relu(add_inplace(feat, self.bias.view(1, -1, *[1] * (feat.ndim - 2))))


class EqualLinear(nn.Module):
    """A linear layer with an equalized learning rate.

    Args:
        in_features: Number of features in.
        out_features: Number of features out.
        bias_init: Initial value of the bias.
        lr_mul: Learning rate relative to other layers.
        activated: Whether ``scaled_leaky_relu`` follows.
    """

    def __init__(
        self,
        *,
        in_features: int,
        out_features: int,
        bias_init: float = 0.0,
        lr_mul: float = 1.0,
        activated: bool = False,
    ) -> None:
        super().__init__()
        self.gain = in_features**-0.5
        self.lr_mul = lr_mul
        self.activated = activated
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_mul)
        self.bias = nn.Parameter(torch.full((out_features,), bias_init))

    def forward(self, feat_NF: Tensor) -> Tensor:
        """Return ``(N, out_features)``."""
        # Scaled before the sum, which could overflow half precision.
        out = F.linear(feat_NF * self.gain, self.weight, self.bias) * self.lr_mul
        return scaled_leaky_relu(out) if self.activated else out


class EqualConv2d(Fusible[Tensor]):
    """A convolution with an equalized learning rate."""

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        bias_init: float | None = 0.0,
    ) -> None:
        super().__init__()
        self.gain = (in_channels * kernel_size**2) ** -0.5
        self.stride = stride
        self.padding = padding
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias: nn.Parameter | None
        if bias_init is None:
            self.register_parameter("bias", None)
        else:
            self.bias = nn.Parameter(torch.full((out_channels,), bias_init))

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return ``(N, out_channels, H', W')``."""
        return F.conv2d(
            feat_NCHW,
            self.fused(),
            bias=self.bias,
            stride=self.stride,
            padding=self.padding,
        )

    def compute_fused(self) -> Tensor:
        """Return the scaled weights."""
        return self.weight * self.gain


class ConvLayer(nn.Sequential):
    """A convolution that keeps or halves the size, with its activation.

    Halving filters first, then convolves with stride two. The positions of the parts in the
    sequence are those of published checkpoints.

    Args:
        in_channels: Number of channels in.
        out_channels: Number of channels out.
        kernel_size: Odd.
        downsample: Whether the size is halved.
        biased: Whether there is a bias.
        activated: Whether a scaled leaky ReLU follows, which then holds the bias.
        filter_in_state_dict: Whether checkpoints hold the filter.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        downsample: bool = False,
        biased: bool = True,
        activated: bool = True,
        filter_in_state_dict: bool = False,
    ) -> None:
        layers: list[nn.Module] = []
        # A 1x1 convolution sees only the samples that its stride keeps: only those are filtered.
        early = downsample and kernel_size == 1
        if downsample:
            layers.append(
                FirSmooth(
                    kernel_size=kernel_size,
                    up=False,
                    stride=2 if early else 1,
                    in_state_dict=filter_in_state_dict,
                )
            )
        layers.append(
            EqualConv2d(
                in_channels=in_channels,
                out_channels=out_channels,
                kernel_size=kernel_size,
                stride=2 if downsample and not early else 1,
                padding=0 if downsample else kernel_size // 2,
                bias_init=0.0 if biased and not activated else None,
            )
        )
        if activated:
            layers.append(FusedLeakyReLU(channels=out_channels) if biased else ScaledLeakyReLU())
        super().__init__(*layers)


class ResBlock(nn.Module):
    """Residual block that halves the size (StyleGAN2, figure 7c)."""

    def __init__(self, *, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = ConvLayer(in_channels=in_channels, out_channels=in_channels, kernel_size=3)
        self.conv2 = ConvLayer(
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_size=3,
            downsample=True,
        )
        self.skip = ConvLayer(
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_size=1,
            downsample=True,
            biased=False,
            activated=False,
        )

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return ``(N, out_channels, H / 2, W / 2)``."""
        feat = add_inplace(self.conv2(self.conv1(feat_NCHW)), self.skip(feat_NCHW))
        return mul_inplace(feat, SQRT_2**-1)


class UpConv(Fusible[Tensor]):
    """Bilinear doubling, then an equalized convolution, activated or bare.

    Args:
        in_channels: Number of channels in.
        out_channels: Number of channels out.
        kernel_size: Odd.
        activated: Whether bias and scaled leaky ReLU follow; otherwise there is no bias.
    """

    def __init__(
        self, *, in_channels: int, out_channels: int, kernel_size: int, activated: bool
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.gain = (in_channels * kernel_size**2) ** -0.5
        self.padding = kernel_size // 2
        self.activation = FusedLeakyReLU(channels=out_channels) if activated else None

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return ``(N, out_channels, 2H, 2W)``."""
        weight = self.fused()
        if self.padding == 0:
            # A 1x1 convolution and resizing commute: a quarter of the arithmetic.
            feat = upsample_2x(F.conv2d(feat_NCHW, weight))
        else:
            feat = F.conv2d(upsample_2x(feat_NCHW), weight, padding=self.padding)
        return feat if self.activation is None else self.activation(feat)

    def compute_fused(self) -> Tensor:
        """Return the scaled weights."""
        return self.weight * self.gain


def upsample_2x(feat_NCHW: Tensor) -> Tensor:
    """Return features at twice the size, bilinear."""
    return F.interpolate(feat_NCHW, scale_factor=2, mode="bilinear", align_corners=False)


class NormStyleCode(nn.Module):
    """Scale codes to unit mean square along their second axis."""

    def forward(self, codes: Tensor) -> Tensor:
        """Return codes of the same shape."""
        return codes * torch.rsqrt(codes.square().mean(dim=1, keepdim=True) + 1e-8)


def mapping_network(*, features: int, layers: int) -> nn.Sequential:
    """Return the mapping network from Z to W: StyleGAN2's multi-layer perceptron."""
    return nn.Sequential(
        NormStyleCode(),
        *[
            EqualLinear(
                in_features=features, out_features=features, lr_mul=MAPPING_LR, activated=True
            )
            for _ in range(layers)
        ],
    )


def channels_by_size(*, multiplier: float, narrow: float) -> dict[int, int]:
    """Return StyleGAN2's channels at every side of its features, 4 to 1024 pixels.

    Args:
        multiplier: Factor of the channels at 64 pixels and above.
        narrow: Factor of all channels.
    """
    coarse = {size: int(512 * narrow) for size in (4, 8, 16, 32)}
    fine = {size: int(16384 // size * multiplier * narrow) for size in (64, 128, 256, 512, 1024)}
    return coarse | fine
