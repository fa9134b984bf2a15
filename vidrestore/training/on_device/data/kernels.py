"""Blur of a batch in the frequency domain, another kernel for each picture."""

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

_LEAST_SIGMA_PX = 1e-3
"""In place of 0: a kernel of one sample."""
_LENGTH_STEP = 32
"""Fourier transforms are quick where the length has small factors."""


def gaussian_kernels(
    sigma_px_N: Tensor, ratio_N: Tensor, angle_N: Tensor, *, reach_px: int
) -> Tensor:
    """Return normalised kernels ``(N, K, K)``, K = 2 reach + 1, each cut off at three sigma.

    As ``degradations.blur.anisotropic_kernel``, and with a ratio of 1 as ``gaussian_blur``.

    Args:
        sigma_px_N: Standard deviation along the first axis, in pixels; 0 leaves the picture.
        ratio_N: Standard deviation of the second axis over the first, at most 1.
        angle_N: Direction of the first axis, in radians.
        reach_px: Three times the largest sigma; wider kernels are cut off there.
    """
    x, y = _places(reach_px, sigma_px_N)
    sigma = sigma_px_N.clamp_min(_LEAST_SIGMA_PX)[:, None, None]
    cos, sin = angle_N.cos()[:, None, None], angle_N.sin()[:, None, None]
    along, across = (x * cos + y * sin) / sigma, (y * cos - x * sin) / sigma
    across = across / ratio_N[:, None, None]
    own_reach = (3 * sigma).ceil()
    inside = (x.abs() <= own_reach) & (y.abs() <= own_reach)
    return _normalised(torch.exp(-0.5 * (along.square() + across.square())) * inside)


def motion_kernels(length_px_N: Tensor, angle_N: Tensor, *, reach_px: int) -> Tensor:
    """Return kernels ``(N, K, K)`` of straight motions, as ``degradations.blur.motion_kernel``.

    Args:
        length_px_N: In pixels, at least 1 to be of use.
        angle_N: In radians.
        reach_px: Half of the largest length; longer ones are cut off there.
    """
    x, y = _places(reach_px, length_px_N)
    cos, sin = angle_N.cos()[:, None, None], angle_N.sin()[:, None, None]
    along, across = (x * cos + y * sin).abs(), (y * cos - x * sin).abs()
    half = length_px_N[:, None, None] / 2
    own_reach = half.ceil().clamp_min(1)
    inside = (x.abs() <= own_reach) & (y.abs() <= own_reach)
    return _normalised((half + 0.5 - along).clamp(0, 1) * (1 - across).clamp(0, 1) * inside)


def filtered_each(image_NCHW: Tensor, kernel_NKK: Tensor) -> Tensor:
    """Return float32 pictures, each filtered by its kernel, mirrored at the borders.

    Args:
        image_NCHW: Sides longer than the kernels' reach.
        kernel_NKK: K odd.
    """
    reach = kernel_NKK.shape[-1] // 2
    height, width = image_NCHW.shape[2:]
    padded = F.pad(image_NCHW, (reach, reach, reach, reach), mode="reflect")
    length = [-(-(side + 2 * reach) // _LENGTH_STEP) * _LENGTH_STEP for side in (height, width)]
    picture, kernel = _spectrum(padded, length), _spectrum(kernel_NKK[:, None], length)
    filtered = cast("Tensor", torch.fft.irfft2(picture * kernel.conj(), s=length))
    return filtered[..., :height, :width]


def _spectrum(image_NCHW: Tensor, length_hw: list[int]) -> Tensor:
    return cast("Tensor", torch.fft.rfft2(image_NCHW, s=length_hw))


def _places(reach_px: int, like: Tensor) -> tuple[Tensor, Tensor]:
    at = torch.arange(-reach_px, reach_px + 1, device=like.device, dtype=torch.float32)
    return at[None, None, :], at[None, :, None]


def _normalised(kernel_NKK: Tensor) -> Tensor:
    return kernel_NKK / kernel_NKK.sum(dim=(1, 2), keepdim=True)
