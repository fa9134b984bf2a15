"""The inverse Haar transform (MobileStyleGAN, section 3.2): four bands to twice the size."""

import torch
from torch import Tensor


def inverse_haar(bands_NCHW: Tensor) -> Tensor:
    """Return ``(N, C, 2H, 2W)`` of ``(N, 4 C, H, W)`` bands, in channels-last memory format.

    Args:
        bands_NCHW: ``C`` low bands, then three detail bands of every channel: vertical,
            horizontal and diagonal differences. The transform is orthonormal, so a low band is
            twice the mean over two by two pixels.
    """
    bands = bands_NCHW.permute(0, 2, 3, 1) * 0.5
    channels = bands.shape[3] // 4
    low = bands[..., :channels]
    detail = bands[..., channels:].reshape(*bands.shape[:3], channels, 3)
    vertical, horizontal, diagonal = detail[..., 0], detail[..., 1], detail[..., 2]
    top, bottom = low + vertical, low - vertical
    across_top, across_bottom = horizontal + diagonal, horizontal - diagonal
    # Neighbors of a row side by side, then rows: pixels stay whole in memory.
    rows = [
        torch.stack([mean + across, mean - across], dim=3).flatten(2, 3)
        for mean, across in ((top, across_top), (bottom, across_bottom))
    ]
    return torch.stack(rows, dim=2).flatten(1, 2).permute(0, 3, 1, 2)
