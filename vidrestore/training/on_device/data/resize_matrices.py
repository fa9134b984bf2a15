"""Matrices that resize or shift the images of a batch, each by its own amount.

Resizing is separable and linear: ``rows @ image @ columns^T``. A batch that is shrunk to different
sizes stays one tensor ``(N, 3, S, S)``: each small image is at the top left, and its last row and
column are repeated to the edges. Filters and sample positions are those of OpenCV.
"""

import cv2
import torch
from torch import Tensor

_CUBIC_A = -0.75
"""Parameter of cubic convolution in OpenCV and PyTorch."""


def resize_matrices(
    from_px_N: Tensor, to_px_N: Tensor, filter_N: Tensor, *, side_px: int
) -> Tensor:
    """Return matrices ``(N, S, S)`` that resize the first ``from_px`` samples to ``to_px``.

    Rows from ``to_px`` on repeat the last one; columns from ``from_px`` on are zero.

    Args:
        from_px_N: Side of the image, 1 to S.
        to_px_N: Side of the result, 1 to S.
        filter_N: ``cv2.INTER_LINEAR``, ``INTER_CUBIC`` or, for shrinking, ``INTER_AREA``.
        side_px: S.
    """
    ratio_N1 = (from_px_N / to_px_N)[:, None]
    position_S = torch.arange(side_px, device=from_px_N.device)
    row_NS = torch.minimum(position_S[None], to_px_N[:, None] - 1)
    interpolation = _interpolation_matrices(
        (row_NS + 0.5) * ratio_N1 - 0.5, from_px_N, filter_N == cv2.INTER_CUBIC
    )
    first_NS = row_NS * ratio_N1
    last_NS = first_NS + ratio_N1
    overlap = torch.minimum(position_S + 1, last_NS[..., None]) - torch.maximum(
        position_S, first_NS[..., None]
    )
    area = overlap.clamp_min(0) / ratio_N1[..., None]
    return torch.where((filter_N == cv2.INTER_AREA)[:, None, None], area, interpolation)


def shift_matrices(shift_px_N: Tensor, *, side_px: int) -> Tensor:
    """Return matrices ``(N, S, S)`` that sample at ``position + shift_px``, bicubic."""
    position_S = torch.arange(side_px, device=shift_px_N.device)
    count_N = torch.full_like(shift_px_N, side_px, dtype=torch.long)
    cubic_N = torch.ones_like(count_N, dtype=torch.bool)
    return _interpolation_matrices(position_S[None] + shift_px_N[:, None], count_N, cubic_N)


def resolution_matrices(resolution_ratio_N: Tensor, *, side_px: int) -> Tensor:
    """Return matrices ``(N, S, S)`` that limit images to the resolution of their samples.

    Equals ``limit_resolution``: a triangle filter shrinks to ``ratio * side_px`` pixels, and cubic
    convolution enlarges again. A ratio of 1 gives the identity.

    Args:
        resolution_ratio_N: Ratios in (0, 1].
        side_px: S.
    """
    small_N = (resolution_ratio_N * side_px).round().clamp(1, side_px)
    ratio_N1 = (side_px / small_N)[:, None]
    position_S = torch.arange(side_px, device=resolution_ratio_N.device)
    center_NS = (position_S[None] + 0.5) * ratio_N1
    distance_NSS = (position_S + 0.5 - center_NS[..., None]).abs() / ratio_N1[..., None]
    weight = (1 - distance_NSS).clamp_min(0)
    shrink = weight / weight.sum(dim=2, keepdim=True).clamp_min(1e-6)
    enlarge = resize_matrices(
        small_N.long(),
        torch.full_like(small_N, side_px, dtype=torch.long),
        torch.full_like(small_N, cv2.INTER_CUBIC, dtype=torch.long),
        side_px=side_px,
    )
    return enlarge @ shrink


def apply_matrices(image_NCHW: Tensor, rows_NSS: Tensor, columns_NSS: Tensor) -> Tensor:
    """Return ``rows @ image @ columns^T`` of every image and channel."""
    return rows_NSS[:, None] @ image_NCHW @ columns_NSS[:, None].transpose(2, 3)


def repeat_edges(image_NCHW: Tensor, side_px_N: Tensor) -> Tensor:
    """Return images whose samples from ``side_px`` on repeat the last row and column before it."""
    count, channels, height, width = image_NCHW.shape
    last_N1 = side_px_N[:, None] - 1
    rows = torch.minimum(torch.arange(height, device=image_NCHW.device)[None], last_N1)
    columns = torch.minimum(torch.arange(width, device=image_NCHW.device)[None], last_N1)
    image = image_NCHW.gather(2, rows[:, None, :, None].expand(count, channels, height, width))
    return image.gather(3, columns[:, None, None, :].expand(count, channels, height, width))


def _interpolation_matrices(center_NS: Tensor, count_N: Tensor, cubic_N: Tensor) -> Tensor:
    """Return matrices of four taps around ``center``; taps outside use the sample at the edge."""
    low = center_NS.floor()
    fraction = center_NS - low
    size = int(center_NS.shape[1])
    column_S = torch.arange(size, device=center_NS.device)
    zero = torch.zeros_like(fraction)
    linear = (zero, 1 - fraction, fraction, zero)
    matrix = torch.zeros(*center_NS.shape, size, device=center_NS.device)
    taps = zip(_cubic_weights(fraction), linear, strict=True)
    for tap, (cubic_weight, linear_weight) in enumerate(taps):
        index = torch.minimum((low + (tap - 1)).clamp_min(0), (count_N - 1)[:, None])
        weight = torch.where(cubic_N[:, None], cubic_weight, linear_weight)
        matrix += weight[..., None] * (index[..., None] == column_S)
    return matrix


def _cubic_weights(fraction: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the weights of the samples at -1, 0, 1 and 2 for a position ``fraction`` after 0."""

    def inner(x: Tensor) -> Tensor:
        return ((_CUBIC_A + 2) * x - (_CUBIC_A + 3)) * x * x + 1

    def outer(x: Tensor) -> Tensor:
        return ((_CUBIC_A * x - 5 * _CUBIC_A) * x + 8 * _CUBIC_A) * x - 4 * _CUBIC_A

    return outer(fraction + 1), inner(fraction), inner(1 - fraction), outer(2 - fraction)
