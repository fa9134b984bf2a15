"""Face recognition by a residual network of 29 convolutions.

He et al. 2016, "Deep Residual Learning for Image Recognition", with half the filters of its
34-layer network and fewer layers, as Davis King trained it and gave it to the public domain
(https://github.com/davisking/dlib-models). Embeddings of one person are less than 0.6 apart.

Batch normalization is folded into the preceding convolutions.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Shape letters in this file: N faces, H/W rows and columns.

INPUT_SIDE_PX = 150
"""Side of the input."""
EMBEDDING_SIZE = 128
_MEAN_RGB = (122.782, 117.001, 104.298)
_SCALE = 256.0
_WIDTHS = (32, 64, 128, 256, 256)
_BLOCKS = (3, 4, 3, 3, 1)


class _Residual(nn.Module):
    """Two convolutions and a shortcut, which averages 2 x 2 cells where the block halves."""

    def __init__(self, in_channels: int, channels: int, *, halves: bool) -> None:
        super().__init__()
        self.halves = halves
        stride, padding = (2, 0) if halves else (1, 1)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride=stride, padding=padding)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return features, half as large if the block halves."""
        residual = self.conv2(F.relu(self.conv1(feat_NCHW)))
        shortcut = F.avg_pool2d(feat_NCHW, 2) if self.halves else feat_NCHW
        return F.relu(_add_padded(residual, shortcut))


def _add_padded(first: Tensor, second: Tensor) -> Tensor:
    """Return the sum; missing channels, rows and columns count as 0."""
    if first.shape == second.shape:
        return first + second
    shape = [max(sizes) for sizes in zip(first.shape[1:], second.shape[1:], strict=True)]
    return _pad(first, shape) + _pad(second, shape)


def _pad(feat_NCHW: Tensor, shape: list[int]) -> Tensor:
    channels, rows, columns = (
        size - own for size, own in zip(shape, feat_NCHW.shape[1:], strict=True)
    )
    return F.pad(feat_NCHW, (0, columns, 0, rows, 0, channels))


class DlibResNet(nn.Module):
    """Maps face crops to embeddings; their Euclidean distance compares two faces."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, _WIDTHS[0], 7, stride=2)
        blocks: list[_Residual] = []
        in_channels = _WIDTHS[0]
        for level, (width, count) in enumerate(zip(_WIDTHS, _BLOCKS, strict=True)):
            for index in range(count):
                blocks.append(_Residual(in_channels, width, halves=level > 0 and index == 0))
                in_channels = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(in_channels, EMBEDDING_SIZE, bias=False)
        self.register_buffer(
            "mean", torch.tensor(_MEAN_RGB)[:, None, None] / 255.0, persistent=False
        )

    def forward(self, crops_NCHW: Tensor) -> Tensor:
        """Return ``(N, 128)`` embeddings of ``(N, 3, 150, 150)`` RGB crops in [0, 1]."""
        if tuple(crops_NCHW.shape[1:]) != (3, INPUT_SIDE_PX, INPUT_SIDE_PX):
            raise ValueError(f"crops must be (N, 3, 150, 150), got {tuple(crops_NCHW.shape)}")
        scaled = (crops_NCHW - self.mean) * (255.0 / _SCALE)
        feat = F.max_pool2d(F.relu(self.stem(scaled)), 3, stride=2)
        return self.head(self.blocks(feat).mean(dim=(2, 3)))
