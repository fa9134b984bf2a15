"""GFP-GAN with "clean" layers: the released 1.2, 1.3 and 1.4 (published as GFPGANv1Clean).

The parts and their order are those of ``original.py`` and of the paper; the layers are plain
convolutions with leaky rectifiers and bilinear resizing, as in ``stylegan2/clean.py``. No
paper describes this variant; the released code is followed.
"""

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.common.inplace_ops import add_inplace
from vidrestore.models.gfpgan.base import GfpganBase, GfpganLayers
from vidrestore.models.stylegan2.clean import CleanGenerator, upsample_2x
from vidrestore.models.stylegan2.layers import SLOPE


class CleanResBlock(nn.Module):
    """Residual block that halves or doubles the size by bilinear resizing."""

    def __init__(self, *, in_channels: int, out_channels: int, up: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, in_channels, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
        self.skip = nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False)
        self.up = up

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return ``(N, out_channels, 2H, 2W)`` or half the size."""
        feat = F.leaky_relu(self.conv1(feat_NCHW), SLOPE, inplace=True)
        feat = upsample_2x(feat) if self.up else _downsample_2x(feat)
        feat = F.leaky_relu(self.conv2(feat), SLOPE, inplace=True)
        # A 1x1 convolution and resizing commute: the convolution runs at the smaller size.
        skip = (
            upsample_2x(self.skip(feat_NCHW)) if self.up else self.skip(_downsample_2x(feat_NCHW))
        )
        return add_inplace(feat, skip)


def _downsample_2x(feat_NCHW: Tensor) -> Tensor:
    # Bilinear resizing of even sides to a half is the mean of two by two.
    return F.avg_pool2d(feat_NCHW, 2)


def _conv(*, in_channels: int, out_channels: int, kernel_size: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)


def _condition(channels: int, *, split: bool, bias_init: float) -> nn.Sequential:
    del bias_init  # released networks were not started from it
    return nn.Sequential(
        nn.Conv2d(channels, channels, kernel_size=3, padding=1),
        nn.LeakyReLU(SLOPE, inplace=True),
        nn.Conv2d(channels, channels if split else 2 * channels, kernel_size=3, padding=1),
    )


class GFPGANClean(GfpganBase):
    """The released network."""

    layers = GfpganLayers(
        conv=_conv,
        down=partial(CleanResBlock, up=False),
        up=partial(CleanResBlock, up=True),
        to_rgb=partial(nn.Conv2d, out_channels=3, kernel_size=1),
        linear=nn.Linear,
        condition=_condition,
        prior=CleanGenerator,
        channel_multiplier=2,
    )

    def _activated(self, feat_NCHW: Tensor) -> Tensor:
        return F.leaky_relu(feat_NCHW, SLOPE, inplace=True)
