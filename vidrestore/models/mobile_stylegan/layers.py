"""Layers of MobileStyleGAN (sections 3.3 and 3.4): modulated, depthwise separable convolutions.

Unlike in StyleGAN2, demodulation depends on the weights alone, not on the style. It is folded into
the weights, also in the published files. The strength of a layer's noise is folded into the noise.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.common.inplace_ops import add_inplace
from vidrestore.models.mobile_stylegan.wavelet import inverse_haar
from vidrestore.models.stylegan2.layers import SLOPE
from vidrestore.models.stylegan2.modulation import scale_channels

_TAPS = 9
"""Number of taps of a kernel. Styles are divided by the root of channels times taps, also for 1x1
convolutions."""


def _style_map(features: int, channels: int) -> nn.Linear:
    """Return the affine map from a style code to a factor per channel, near one at first."""
    linear = nn.Linear(features, channels)
    nn.init.normal_(linear.weight, std=features**-0.5)
    nn.init.ones_(linear.bias)
    return linear


class ModulatedConv(nn.Module):
    """A 3x3 convolution of features scaled by a style.

    Args:
        in_channels: Number of channels in.
        out_channels: Number of channels out.
        style_dim: Size of a style code.
        separable: Whether it is a depthwise 3x3 and then a 1x1 convolution.
    """

    def __init__(
        self, *, in_channels: int, out_channels: int, style_dim: int, separable: bool = True
    ) -> None:
        super().__init__()
        self.modulation = _style_map(style_dim, in_channels)
        self.weight_dw = nn.Parameter(torch.randn(in_channels, 1, 3, 3)) if separable else None
        side = 1 if separable else 3
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, side, side))
        self.gain = (in_channels * _TAPS) ** -0.5

    def forward(self, feat_NCHW: Tensor, style_NF: Tensor) -> Tensor:
        """Return ``(N, out_channels, H, W)``; may overwrite the features."""
        feat = scale_channels(feat_NCHW, self.modulation(style_NF) * self.gain, reuse=True)
        if self.weight_dw is None:
            return F.conv2d(feat, self.weight, padding=1)
        feat = F.conv2d(feat, self.weight_dw, padding=1, groups=len(self.weight_dw))
        return F.conv2d(feat, self.weight)


class StyleConv(nn.Module):
    """A modulated convolution, noise, bias, activation: a ``StyleBlock`` that keeps the size.

    Args:
        in_channels: Number of channels in.
        outputs: Channels of the convolution.
        style_dim: Size of a style code.
        separable: As in ``ModulatedConv``.
        isconcat: Whether features are concatenated instead of adding noise, as in GPEN.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        style_dim: int,
        separable: bool = True,
        isconcat: bool = False,
    ) -> None:
        super().__init__()
        self.conv = ModulatedConv(
            in_channels=in_channels,
            out_channels=out_channels,
            style_dim=style_dim,
            separable=separable,
        )
        self.strength = nn.Parameter(torch.zeros(1)) if isconcat else None
        self.bias = nn.Parameter(
            torch.zeros(1, 2 * out_channels if isconcat else out_channels, 1, 1)
        )

    def forward(self, feat_NCHW: Tensor, style_NF: Tensor, noise: Tensor) -> Tensor:
        """Return ``(N, out_channels or twice as many, S, S)``.

        Args:
            feat_NCHW: May be overwritten while nothing is trained.
            style_NF: A code.
            noise: ``(1 or N, 1, S, S)`` to add, or ``(N, out_channels, S, S)`` to concatenate.
        """
        feat = self.conv(feat_NCHW, style_NF)
        if self.strength is None:
            # In place, a sum of two precisions is slow on a CPU.
            feat = add_inplace(feat, noise.to(feat.dtype))
        else:
            feat = torch.cat([feat, self.strength.to(feat.dtype) * noise.to(feat.dtype)], dim=1)
        return F.leaky_relu(add_inplace(feat, self.bias.to(feat.dtype)), SLOPE, inplace=True)


class WaveletUpsample(nn.Module):
    """Inverse wavelet of features scaled by a style: four bands of a quarter of the channels.

    Args:
        channels: In.
        style_dim: Size of a style code.
        groups: Number of parts of the channels that are transformed separately: two where the
            second half are concatenated features.
    """

    def __init__(self, *, channels: int, style_dim: int, groups: int = 1) -> None:
        super().__init__()
        self.modulation = _style_map(style_dim, channels)
        self.groups = groups

    def forward(self, feat_NCHW: Tensor, style_NF: Tensor) -> Tensor:
        """Return ``(N, channels / 4, 2 H, 2 W)``; may overwrite the features."""
        feat = scale_channels(feat_NCHW, self.modulation(style_NF), reuse=True)
        if self.groups == 1:
            return inverse_haar(feat)
        return torch.cat([inverse_haar(part) for part in feat.chunk(self.groups, dim=1)], dim=1)


class ImageHead(nn.Module):
    """Four bands of an image from the last features (``to_img``).

    Args:
        inputs: Channels of the features.
        style_dim: Size of a style code.
    """

    def __init__(self, *, in_channels: int, style_dim: int) -> None:
        super().__init__()
        self.conv = nn.Module()
        self.conv.modulation = _style_map(style_dim, in_channels)
        self.conv.weight = nn.Parameter(torch.randn(12, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, 12, 1, 1))
        self.gain = in_channels**-0.5

    def forward(self, feat_NCHW: Tensor, style_NF: Tensor, *, double_size: bool) -> Tensor:
        """Return the image at the features' size, or at twice that.

        Half of the low band is the mean over 2 x 2 pixels of the larger image. So the smaller image
        costs a quarter of the head.
        """
        count = 12 if double_size else 3
        scale = self.conv.get_submodule("modulation")(style_NF) * self.gain
        weight = self.conv.get_parameter("weight")[:count, :, 0, 0] * scale[:, None]
        feat_NHWC = feat_NCHW.permute(0, 2, 3, 1)
        flat = torch.bmm(feat_NHWC.flatten(1, 2), weight.to(feat_NCHW.dtype).transpose(1, 2))
        bands = flat.reshape(*feat_NHWC.shape[:3], count).permute(0, 3, 1, 2)
        bands = add_inplace(bands, self.bias[:, :count].to(bands.dtype))
        return inverse_haar(bands) if double_size else bands * 0.5
