"""Restores a batch of faces, and strengthens their edges, before anything is downloaded.

The edges are those of ``vidrestore.restore.edge_gain``, which strengthens one face.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vidrestore.devices import retry_out_of_memory
from vidrestore.pipeline.on_device.batching import grouped
from vidrestore.pipeline.on_device.images.filters import (
    extremes,
    filter_matrices,
    gaussian_taps,
    luma_of,
)
from vidrestore.pipeline.on_device.transfers import Download, upload
from vidrestore.restore.edge_gain import EdgeGainConfig
from vidrestore.restore.restorer import Restorer
from vidrestore.types import AlignedFace, RestoredCrops


def restore_faces(restorer: Restorer, faces: Sequence[AlignedFace]) -> RestoredCrops:
    """Return the restored crops of a batch, in the machine's memory; waits for the device.

    Args:
        restorer: The restorer.
        faces: With crops of one size, on its device or in the machine's memory.
    """
    crops_NCHW = torch.stack([face.restorer_input_chw for face in faces])
    if restorer.device.type == "cuda" and crops_NCHW.device.type == "cpu":
        crops_NCHW = crops_NCHW.pin_memory().to(restorer.device, non_blocking=True)
    crops = restorer.restore_crops(crops_NCHW)
    images_NCHW = crops.images_nchw
    if restorer.detail:
        config = EdgeGainConfig()
        images_NCHW = strengthen_batch(images_NCHW, faces, detail=restorer.detail, config=config)
    masks = (crops.face_masks_nhw, crops.head_masks_nhw)
    present = [mask for mask in masks if mask is not None]
    images, *hosts = Download([images_NCHW, *present]).wait()
    rest = iter(hosts)
    face_masks, head_masks = (None if mask is None else next(rest) for mask in masks)
    return RestoredCrops(images_nchw=images, face_masks_nhw=face_masks, head_masks_nhw=head_masks)


@retry_out_of_memory
def strengthen_batch(
    images_NCHW: Tensor, faces: Sequence[AlignedFace], *, detail: float, config: EdgeGainConfig
) -> Tensor:
    """Return crops with stronger edges, without waiting for them.

    Args:
        images_NCHW: ``(N, 3, S, S)`` restored crops, RGB in [0, 1].
        faces: Their faces, in order.
        detail: As for ``strengthen_frames``.
        config: How much, and which edges.
    """
    sigmas = [config.sigma_px(face) for face in faces]
    config = config.for_crop(faces[0])  # all crops of a batch have one size
    luma = luma_of(images_NCHW)[:, 0]
    filters = filter_matrices(_taps(sigmas, images_NCHW.device), luma.shape[-1])
    fine = luma - filters @ luma @ filters.mT
    size = fine.abs()
    added = config.gain * detail**config.power * fine * size / (size + config.threshold)
    lows, highs = _around(luma, [round(sigma) for sigma in sigmas])
    within = torch.minimum(torch.maximum(added, lows - luma), highs - luma)
    added = within + config.overshoot * (added - within)
    return (images_NCHW + added[:, None]).clamp(0.0, 1.0)


def _taps(sigmas: Sequence[float], device: torch.device) -> Tensor:
    """Return the taps of every filter, padded by zeros to the longest one."""
    rows = [np.array(gaussian_taps(sigma), np.float32) for sigma in sigmas]
    longest = max(map(len, rows))
    padded = [np.pad(row, (longest - len(row)) // 2) for row in rows]
    return upload(np.stack(padded), device)


def _around(luma_nhw: Tensor, reaches: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return the least and the largest value around every sample, within each image's reach."""
    found: dict[int, tuple[Tensor, Tensor]] = {}
    for reach, places in grouped(range(len(reaches)), reaches.__getitem__).items():
        lows, highs = extremes(torch.stack([luma_nhw[place] for place in places]), reach)
        found |= zip(places, zip(lows, highs, strict=True), strict=True)
    lows, highs = zip(*(found[place] for place in range(len(reaches))), strict=True)
    return torch.stack(lows), torch.stack(highs)
