"""Crops of a batch of faces, cut from planes on the device as ``align_face`` does it for one."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vidrestore.faces.align import CropRegion
from vidrestore.pipeline.on_device.average import make_thumbnails
from vidrestore.pipeline.on_device.batching import faces_per_batch, filled, grouped
from vidrestore.pipeline.on_device.images.planes import DevicePlanes, Layout, Region, Regions
from vidrestore.pipeline.on_device.images.region_colors import regions_rgb
from vidrestore.pipeline.on_device.images.resample import Warp, Warps, WarpShape
from vidrestore.types import Frame


class CropRequest(NamedTuple):
    """A face to cut out of a frame."""

    frame: Frame
    planes: DevicePlanes
    source: CropRegion
    side_px: int

    @property
    def region(self) -> Region:
        """Its box in a batch of which its frame is the only one."""
        return Region.of(0, self.frame, self.source.box_xyxy)

    @property
    def warp(self) -> Warp:
        """The warp of its region to the crop."""
        left, top, right, bottom = self.source.box_xyxy
        size_hw = (bottom - top, right - left)
        return Warp.planned(size_hw, self.source.region_to_pixels, sharp=False)

    @property
    def shape(self) -> "_Shape":
        """What it must have in common with the others of a batch."""
        return _Shape(self.planes.layout, self.region.padded_hw, self.side_px, self.warp.shape)


class CutCrop(NamedTuple):
    """A crop on the device."""

    crop_chw: Tensor
    """``(3, S, S)`` float32 RGB in [0, 1]."""
    thumbnail_chw: Tensor
    gray_hw: Tensor
    """Gray levels of the thumbnail, uint8."""


class _Shape(NamedTuple):
    layout: Layout
    region_hw: tuple[int, int]
    side_px: int
    warp: WarpShape


def cut_crops(
    requests: Sequence[CropRequest], *, batch_size: int, device: torch.device
) -> list[CutCrop]:
    """Return the crop of each face, without waiting for it.

    Args:
        requests: The faces, of one or more frames.
        batch_size: Faces of a batch; fewer if they are large.
        device: Where the planes are.
    """
    crops: dict[int, CutCrop] = {}
    shapes = [request.shape for request in requests]
    for shape, places in grouped(range(len(requests)), shapes.__getitem__).items():
        for count, part in filled(places, faces_per_batch(shape.region_hw, batch_size)):
            batch = _cut([requests[place] for place in part], shape, device)
            cut = map(CutCrop, batch, *make_thumbnails(batch))
            crops |= zip(part[:count], cut, strict=False)
    return [crops[place] for place in range(len(requests))]


def _cut(requests: Sequence[CropRequest], shape: _Shape, device: torch.device) -> Tensor:
    slots = {id(planes): planes for planes in (request.planes for request in requests)}
    order = {key: slot for slot, key in enumerate(slots)}
    stacks = [
        torch.stack(planes) for planes in zip(*(p.planes for p in slots.values()), strict=True)
    ]
    regions = Regions.uploaded(
        [request.region._replace(slot=order[id(request.planes)]) for request in requests], device
    )
    warps = Warps([request.warp for request in requests], device)
    rgb = regions_rgb(stacks, shape.layout, regions)
    return warps.apply(rgb, (shape.side_px, shape.side_px))
