"""Resizing and sub-pixel shifts of a batch as matrices, another amount for each picture.

Resizing is separable and linear: ``rows @ picture @ columns^T``. A batch of pictures that are
shrunk to different sizes stays one tensor ``(N, 3, S, S)``: the small picture is at its top left,
its last row and column repeated to the edges. Filters and positions are OpenCV's.
"""

import cv2
import torch
from torch import Tensor

_CUBIC_A = -0.75
"""Of the cubic convolution, in OpenCV and in PyTorch."""


def resize_matrices(
    from_px_N: Tensor, to_px_N: Tensor, filter_N: Tensor, *, side_px: int
) -> Tensor:
    """Return matrices ``(N, S, S)`` that resize the first ``from_px`` samples to ``to_px``.

    Rows from ``to_px`` on repeat the last one; columns from ``from_px`` on are zero.

    Args:
        from_px_N: Samples that are there, 1 to S.
        to_px_N: Samples wanted, 1 to S.
        filter_N: ``cv2.INTER_LINEAR``, ``INTER_CUBIC`` or, for shrinking, ``INTER_AREA``.
        side_px: S.
    """
    ratio_N1 = (from_px_N / to_px_N)[:, None]
    place_S = torch.arange(side_px, device=from_px_N.device)
    row_NS = torch.minimum(place_S[None], to_px_N[:, None] - 1)
    tapped = _tapped((row_NS + 0.5) * ratio_N1 - 0.5, from_px_N, filter_N == cv2.INTER_CUBIC)
    first_NS = row_NS * ratio_N1
    last_NS = first_NS + ratio_N1
    overlap = torch.minimum(place_S + 1, last_NS[..., None]) - torch.maximum(
        place_S, first_NS[..., None]
    )
    area = overlap.clamp_min(0) / ratio_N1[..., None]
    return torch.where((filter_N == cv2.INTER_AREA)[:, None, None], area, tapped)


def shift_matrices(shift_px_N: Tensor, *, side_px: int) -> Tensor:
    """Return matrices ``(N, S, S)`` that sample at ``place + shift_px``, by cubic convolution."""
    place_S = torch.arange(side_px, device=shift_px_N.device)
    count_N = torch.full_like(shift_px_N, side_px, dtype=torch.long)
    cubic_N = torch.ones_like(count_N, dtype=torch.bool)
    return _tapped(place_S[None] + shift_px_N[:, None], count_N, cubic_N)


def detail_matrices(detail_N: Tensor, *, side_px: int) -> Tensor:
    """Return matrices ``(N, S, S)`` that leave the detail that samples really have.

    What ``data.samples.limit_resolution`` does, in one product: shrunk to ``detail * side_px``
    pixels by a triangle as wide as they are, then enlarged by cubic convolution. A detail of 1
    gives the identity.

    Args:
        detail_N: In (0, 1].
        side_px: S.
    """
    small_N = (detail_N * side_px).round().clamp(1, side_px)
    ratio_N1 = (side_px / small_N)[:, None]
    place_S = torch.arange(side_px, device=detail_N.device)
    centre_NS = (place_S[None] + 0.5) * ratio_N1
    away_NSS = (place_S + 0.5 - centre_NS[..., None]).abs() / ratio_N1[..., None]
    weight = (1 - away_NSS).clamp_min(0)
    shrink = weight / weight.sum(dim=2, keepdim=True).clamp_min(1e-6)
    enlarge = resize_matrices(
        small_N.long(),
        torch.full_like(small_N, side_px, dtype=torch.long),
        torch.full_like(small_N, cv2.INTER_CUBIC, dtype=torch.long),
        side_px=side_px,
    )
    return enlarge @ shrink


def sampled(image_NCHW: Tensor, rows_NSS: Tensor, columns_NSS: Tensor) -> Tensor:
    """Return ``rows @ image @ columns^T`` of every picture and channel."""
    return rows_NSS[:, None] @ image_NCHW @ columns_NSS[:, None].transpose(2, 3)


def edges_repeated(image_NCHW: Tensor, side_px_N: Tensor) -> Tensor:
    """Return pictures whose samples beyond ``side_px`` repeat the last row and column before."""
    count, channels, height, width = image_NCHW.shape
    last_N1 = side_px_N[:, None] - 1
    rows = torch.minimum(torch.arange(height, device=image_NCHW.device)[None], last_N1)
    columns = torch.minimum(torch.arange(width, device=image_NCHW.device)[None], last_N1)
    image = image_NCHW.gather(2, rows[:, None, :, None].expand(count, channels, height, width))
    return image.gather(3, columns[:, None, None, :].expand(count, channels, height, width))


def _tapped(centre_NS: Tensor, count_N: Tensor, cubic_N: Tensor) -> Tensor:
    """Return matrices of four taps about ``centre``; taps outside take the edge's sample."""
    low = centre_NS.floor()
    part = centre_NS - low
    size = int(centre_NS.shape[1])
    column_S = torch.arange(size, device=centre_NS.device)
    zero = torch.zeros_like(part)
    linear = (zero, 1 - part, part, zero)
    matrix = torch.zeros(*centre_NS.shape, size, device=centre_NS.device)
    for tap, (cubic, straight) in enumerate(zip(_cubic(part), linear, strict=True)):
        index = torch.minimum((low + (tap - 1)).clamp_min(0), (count_N - 1)[:, None])
        weight = torch.where(cubic_N[:, None], cubic, straight)
        matrix += weight[..., None] * (index[..., None] == column_S)
    return matrix


def _cubic(part: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the weights of the samples at -1, 0, 1 and 2 for a position ``part`` after 0."""

    def near(x: Tensor) -> Tensor:
        return ((_CUBIC_A + 2) * x - (_CUBIC_A + 3)) * x * x + 1

    def far(x: Tensor) -> Tensor:
        return ((_CUBIC_A * x - 5 * _CUBIC_A) * x + 8 * _CUBIC_A) * x - 4 * _CUBIC_A

    return far(part + 1), near(part), near(1 - part), far(2 - part)
