"""The inverse Haar transform (MobileStyleGAN, section 3.2): four bands to twice the size."""

import torch
from torch import Tensor
from torch.nn import functional as F


def inverse_haar(bands_NCHW: Tensor) -> Tensor:
    """Return ``(N, C, 2H, 2W)`` of ``(N, 4 C, H, W)`` bands.

    Args:
        bands_NCHW: ``C`` low bands, then three detail bands of every channel: vertical,
            horizontal and diagonal differences. The transform is orthonormal, so a low band is
            twice the mean over two by two pixels.
    """
    channels = bands_NCHW.shape[1] // 4
    low = bands_NCHW[:, :channels]
    count, _, height, width = bands_NCHW.shape
    detail = bands_NCHW[:, channels:].reshape(count, channels, 3, height, width)
    vertical, horizontal, diagonal = detail[:, :, 0], detail[:, :, 1], detail[:, :, 2]
    top, bottom = low + vertical, low - vertical
    across_top, across_bottom = horizontal + diagonal, horizontal - diagonal
    pixels = (top + across_top, top - across_top, bottom + across_bottom, bottom - across_bottom)
    return F.pixel_shuffle(torch.stack(pixels, dim=2).flatten(1, 2), 2) * 0.5
