"""Layers of MobileStyleGAN (sections 3.3 and 3.4): modulated, depthwise separable convolutions.

Unlike StyleGAN2's, demodulation here depends on the weights alone, not on the style. It is folded
into the weights, in the published files as here. The noise of a layer has its strength in it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.common.inplace_ops import plus
from vidrestore.models.mobile_stylegan.wavelet import inverse_haar
from vidrestore.models.stylegan2.layers import SLOPE
from vidrestore.models.stylegan2.modulation import scaled

_TAPS = 9
"""Of a kernel; a style is divided by the root of what a layer sums, 1x1 convolutions included."""


def _style_map(features: int, channels: int) -> nn.Linear:
    """Return the affine map from a style code to a factor per channel, near one at first."""
    linear = nn.Linear(features, channels)
    nn.init.normal_(linear.weight, std=features**-0.5)
    nn.init.ones_(linear.bias)
    return linear


class ModulatedConv(nn.Module):
    """A 3x3 convolution of features that a style has scaled.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        style_features: Of a style code.
        separable: Whether it is a depthwise 3x3 and then a 1x1 convolution.
    """

    def __init__(
        self, *, inputs: int, outputs: int, style_features: int, separable: bool = True
    ) -> None:
        super().__init__()
        self.modulation = _style_map(style_features, inputs)
        self.weight_dw = nn.Parameter(torch.randn(inputs, 1, 3, 3)) if separable else None
        side = 1 if separable else 3
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.gain = (inputs * _TAPS) ** -0.5

    def forward(self, feat_NCHW: Tensor, style_NF: Tensor) -> Tensor:
        """Return ``(N, outputs, H, W)``; the memory of the features may be used."""
        feat = scaled(feat_NCHW, self.modulation(style_NF) * self.gain, reuse=True)
        if self.weight_dw is None:
            return F.conv2d(feat, self.weight, padding=1)
        feat = F.conv2d(feat, self.weight_dw, padding=1, groups=len(self.weight_dw))
        return F.conv2d(feat, self.weight)


class StyleConv(nn.Module):
    """A modulated convolution, noise, bias, activation: a ``StyleBlock`` that keeps the size.

    Args:
        inputs: Channels in.
        outputs: Channels of the convolution.
        style_features: Of a style code.
        separable: As in ``ModulatedConv``.
        isconcat: Whether features take the place of the noise and are concatenated, as in GPEN.
    """

    def __init__(
        self,
        *,
        inputs: int,
        outputs: int,
        style_features: int,
        separable: bool = True,
        isconcat: bool = False,
    ) -> None:
        super().__init__()
        self.conv = ModulatedConv(
            inputs=inputs, outputs=outputs, style_features=style_features, separable=separable
        )
        self.strength = nn.Parameter(torch.zeros(1)) if isconcat else None
        self.bias = nn.Parameter(torch.zeros(1, 2 * outputs if isconcat else outputs, 1, 1))

    def forward(self, feat_NCHW: Tensor, style_NF: Tensor, noise: Tensor) -> Tensor:
        """Return ``(N, outputs or twice as many, S, S)``.

        Args:
            feat_NCHW: Its memory may be used while nothing is trained.
            style_NF: A code.
            noise: ``(1 or N, 1, S, S)`` to add, or ``(N, outputs, S, S)`` to concatenate.
        """
        feat = self.conv(feat_NCHW, style_NF)
        if self.strength is None:
            feat = plus(feat, noise)
        else:
            feat = torch.cat([feat, self.strength.to(feat.dtype) * noise.to(feat.dtype)], dim=1)
        return F.leaky_relu(plus(feat, self.bias), SLOPE, inplace=True)


class WaveletUpsample(nn.Module):
    """Features, scaled by a style, taken as four bands of a quarter of the channels.

    Args:
        channels: In.
        style_features: Of a style code.
        groups: Parts of the channels that are transformed apart: two where the second half are
            concatenated features.
    """

    def __init__(self, *, channels: int, style_features: int, groups: int = 1) -> None:
        super().__init__()
        self.modulation = _style_map(style_features, channels)
        self.groups = groups

    def forward(self, feat_NCHW: Tensor, style_NF: Tensor) -> Tensor:
        """Return ``(N, channels / 4, 2 H, 2 W)``; the memory of the features may be used."""
        feat = scaled(feat_NCHW, self.modulation(style_NF), reuse=True)
        if self.groups == 1:
            return inverse_haar(feat)
        return torch.cat([inverse_haar(part) for part in feat.chunk(self.groups, dim=1)], dim=1)


class PictureHead(nn.Module):
    """Four bands of a picture from the last features (``to_img``).

    Args:
        inputs: Channels of the features.
        style_features: Of a style code.
    """

    def __init__(self, *, inputs: int, style_features: int) -> None:
        super().__init__()
        self.conv = nn.Module()
        self.conv.modulation = _style_map(style_features, inputs)
        self.conv.weight = nn.Parameter(torch.randn(12, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, 12, 1, 1))
        self.gain = inputs**-0.5

    def forward(self, feat_NCHW: Tensor, style_NF: Tensor, *, doubled: bool) -> Tensor:
        """Return the picture at the features' size, or at twice that.

        Half of the low band is the mean over two by two pixels of the doubled picture. So the
        smaller picture costs a quarter of the head, and nothing at the larger size.
        """
        count = 12 if doubled else 3
        scale = self.conv.get_submodule("modulation")(style_NF) * self.gain
        weight = self.conv.get_parameter("weight")[:count, :, 0, 0] * scale[:, None]
        bands = torch.einsum("noi,nihw->nohw", weight.to(feat_NCHW.dtype), feat_NCHW)
        bands = plus(bands, self.bias[:, :count])
        return inverse_haar(bands) if doubled else bands * 0.5
