"""RRDBNet: the generator of ESRGAN (Wang et al. 2018, section 3.1) and of Real-ESRGAN.

Real-ESRGAN (Wang et al. 2021, section 3.4) trains the same network against blur, noise and
compression. Residual-in-residual dense blocks without normalization work at the size of the input.
Two nearest-neighbor enlargements with a convolution each follow. Tensors have the published names.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.common.inplace_ops import add_inplace, mul_inplace

_RESIDUAL_SCALE = 0.2
_SLOPE = 0.2


class DenseBlock(nn.Module):
    """Five convolutions, each of which gets the outputs of all before it (paper, figure 4)."""

    def __init__(self, *, features: int, growth: int) -> None:
        super().__init__()
        self.conv1 = _convolution(features, growth)
        self.conv2 = _convolution(features + growth, growth)
        self.conv3 = _convolution(features + 2 * growth, growth)
        self.conv4 = _convolution(features + 3 * growth, growth)
        self.conv5 = _convolution(features + 4 * growth, features)

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return features of the same shape."""
        feat = feat_NCHW
        for convolution in (self.conv1, self.conv2, self.conv3, self.conv4):
            added = F.leaky_relu(convolution(feat), _SLOPE, inplace=True)
            feat = torch.cat([feat, added], dim=1)
        return add_inplace(mul_inplace(self.conv5(feat), _RESIDUAL_SCALE), feat_NCHW)


class RRDB(nn.Module):
    """Residual in residual: three dense blocks, scaled and added to their input."""

    def __init__(self, *, features: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(features=features, growth=growth)
        self.rdb2 = DenseBlock(features=features, growth=growth)
        self.rdb3 = DenseBlock(features=features, growth=growth)

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return features of the same shape."""
        change = self.rdb3(self.rdb2(self.rdb1(feat_NCHW)))
        return add_inplace(mul_inplace(change, _RESIDUAL_SCALE), feat_NCHW)


class RRDBNet(nn.Module):
    """Enlarges RGB images four times along each side.

    Args:
        features: Channels between the blocks.
        growth: Channels that a convolution of a dense block adds.
        blocks: Residual-in-residual dense blocks.
    """

    scale = 4

    def __init__(self, *, features: int = 64, growth: int = 32, blocks: int = 23) -> None:
        super().__init__()
        self.conv_first = _convolution(3, features)
        self.body = nn.Sequential(*[RRDB(features=features, growth=growth) for _ in range(blocks)])
        self.conv_body = _convolution(features, features)
        self.conv_up1 = _convolution(features, features)
        self.conv_up2 = _convolution(features, features)
        self.conv_hr = _convolution(features, features)
        self.conv_last = _convolution(features, 3)

    def forward(self, rgb_NCHW: Tensor) -> Tensor:
        """Return ``(N, 3, 4 H, 4 W)`` float32 RGB, [0, 1] nominally; not clipped.

        Args:
            rgb_NCHW: ``(N, 3, H, W)`` float32 RGB in [0, 1]; features have the weights' precision.
        """
        first = _in_float32(self.conv_first, rgb_NCHW).to(self.conv_body.weight.dtype)
        feat = add_inplace(self.conv_body(self.body(first)), first)
        for convolution in (self.conv_up1, self.conv_up2):
            larger = F.interpolate(feat, scale_factor=2, mode="nearest")
            feat = F.leaky_relu(convolution(larger), _SLOPE, inplace=True)
        feat = F.leaky_relu(self.conv_hr(feat), _SLOPE, inplace=True)
        return _in_float32(self.conv_last, feat)


def _convolution(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)


def _in_float32(convolution: nn.Conv2d, feat_NCHW: Tensor) -> Tensor:
    """Convolve in float32 at the input and the output: bf16 has too few levels for images."""
    bias = None if convolution.bias is None else convolution.bias.float()
    with torch.autocast(feat_NCHW.device.type, enabled=False):
        return F.conv2d(feat_NCHW.float(), convolution.weight.float(), bias, padding=1)
