"""Channels of a batch of images, mixed by a matrix."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vidrestore.types import FloatArray


def mixed_channels(channels: Sequence[Tensor], matrix: FloatArray) -> Tensor:
    """Return ``(F, rows, h, w)``: a matrix applied to three channels, each ``(F, h, w)``.

    A fourth column of the matrix is added. The order of additions is always the same.
    """
    mixed: list[Tensor] = []
    for row in matrix.tolist():
        total = sum(weight * channel for weight, channel in zip(row, channels, strict=False))
        mixed.append(total + row[3] if len(row) > 3 else total)  # pyright: ignore[reportArgumentType]
    return torch.stack(mixed, dim=1)
