"""Filters of batches of images, whose results for one image do not depend on the others.

They are sums in a fixed order, not convolutions, whose algorithm may depend on the batch.
"""

from functools import lru_cache

import cv2
import torch
from torch import Tensor
from torch.nn import functional as F

_LUMA = (0.299, 0.587, 0.114)


def correlate(
    images_nchw: Tensor,
    taps: Tensor | list[float],
    *,
    dim: int,
    step: int = 1,
    reflect: bool = False,
) -> Tensor:
    """Return images filtered along one dimension; beyond them the border is repeated.

    Args:
        images_nchw: ``(N, C, H, W)``.
        taps: An odd number of them, the same for all, or ``(N, taps)``.
        dim: 2 or 3.
        step: Every how many rows or columns the result is computed.
        reflect: Reflect the images at their outermost samples instead.
    """
    count = taps.shape[1] if isinstance(taps, Tensor) else len(taps)
    reach, size = count // 2, images_nchw.shape[dim]
    pads = [reach, reach, 0, 0] if dim == 3 else [0, 0, reach, reach]
    wide = F.pad(images_nchw, pads, mode="reflect" if reflect else "replicate")
    total: Tensor | None = None
    for index in range(count):
        tap = taps[:, index, None, None, None] if isinstance(taps, Tensor) else taps[index]
        window = wide.narrow(dim, index, size)
        part = tap * (window if step == 1 else window[_every(dim, step)])
        total = part if total is None else total + part
    assert total is not None
    return total


def _every(dim: int, step: int) -> tuple[slice, ...]:
    return (*(slice(None),) * dim, slice(None, None, step))


def gaussian_blur(images_nchw: Tensor, sigma: float, *, reflect: bool = True) -> Tensor:
    """Return images blurred as by OpenCV's filter of float32 images.

    Args:
        images_nchw: ``(N, C, H, W)``.
        sigma: Standard deviation in pixels.
        reflect: Whether the images are reflected beyond their borders, or these are repeated.
    """
    taps = gaussian_taps(sigma)
    across = correlate(images_nchw, taps, dim=3, reflect=reflect)
    return correlate(across, taps, dim=2, reflect=reflect)


@lru_cache(maxsize=64)
def gaussian_taps(sigma: float) -> list[float]:
    """Return the taps of OpenCV's filter of float32 images, an odd number of them."""
    side = round(sigma * 8 + 1) | 1  # the side that OpenCV chooses for float32
    return cv2.getGaussianKernel(side, sigma, cv2.CV_32F).ravel().tolist()


def filter_matrices(taps_fn: Tensor, size: int, *, reflect: bool = True) -> Tensor:
    """Return ``(F, size, size)``: a filter along one dimension of each image, as a matrix.

    Zeros at both ends of the taps do not change a bit of it.

    Args:
        taps_fn: ``(F, N)`` taps, N odd and at most ``2 * size - 1``.
        size: Samples along the dimension.
        reflect: Whether images are reflected beyond their borders, or these are repeated.
    """
    reach = taps_fn.shape[1] // 2
    places = torch.arange(size + 2 * reach, device=taps_fn.device)
    taps_at = places[None] - places[:size, None]
    inside = (taps_at >= 0) & (taps_at <= 2 * reach)
    wide = torch.where(inside, taps_fn[:, taps_at.clamp(0, 2 * reach)], 0.0)
    inner = wide[:, :, reach : reach + size].clone()
    before, after = wide[:, :, :reach], wide[:, :, reach + size :]
    if reflect:
        inner[:, :, 1 : reach + 1] += before.flip(2)
        inner[:, :, size - 1 - reach : size - 1] += after.flip(2)
    else:
        inner[:, :, 0] += before.sum(dim=2)
        inner[:, :, -1] += after.sum(dim=2)
    return inner


def extremes(images_nhw: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """Return the least and the largest value within ``reach`` samples in every direction."""
    signed = torch.stack([-images_nhw, images_nhw])
    for window, pad in (((2 * reach + 1, 1), (reach, 0)), ((1, 2 * reach + 1), (0, reach))):
        signed = F.max_pool2d(signed, window, stride=1, padding=pad)
    return -signed[0], signed[1]


def luma_of(images: Tensor) -> Tensor:
    """Return ``(F, 1, h, w)`` of ``(F, 3, h, w)`` RGB."""
    red, green, blue = (images[:, channel : channel + 1] for channel in range(3))
    return _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue


def medians(values_fn: Tensor, valid_fn: Tensor) -> tuple[Tensor, Tensor]:
    """Return the median of the valid values of each row, and how many there are.

    Args:
        values_fn: ``(F, N)`` float32.
        valid_fn: ``(F, N)`` bool.

    Returns:
        ``(F,)`` medians, 0 where nothing is valid, and ``(F,)`` int64.
    """
    ordered = torch.where(valid_fn, values_fn, torch.inf).sort(dim=1).values
    count = valid_fn.sum(dim=1)
    low, high = (count - 1).clamp(min=0) // 2, count // 2
    pair = ordered.gather(1, torch.stack([low, high.clamp(max=values_fn.shape[1] - 1)], dim=1))
    return torch.where(count > 0, (pair[:, 0] + pair[:, 1]) / 2, 0.0), count


def smooth_step(values: Tensor, low: float, high: float) -> Tensor:
    """Return 0 up to ``low``, 1 from ``high``, and between them ``3 x^2 - 2 x^3``."""
    ramp = ((values - low) * (1.0 / (high - low))).clamp(0.0, 1.0)
    return ramp * ramp * (3.0 - 2.0 * ramp)
