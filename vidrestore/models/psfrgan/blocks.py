"""Residual blocks shared by the parser and the discriminator of PSFR-GAN.

Parameter names follow the released checkpoints (``conv2d``, ``norm.norm``, ``relu.func``). In
evaluation mode batch normalization is part of the weights of the convolution before it, and
computed once after ``fuse``; the state dict does not show it.
"""

from collections.abc import Callable
from typing import Literal, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.common.fusion import Fusible
from vidrestore.models.common.inplace_ops import add_inplace
from vidrestore.models.psfrgan.convolution import (
    convolution,
    doubling_kernel,
    halving_kernel,
    to_channels_last,
)

# Shape letters in this file: N crops, H/W rows and columns.

LEAKY_SLOPE = 0.2

Scale: TypeAlias = Literal["none", "up", "down", "down_avg"]
"""Size kept, doubled (nearest), halved by the stride, or halved by a mean over 2x2."""


def instance_norm(feat_NCHW: Tensor) -> Tensor:
    """Return features with mean 0 and variance 1 in every channel of every sample.

    Statistics are float32 also for half precision. Sample by sample this is the batch
    normalization of a batch of one, which works in channels-last order; the ready-made instance
    normalization reorders the features and takes four times as long.
    """
    tensor = [
        F.batch_norm(feat_NCHW[index : index + 1], None, None, training=True)
        for index in range(feat_NCHW.shape[0])
    ]
    return tensor[0] if len(tensor) == 1 else torch.cat(tensor)


class _InstanceNorm(nn.Module):
    def forward(self, feat_NCHW: Tensor) -> Tensor:
        return instance_norm(feat_NCHW)


class _PixelNorm(nn.Module):
    def forward(self, feat_NCHW: Tensor) -> Tensor:
        return F.normalize(feat_NCHW.float(), p=2, dim=1).to(feat_NCHW.dtype)


_NORMS: dict[str, Callable[[int], nn.Module]] = {
    "bn": nn.BatchNorm2d,
    "in": lambda channels: _InstanceNorm(),
    "gn": lambda channels: nn.GroupNorm(32, channels),
    "pixel": lambda channels: _PixelNorm(),
    "none": lambda channels: nn.Identity(),
}
_ACTIVATIONS: dict[str, Callable[[int], nn.Module]] = {
    "relu": lambda channels: nn.ReLU(inplace=True),
    "leakyrelu": lambda channels: nn.LeakyReLU(LEAKY_SLOPE, inplace=True),
    "prelu": nn.PReLU,
    "selu": lambda channels: nn.SELU(inplace=True),
    "none": lambda channels: nn.Identity(),
}


def _look_up(
    table: dict[str, Callable[[int], nn.Module]], kind: str, what: str
) -> Callable[[int], nn.Module]:
    try:
        return table[kind.lower()]
    except KeyError:
        raise ValueError(f"{what} {kind!r} is none of: {', '.join(table)}") from None


class Norm(nn.Module):
    """A normalization by its published name: bn, in, gn (32 groups), pixel or none."""

    def __init__(self, *, channels: int, norm_type: str) -> None:
        super().__init__()
        self.norm = _look_up(_NORMS, norm_type, "norm_type")(channels)

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return features of the same shape."""
        return self.norm(feat_NCHW)


class Activation(nn.Module):
    """An activation by its published name: relu, leakyrelu (0.2), prelu, selu or none.

    Works in place where it can.
    """

    def __init__(self, *, channels: int, relu_type: str) -> None:
        super().__init__()
        self.func = _look_up(_ACTIVATIONS, relu_type, "relu_type")(channels)

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return features of the same shape."""
        return self.func(feat_NCHW)


def doubling_steps(small: int, large: int) -> int:
    """Return how many doublings lead from ``small`` to ``large``.

    Raises:
        ValueError: No number does.
    """
    steps = (large // small).bit_length() - 1 if small > 0 else -1
    if steps < 0 or small << steps != large:
        raise ValueError(f"{large} px must be {small} px times a power of two")
    return steps


def clamp_channels(channels: int, min_channels: int, max_channels: int) -> int:
    """Return ``channels``, but not fewer nor more than two numbers."""
    return max(min_channels, min(channels, max_channels))


class ConvUnit(Fusible[tuple[Tensor, Tensor | None]]):
    """Reflection padding, 3x3 convolution, normalization, activation; in this order.

    Args:
        in_channels: Number of channels in.
        out_channels: Number of channels out.
        scale: How the size changes; the mean of ``down_avg`` precedes the normalization.
        norm_type: See ``Norm``; with ``bn`` the convolution has no bias.
        relu_type: See ``Activation``.
        padded: Whether the border is padded; otherwise it is lost.
        spectral: Whether the weights are spectrally normalized.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        scale: Scale = "none",
        norm_type: str = "none",
        relu_type: str = "none",
        padded: bool = True,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        self.scale: Scale = scale
        self.padded = padded
        has_bn = norm_type.lower() == "bn"
        self.conv2d = convolution(
            in_channels=in_channels, out_channels=out_channels, spectral=spectral, bias=not has_bn
        )
        self.norm = Norm(channels=out_channels, norm_type=norm_type)
        self.relu = Activation(channels=out_channels, relu_type=relu_type)

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return ``(N, out_channels, H, W)`` features, or twice or half the size."""
        weight, bias = self.fused()
        out = self._convolved(feat_NCHW, weight, bias)
        if self.training or self._batch_norm() is None:
            out = self.norm(out)
        return self.relu(out)

    def _batch_norm(self) -> nn.BatchNorm2d | None:
        return self.norm.norm if isinstance(self.norm.norm, nn.BatchNorm2d) else None

    def compute_fused(self) -> tuple[Tensor, Tensor | None]:
        """Return kernel and bias, in evaluation mode with batch normalization in them."""
        kernel, bias = self.conv2d.kernel(), self.conv2d.bias
        norm = self._batch_norm()
        if norm is not None and not self.training:
            gain, shift, mean, variance = (tensor.float() for tensor in _statistics(norm))
            gain = gain * torch.rsqrt(variance + norm.eps)
            bias = (shift - mean * gain).to(kernel.dtype)
            kernel = (kernel.float() * gain[:, None, None, None]).to(kernel.dtype)
        if self.scale == "up":
            kernel = doubling_kernel(kernel)
        if self.scale == "down_avg":
            kernel = halving_kernel(kernel)
        return to_channels_last(kernel), bias

    def _convolved(self, feat_NCHW: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.scale == "up":
            # Reflection beyond the border of the doubled image gives its border sample.
            around = F.pad(feat_NCHW, (1, 1, 1, 1), mode="replicate")
            return F.conv_transpose2d(around, weight, bias, stride=2, padding=3)
        if self.padded:
            feat_NCHW = F.pad(feat_NCHW, (1, 1, 1, 1), mode="reflect")
        return F.conv2d(feat_NCHW, weight, bias, stride=1 if self.scale == "none" else 2)


def _statistics(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return norm.weight, norm.bias, cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)


class ResidualUnit(nn.Module):
    """Two convolutions and a shortcut, which is a convolution where the shape changes."""

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        norm_type: str,
        relu_type: str,
        scale: Literal["none", "up", "down"] = "none",
    ) -> None:
        super().__init__()
        changes = scale != "none" or in_channels != out_channels
        self.shortcut_func = (
            ConvUnit(in_channels=in_channels, out_channels=out_channels, scale=scale)
            if changes
            else nn.Identity()
        )
        self.conv1 = ConvUnit(
            in_channels=in_channels,
            out_channels=out_channels,
            scale="up" if scale == "up" else "none",
            norm_type=norm_type,
            relu_type=relu_type,
        )
        self.conv2 = ConvUnit(
            in_channels=out_channels,
            out_channels=out_channels,
            scale="down" if scale == "down" else "none",
            norm_type=norm_type,
        )

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return ``(N, out_channels, H, W)`` features, or twice or half the size."""
        residual: Tensor = self.conv2(self.conv1(feat_NCHW))
        return add_inplace(residual, self.shortcut_func(feat_NCHW))
