"""Averages the faces of a batch of frames with their neighbors in time."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidrestore.optical_flow import Flow, dense_flow
from vidrestore.pipeline.on_device.average import Neighbors, motion_compensated_averages
from vidrestore.pipeline.on_device.batching import faces_per_batch, filled, grouped
from vidrestore.pipeline.on_device.transfers import upload
from vidrestore.restore.motion_average import THUMBNAIL_PX
from vidrestore.restore.settings import TemporalConfig
from vidrestore.restore.temporal_denoise import has_coarse_color
from vidrestore.sliding_window import Window
from vidrestore.types import AlignedFrame


class CropView(NamedTuple):
    """A crop on the device, and what its motion is found in."""

    crop_chw: Tensor
    thumbnail_chw: Tensor
    gray_hw: NDArray[np.uint8]
    """Gray levels of the thumbnail, in the machine's memory."""


Views = dict[int, CropView]
"""Crops of one frame, by track."""


class AverageJob(NamedTuple):
    """A face with its neighbors in time."""

    place: tuple[int, int]
    """Number of the frame, and the track."""
    view: CropView
    others: list[tuple[CropView, bool, Flow]]
    """Each with whether it is adjacent, and the motion to it."""
    coarse_color: bool


def jobs_of(window: Window[AlignedFrame, Views]) -> list[AverageJob]:
    """Return the faces of a frame that are in other frames of a window, with their motion."""
    jobs: list[AverageJob] = []
    for track, view in window.value.items():
        others: list[tuple[CropView, bool, Flow]] = []
        for side in (window.before, window.after):
            for distance, views in enumerate(side):
                other = views.get(track)
                if other is not None and other.crop_chw.shape == view.crop_chw.shape:
                    flow = dense_flow(view.gray_hw, other.gray_hw, quick=True)
                    others.append((other, distance == 0, flow))
        if others:
            place = (window.item.frame.index, track)
            jobs.append(AverageJob(place, view, others, has_coarse_color(window.item)))
    return jobs


def averages(
    jobs: Sequence[AverageJob], *, config: TemporalConfig, batch_size: int, device: torch.device
) -> list[Tensor]:
    """Return the averaged crop of each face, ``(3, S, S)``, without waiting for it.

    Args:
        jobs: The faces, each with at most ``2 * config.context_frames`` neighbors.
        config: How much neighbors count.
        batch_size: Faces of a batch.
        device: Where the crops are.
    """
    averaged: dict[int, Tensor] = {}
    shapes = [(job.view.crop_chw.shape[-1], job.coarse_color) for job in jobs]
    for (side_px, coarse), places in grouped(range(len(jobs)), shapes.__getitem__).items():
        for count, part in filled(places, faces_per_batch((side_px, side_px), batch_size)):
            same = [jobs[place] for place in part]
            results = motion_compensated_averages(
                torch.stack([job.view.crop_chw for job in same]),
                torch.stack([job.view.thumbnail_chw for job in same]),
                _neighbors(same, 2 * config.context_frames, device),
                strength=config.strength,
                coarse_color=coarse,
            )
            averaged |= zip(part[:count], results, strict=False)
    return [averaged[place] for place in range(len(jobs))]


def _neighbors(jobs: Sequence[AverageJob], most: int, device: torch.device) -> Neighbors:
    rest: Flow = np.zeros((THUMBNAIL_PX, THUMBNAIL_PX, 2), np.float32)
    rows = [[*job.others, *[(job.view, False, rest)] * (most - len(job.others))] for job in jobs]
    exist = np.array([[place < len(job.others) for place in range(most)] for job in jobs])
    adjacent = np.array([[is_adjacent for _, is_adjacent, _ in row] for row in rows])
    flows = np.stack([np.stack([flow for _, _, flow in row]) for row in rows])
    thumbnails = [torch.stack([view.thumbnail_chw for view, _, _ in row]) for row in rows]
    return Neighbors(
        crops=tuple(torch.stack([row[place][0].crop_chw for row in rows]) for place in range(most)),
        thumbnails=torch.stack(thumbnails),
        flows=upload(flows, device).permute(0, 1, 4, 2, 3),
        exist=upload(exist, device),
        adjacent=upload(adjacent, device),
    )
