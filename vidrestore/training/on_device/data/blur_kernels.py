"""Blur kernels of a batch, and filtering in the frequency domain, each image by its kernel."""

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

_MIN_SIGMA_PX = 1e-3
"""In place of 0: a kernel of one sample."""
_LENGTH_STEP = 32
"""Fourier transforms are fast for lengths with small factors."""


def gaussian_kernels(
    sigma_px_N: Tensor, ratio_N: Tensor, angle_N: Tensor, *, reach_px: int
) -> Tensor:
    """Return normalized kernels ``(N, K, K)``, K = 2 reach + 1, each cut off at three sigma.

    As ``anisotropic_kernel``, and with a ratio of 1 as ``gaussian_blur``.

    Args:
        sigma_px_N: Standard deviation along the first axis, in pixels; 0 leaves the image.
        ratio_N: Standard deviation of the second axis over the first, at most 1.
        angle_N: Direction of the first axis, in radians.
        reach_px: Three times the largest sigma; wider kernels are cut off there.
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
    """Return kernels ``(N, K, K)`` of straight motions, as ``motion_kernel``.

    Args:
        length_px_N: In pixels, at least 1 to be of use.
        angle_N: In radians.
        reach_px: Half of the largest length; longer ones are cut off there.
    """
    x, y = _positions(reach_px, length_px_N)
    cos, sin = angle_N.cos()[:, None, None], angle_N.sin()[:, None, None]
    along, across = (x * cos + y * sin).abs(), (y * cos - x * sin).abs()
    half = length_px_N[:, None, None] / 2
    radius = half.ceil().clamp_min(1)
    inside = (x.abs() <= radius) & (y.abs() <= radius)
    return _normalize((half + 0.5 - along).clamp(0, 1) * (1 - across).clamp(0, 1) * inside)


def filter_batch(image_NCHW: Tensor, kernel_NKK: Tensor) -> Tensor:
    """Return float32 images, each filtered by its kernel, mirrored at the borders.

    Args:
        image_NCHW: Sides longer than the kernels' reach.
        kernel_NKK: K odd.
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
