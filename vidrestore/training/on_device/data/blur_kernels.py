"""Blurs a batch, each image with its own kernel, in the frequency domain."""

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

_MIN_SIGMA_PX = 1e-3
"""Replaces 0; gives a kernel of one sample."""
_LENGTH_STEP = 32
"""Lengths of Fourier transforms are multiples of this, which makes them fast."""


def gaussian_kernels(
    sigma_px_N: Tensor, ratio_N: Tensor, angle_N: Tensor, *, reach_px: int
) -> Tensor:
    """Return normalized kernels ``(N, K, K)``, K = 2 reach + 1, each truncated at three sigma.

    They are those of ``anisotropic_kernel`` and, with a ratio of 1, of ``gaussian_blur``.

    Args:
        sigma_px_N: Standard deviation along the first axis, in pixels; 0 does not blur.
        ratio_N: Standard deviation of the second axis over the first, at most 1.
        angle_N: Direction of the first axis, in radians.
        reach_px: Maximum radius, usually three times the largest sigma.
    """
    x, y = _positions(reach_px, sigma_px_N)
    sigma = sigma_px_N.clamp_min(_MIN_SIGMA_PX)[:, None, None]
    cos, sin = angle_N.cos()[:, None, None], angle_N.sin()[:, None, None]
    along, across = (x * cos + y * sin) / sigma, (y * cos - x * sin) / sigma
    across = across / ratio_N[:, None, None]
    radius = (3 * sigma).ceil()
    inside = (x.abs() <= radius) & (y.abs() <= radius)
    return _normalize(torch.exp(-0.5 * (along.square() + across.square())) * inside)


def motion_kernels(length_px_N: Tensor, angle_N: Tensor, *, reach_px: int) -> Tensor:
    """Return the kernels of ``motion_kernel``, ``(N, K, K)``, of straight motions.

    Args:
        length_px_N: Lengths in pixels; those below 1 have no effect.
        angle_N: Directions in radians.
        reach_px: Maximum radius, usually half of the largest length.
    """
    x, y = _positions(reach_px, length_px_N)
    cos, sin = angle_N.cos()[:, None, None], angle_N.sin()[:, None, None]
    along, across = (x * cos + y * sin).abs(), (y * cos - x * sin).abs()
    half = length_px_N[:, None, None] / 2
    radius = half.ceil().clamp_min(1)
    inside = (x.abs() <= radius) & (y.abs() <= radius)
    return _normalize((half + 0.5 - along).clamp(0, 1) * (1 - across).clamp(0, 1) * inside)


def filter_batch(image_NCHW: Tensor, kernel_NKK: Tensor) -> Tensor:
    """Return float32 images, each filtered with its kernel, mirrored at the borders.

    Args:
        image_NCHW: Images whose sides are longer than the kernels' radius.
        kernel_NKK: Kernels; K is odd.
    """
    reach = kernel_NKK.shape[-1] // 2
    height, width = image_NCHW.shape[2:]
    padded = F.pad(image_NCHW, (reach, reach, reach, reach), mode="reflect")
    length = [-(-(side + 2 * reach) // _LENGTH_STEP) * _LENGTH_STEP for side in (height, width)]
    image, kernel = _spectrum(padded, length), _spectrum(kernel_NKK[:, None], length)
    filtered = cast("Tensor", torch.fft.irfft2(image * kernel.conj(), s=length))
    return filtered[..., :height, :width]


def _spectrum(image_NCHW: Tensor, length_hw: list[int]) -> Tensor:
    return cast("Tensor", torch.fft.rfft2(image_NCHW, s=length_hw))


def _positions(reach_px: int, like: Tensor) -> tuple[Tensor, Tensor]:
    position = torch.arange(-reach_px, reach_px + 1, device=like.device, dtype=torch.float32)
    return position[None, None, :], position[None, :, None]


def _normalize(kernel_NKK: Tensor) -> Tensor:
    return kernel_NKK / kernel_NKK.sum(dim=(1, 2), keepdim=True)
