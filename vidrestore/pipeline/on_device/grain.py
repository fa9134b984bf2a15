"""The grain of a batch of regions, as ``vidrestore.paste.grain`` adds it to one."""

import torch
from torch import Tensor

from vidrestore.paste.grain import GRAIN_RADIUS_PX, VISIBLE
from vidrestore.pipeline.on_device.images.filters import correlate, gaussian_blur, medians
from vidrestore.pipeline.on_device.images.mixing import mixed_channels
from vidrestore.pipeline.on_device.images.planes import Regions
from vidrestore.types import FloatArray


def grain_to_add(
    source: Tensor,
    restored: Tensor,
    regions: Regions,
    luma_weights: FloatArray,
    mask: Tensor,
    skin_yx: Tensor,
) -> Tensor:
    """Return ``(F, h, w)`` grain that makes restored faces as grainy as their sources.

    Args:
        source: ``(F, 3, h, w)`` RGB in [0, 1].
        restored: The same regions with restored faces.
        regions: Their boxes.
        luma_weights: ``(3,)``, of R, G and B.
        mask: ``(F, h, w)`` in [0, 1].
        skin_yx: As for ``noise_sigma``.
    """
    source_luma, restored_luma = (
        regions.extended(mixed_channels(rgb.unbind(1), luma_weights[None]), reflect=True)[:, 0]
        for rgb in (source, restored)
    )
    before, after = (noise_sigma(luma, mask, skin_yx) for luma in (source_luma, restored_luma))
    visible = (before / VISIBLE - 1.0).clamp(0.0, 1.0)
    ratio = after / before.clamp(min=VISIBLE)  # below that, nothing is visible
    missing = (1.0 - ratio.square()).clamp(min=0.0).sqrt()
    residual = source_luma - gaussian_blur(source_luma[:, None], GRAIN_RADIUS_PX)[:, 0]
    limit = (2.5 * before)[:, None, None]
    return residual.clamp(-limit, limit) * (visible * missing)[:, None, None]


def noise_sigma(luma: Tensor, mask: Tensor, skin_yx: Tensor) -> Tensor:
    """Return the deviation of noise in regions, ``(F,)``; 0 where too little is measured.

    Args:
        luma: ``(F, h, w)``.
        mask: ``(F, h, w)`` in [0, 1]; measured where it exceeds a half.
        skin_yx: ``(F, 4)`` int64: first row, end of rows, first column, end of columns.
    """
    second = luma[:, None]
    for dim in (2, 3):
        second = correlate(second, [1.0, -2.0, 1.0], dim=dim, reflect=True)
    count, height, width = luma.shape
    # Of every second row and column, beginning with the first of the skin.
    rows = skin_yx[:, :1] % 2 + torch.arange(0, height - 1, 2, device=luma.device)[None]
    columns = skin_yx[:, 2:3] % 2 + torch.arange(0, width - 1, 2, device=luma.device)[None]
    index = torch.arange(count, device=luma.device)[:, None, None]
    rows, columns = rows[:, :, None], columns[:, None, :]
    first_y, end_y, first_x, end_x = skin_yx[:, :, None, None].unbind(1)
    valid = (rows >= first_y) & (rows < end_y) & (columns >= first_x) & (columns < end_x)
    valid = valid & (mask[index, rows, columns] > 0.5)
    values = second[:, 0].abs()[index, rows, columns]
    median, count_f = medians(values.flatten(1), valid.flatten(1))
    return torch.where(count_f < 64, 0.0, median / (6.0 * 0.6745))
