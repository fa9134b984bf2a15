"""The network that tells people apart: a residual network of 29 convolutions, 128 numbers a face.

He et al. 2016, "Deep Residual Learning for Image Recognition", with half the filters of its
34-layer network and fewer layers, as Davis King trained it and gave it to the public domain
(https://github.com/davisking/dlib-models). Two faces of one person lie less than 0.6 apart.

The affine layers that stand for batch normalisation are folded into the convolutions before them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Shape letters in this file: N faces, H/W rows and columns.

CHIP_SIDE_PX = 150
"""Side of the picture that the network takes."""
EMBEDDING_SIZE = 128
_MEAN_RGB = (122.782, 117.001, 104.298)
_SCALE = 256.0
_WIDTHS = (32, 64, 128, 256, 256)
_BLOCKS = (3, 4, 3, 3, 1)


class _Residual(nn.Module):
    """Two convolutions around a path that keeps its input, or halves it by means."""

    def __init__(self, channels_in: int, channels: int, *, halves: bool) -> None:
        super().__init__()
        self.halves = halves
        stride, padding = (2, 0) if halves else (1, 1)
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=padding)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, feat_NCHW: Tensor) -> Tensor:
        """Return features; halved if the block halves."""
        change = self.conv2(F.relu(self.conv1(feat_NCHW)))
        kept = F.avg_pool2d(feat_NCHW, 2) if self.halves else feat_NCHW
        return F.relu(_sum_of_unequal(change, kept))


def _sum_of_unequal(one: Tensor, other: Tensor) -> Tensor:
    """Return the sum; what one has less of, channels, rows or columns, counts as 0 there."""
    if one.shape == other.shape:
        return one + other
    sizes = [max(each) for each in zip(one.shape[1:], other.shape[1:], strict=True)]
    return _filled(one, sizes) + _filled(other, sizes)


def _filled(feat_NCHW: Tensor, sizes: list[int]) -> Tensor:
    channels, rows, columns = (
        size - here for size, here in zip(sizes, feat_NCHW.shape[1:], strict=True)
    )
    return F.pad(feat_NCHW, (0, columns, 0, rows, 0, channels))


class FaceEmbedding(nn.Module):
    """Maps face chips to points whose distance tells whether they show one person."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, _WIDTHS[0], 7, stride=2)
        blocks: list[_Residual] = []
        before = _WIDTHS[0]
        for level, (width, count) in enumerate(zip(_WIDTHS, _BLOCKS, strict=True)):
            for at in range(count):
                blocks.append(_Residual(before, width, halves=level > 0 and at == 0))
                before = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(before, EMBEDDING_SIZE, bias=False)
        self.register_buffer(
            "mean", torch.tensor(_MEAN_RGB)[:, None, None] / 255.0, persistent=False
        )

    def forward(self, chips_NCHW: Tensor) -> Tensor:
        """Return ``(N, 128)`` embeddings of ``(N, 3, 150, 150)`` RGB chips in [0, 1]."""
        if tuple(chips_NCHW.shape[1:]) != (3, CHIP_SIDE_PX, CHIP_SIDE_PX):
            raise ValueError(f"chips must be (N, 3, 150, 150), got {tuple(chips_NCHW.shape)}")
        scaled = (chips_NCHW - self.mean) * (255.0 / _SCALE)
        feat = F.max_pool2d(F.relu(self.stem(scaled)), 3, stride=2)
        return self.head(self.blocks(feat).mean(dim=(2, 3)))
