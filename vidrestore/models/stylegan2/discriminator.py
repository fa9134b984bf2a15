"""The StyleGAN2 discriminator (Karras et al. 2020, figure 7c): residual, one score per image."""

import torch
from torch import Tensor, nn

from vidrestore.models.common.input_checks import check_input_size
from vidrestore.models.stylegan2.layers import (
    ConvLayer,
    EqualLinear,
    ResBlock,
    channels_by_size,
)
from vidrestore.models.stylegan2.synthesis import scale_count


class StyleGAN2Discriminator(nn.Module):
    """Scores images; higher is more real.

    Args:
        out_size: Side of the images, a power of two.
        channel_multiplier: Factor of the channels at 64 pixels and above.
        stddev_group: Number of images whose standard deviation is measured together.
        narrow: Factor of all channels.
    """

    def __init__(
        self,
        *,
        out_size: int,
        channel_multiplier: float = 2,
        stddev_group: int = 4,
        narrow: float = 1,
    ) -> None:
        super().__init__()
        channels = channels_by_size(multiplier=channel_multiplier, narrow=narrow)
        sizes = [out_size >> index for index in range(scale_count(out_size) + 1)]
        blocks: list[nn.Module] = [
            ConvLayer(in_channels=3, out_channels=channels[out_size], kernel_size=1)
        ]
        blocks += [
            ResBlock(in_channels=channels[size], out_channels=channels[size // 2])
            for size in sizes[:-1]
        ]
        self.conv_body = nn.Sequential(*blocks)
        self.out_size = out_size
        self.stddev = MinibatchStddev(group=stddev_group)
        self.final_conv = ConvLayer(
            in_channels=channels[4] + 1, out_channels=channels[4], kernel_size=3
        )
        self.final_linear = nn.Sequential(
            EqualLinear(in_features=channels[4] * 16, out_features=channels[4], activated=True),
            EqualLinear(in_features=channels[4], out_features=1),
        )

    def forward(self, image_NCHW: Tensor) -> Tensor:
        """Return scores ``(N, 1)`` of RGB images in [-1, 1].

        Raises:
            ValueError: N is neither below the group of the standard deviation nor a multiple of
                it, or the images have another size.
        """
        check_input_size(image_NCHW, self.out_size)
        feat = self.conv_body(image_NCHW)
        feat = torch.cat([feat, self.stddev(feat)], dim=1)
        return self.final_linear(self.final_conv(feat).flatten(1))


class MinibatchStddev(nn.Module):
    """``minibatch_stddev`` as a layer.

    Args:
        group: Number of images whose standard deviation is measured together.
    """

    def __init__(self, *, group: int) -> None:
        super().__init__()
        self.group = group

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return ``(N, 1, H, W)``."""
        return minibatch_stddev(feat_NCHW, group=self.group)


def minibatch_stddev(feat_NCHW: Tensor, *, group: int) -> Tensor:
    """Return the mean standard deviation within groups of a batch, ``(N, 1, H, W)``.

    (Karras et al. 2018, section 3.) Sample i is grouped with those N / group apart, as in the
    released code.

    Raises:
        ValueError: N is neither below ``group`` nor a multiple of it.
    """
    batch, _, height, width = feat_NCHW.shape
    group = min(batch, group)
    if batch % group:
        raise ValueError(f"a batch of {batch} cannot be split into groups of {group}")
    grouped = feat_NCHW.reshape(group, batch // group, *feat_NCHW.shape[1:])
    spread = (grouped.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    return spread.repeat(group).view(batch, 1, 1, 1).expand(-1, 1, height, width)
