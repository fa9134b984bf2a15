"""ArcFace's ResNet-18 (Deng et al. 2019): the network of GFP-GAN's identity loss (section 3.5).

An "improved residual" variant: normalization before the first convolution of a block, and the
stride in its second. Its input is a gray image of 128 pixels.
"""

from collections.abc import Sequence

from torch import Tensor, nn

_REDUCTION = 16


class SqueezeExcite(nn.Module):
    """Scales channels by weights computed from the whole image."""

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // _REDUCTION),
            nn.PReLU(),
            nn.Linear(channels // _REDUCTION, channels),
            nn.Sigmoid(),
        )

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return features of the same shape."""
        return feat_NCHW * self.fc(self.avg_pool(feat_NCHW).flatten(1))[:, :, None, None]


class IRBlock(nn.Module):
    """Improved residual block."""

    def __init__(self, *, in_channels: int, out_channels: int, stride: int, use_se: bool) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, in_channels, kernel_size=3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.prelu = nn.PReLU()
        self.conv2 = nn.Conv2d(
            in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False
        )
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.se = SqueezeExcite(channels=out_channels) if use_se else None
        self.downsample = (
            nn.Sequential(
                nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )
            if stride != 1 or in_channels != out_channels
            else None
        )

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return ``(N, out_channels, H / stride, W / stride)``."""
        residual = feat_NCHW if self.downsample is None else self.downsample(feat_NCHW)
        feat = self.prelu(self.bn1(self.conv1(self.bn0(feat_NCHW))))
        feat = self.bn2(self.conv2(feat))
        if self.se is not None:
            feat = self.se(feat)
        return self.prelu(feat + residual)


class ArcFaceResNet(nn.Module):
    """Embeds gray faces.

    Args:
        layers: Blocks at each of the four scales; two each is ResNet-18.
        use_se: Whether blocks have squeeze-and-excite.
    """

    def __init__(self, *, layers: Sequence[int] = (2, 2, 2, 2), use_se: bool = False) -> None:
        super().__init__()
        if len(layers) != 4:
            raise ValueError(f"layers must be four numbers of blocks, got {len(layers)}")
        self.conv1 = nn.Conv2d(1, 64, kernel_size=3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU()
        self.maxpool = nn.MaxPool2d(kernel_size=2, stride=2)
        self.layer1 = _layer(64, 64, blocks=layers[0], stride=1, use_se=use_se)
        self.layer2 = _layer(64, 128, blocks=layers[1], stride=2, use_se=use_se)
        self.layer3 = _layer(128, 256, blocks=layers[2], stride=2, use_se=use_se)
        self.layer4 = _layer(256, 512, blocks=layers[3], stride=2, use_se=use_se)
        self.bn4 = nn.BatchNorm2d(512)
        self.dropout = nn.Dropout()
        self.fc5 = nn.Linear(512 * 8 * 8, 512)
        self.bn5 = nn.BatchNorm1d(512)

    def forward(self, gray_N1HW: Tensor) -> Tensor:
        """Return embeddings ``(N, 512)`` of ``(N, 1, 128, 128)`` gray faces in [-1, 1]."""
        feat = self.maxpool(self.prelu(self.bn1(self.conv1(gray_N1HW))))
        feat = self.layer4(self.layer3(self.layer2(self.layer1(feat))))
        feat = self.dropout(self.bn4(feat)).flatten(1)
        return self.bn5(self.fc5(feat))


def _layer(
    in_channels: int, out_channels: int, *, blocks: int, stride: int, use_se: bool
) -> nn.Sequential:
    first = IRBlock(
        in_channels=in_channels, out_channels=out_channels, stride=stride, use_se=use_se
    )
    rest = [
        IRBlock(in_channels=out_channels, out_channels=out_channels, stride=1, use_se=use_se)
        for _ in range(blocks - 1)
    ]
    return nn.Sequential(first, *rest)
