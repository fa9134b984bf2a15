"""MobileFaceNet: a small face recognition network, for evaluation.

Chen, Liu, Gao and Han 2018, "MobileFaceNets: Efficient CNNs for Accurate Real-Time Face
Verification on Mobile Devices", table 1. Parameter names follow the checkpoint that is in use, so
that it loads without a key map.
"""

from torch import Tensor, nn

# Expansion, channels, repeats, stride (table 1).
_STAGES = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))


class Bottleneck(nn.Module):
    """Expand, convolve depthwise, project; with a shortcut where the shape allows it."""

    def __init__(self, *, in_channels: int, channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        self.connect = stride == 1 and in_channels == channels
        wide = in_channels * expansion
        self.conv = nn.Sequential(
            nn.Conv2d(in_channels, wide, kernel_size=1, bias=False),
            nn.BatchNorm2d(wide),
            nn.PReLU(wide),
            nn.Conv2d(wide, wide, kernel_size=3, stride=stride, padding=1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.PReLU(wide),
            nn.Conv2d(wide, channels, kernel_size=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return features of ``channels`` at ``1 / stride`` of the size."""
        filtered: Tensor = self.conv(feat_NCHW)
        return feat_NCHW + filtered if self.connect else filtered


class ConvUnit(nn.Module):
    """Convolution and normalization, with a PReLU unless ``linear``."""

    def __init__(
        self,
        *,
        in_channels: int,
        channels: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        linear: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, channels, kernel, stride, padding, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm2d(channels)
        self.prelu = nn.Identity() if linear else nn.PReLU(channels)

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return the filtered features."""
        return self.prelu(self.bn(self.conv(feat_NCHW)))


class MobileFaceNet(nn.Module):
    """Embeds ``(N, 3, 112, 96)`` faces in 128 dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = ConvUnit(in_channels=3, channels=64, kernel=3, stride=2, padding=1)
        self.dw_conv1 = ConvUnit(in_channels=64, channels=64, kernel=3, padding=1, groups=64)
        blocks: list[nn.Module] = []
        in_channels = 64
        for expansion, channels, repeats, stride in _STAGES:
            for index in range(repeats):
                blocks.append(
                    Bottleneck(
                        in_channels=in_channels,
                        channels=channels,
                        stride=stride if index == 0 else 1,
                        expansion=expansion,
                    )
                )
                in_channels = channels
        self.blocks = nn.Sequential(*blocks)
        self.conv2 = ConvUnit(in_channels=128, channels=512, kernel=1)
        self.linear7 = ConvUnit(
            in_channels=512, channels=512, kernel=(7, 6), groups=512, linear=True
        )
        self.linear1 = ConvUnit(in_channels=512, channels=128, kernel=1, linear=True)

    def forward(self, image_NCHW: Tensor) -> Tensor:
        """Return ``(N, 128)`` embeddings, not normalized.

        Args:
            image_NCHW: RGB, ``(x - 127.5) / 128`` of 8-bit values.
        """
        feat = self.blocks(self.dw_conv1(self.conv1(image_NCHW)))
        return self.linear1(self.linear7(self.conv2(feat))).flatten(1)
