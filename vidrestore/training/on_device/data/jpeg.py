"""JPEG in PyTorch: encodes and decodes a batch, each image with its own quality.

This is baseline JPEG (ITU-T T.81) in YCbCr 4:2:0, as libjpeg computes it with OpenCV's defaults:
the tables of the standard's annex K, samples rounded to 8 bits, chroma averaged and interpolated
linearly.
"""

import math
from functools import lru_cache
from itertools import chain

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.training.on_device.data.resize_matrices import repeat_edges

_BLOCK = 8
_LUMA_TABLE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Table K.1."""
_CHROMA_TABLE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *[(99,) * _BLOCK] * 4,
)
"""Table K.2."""
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


def jpeg_batch(image_NCHW: Tensor, quality_N: Tensor, side_px_N: Tensor) -> Tensor:
    """Return images in [0, 1] after JPEG, in 8-bit levels.

    Args:
        image_NCHW: ``(N, 3, S, S)`` float32 RGB, clipped to [0, 1]; S is a multiple of 16.
        quality_N: Qualities, 1 to 100.
        side_px_N: Side of the image at the top left; the result repeats its edges beyond.
    """
    levels = repeat_edges((image_NCHW.clamp(0, 1) * 255).round(), side_px_N)
    ycc = _mix_channels(levels, _TO_YCC)
    ycc = torch.cat([ycc[:, :1], ycc[:, 1:] + 128], dim=1).round()
    luma = _quantize_blocks(ycc[:, :1], _divisors(_LUMA_TABLE, quality_N))
    chroma = _quantize_blocks(_halve(ycc[:, 1:]), _divisors(_CHROMA_TABLE, quality_N))
    chroma = repeat_edges(chroma, (side_px_N + 1) // 2)
    chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False).round()
    rgb = _mix_channels(torch.cat([luma, chroma - 128], dim=1), _TO_RGB).round().clamp(0, 255)
    return repeat_edges(rgb, side_px_N) / 255


def _mix_channels(image_NCHW: Tensor, matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    """Multiply channels by a matrix, in full precision, unlike a matrix product on a GPU."""
    first, second, third = image_NCHW.unbind(dim=1)
    return torch.stack([a * first + b * second + c * third for a, b, c in matrix], dim=1)


def _halve(image_NCHW: Tensor) -> Tensor:
    """Return means over 2 x 2; columns round down and up alternately, as in libjpeg."""
    total = 4 * F.avg_pool2d(image_NCHW, 2)
    bias = 1.0 + torch.arange(total.shape[-1], device=total.device) % 2
    return ((total + bias) / 4).floor()


def _divisors(table: tuple[tuple[int, ...], ...], quality_N: Tensor) -> Tensor:
    """Return divisors ``(N, 1, 1, 1, 8, 8)``, the standard's table scaled by quality."""
    quality = quality_N.float().clamp(1, 100)
    percent = torch.where(quality < 50, (5000 / quality).floor(), 200 - 2 * quality)
    scaled = (_constant(tuple(chain(*table)), quality_N.device) * percent[:, None] + 50) / 100
    return scaled.floor().clamp(1, 255).view(-1, 1, 1, 1, _BLOCK, _BLOCK)


def _quantize_blocks(plane_NCHW: Tensor, divisors: Tensor) -> Tensor:
    """Return planes in [0, 255] whose cosine coefficients are rounded to multiples of divisors."""
    count, channels, height, width = plane_NCHW.shape
    cosines = _cosines(plane_NCHW.device)
    blocks = (plane_NCHW - 128).view(
        count, channels, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK
    )
    blocks = blocks.transpose(3, 4)
    coefficients = cosines @ blocks @ cosines.T
    rounded = (coefficients / divisors).round() * divisors
    plane = (cosines.T @ rounded @ cosines).transpose(3, 4)
    return (plane.reshape(plane_NCHW.shape) + 128).round().clamp(0, 255)


@lru_cache(maxsize=8)
def _cosines(device: torch.device) -> Tensor:
    """Return the orthonormal cosine transform ``(8, 8)``, one frequency per row."""
    rows = [
        [
            math.sqrt((1 if k == 0 else 2) / _BLOCK) * math.cos(math.pi * k * (2 * x + 1) / 16)
            for x in range(_BLOCK)
        ]
        for k in range(_BLOCK)
    ]
    return torch.tensor(rows, device=device)


@lru_cache(maxsize=8)
def _constant(values: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device)
