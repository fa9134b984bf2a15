"""Planes of frames on a device, and the regions of a batch of faces in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vidrestore.media.color.chroma_resampling import chroma_offset_xy, siting_taps
from vidrestore.pipeline.on_device.batching import padded
from vidrestore.pipeline.on_device.transfers import Uploader, upload
from vidrestore.types import Box, ColorTags, FloatArray, Frame, PixelFormat


class Layout(NamedTuple):
    """What frames must have in common to be in one batch."""

    pixel_format: PixelFormat
    color: ColorTags
    coded_hw: tuple[int, int]
    whole_hw: tuple[int, int]

    @classmethod
    def of(cls, frame: Frame) -> "Layout":
        """Return the layout of a frame or field."""
        return cls(frame.pixel_format, frame.color, frame.coded_hw, frame.whole_hw)

    @property
    def color_planes(self) -> range:
        """Planes without alpha, which nothing reads or changes."""
        return range(1 if self.pixel_format.model == "gray" else 3)

    def steps_of(self, plane: int) -> tuple[int, int]:
        """Return how many columns and rows of the frame a sample of a plane stands for."""
        shift_x, shift_y = self.pixel_format.plane_shift_xy(plane)
        return 1 << shift_x, 1 << shift_y


@dataclass(frozen=True, slots=True, eq=False)
class DevicePlanes:
    """The color planes of one frame on a device: ``(h, w)``, uint8, or the bits of uint16."""

    layout: Layout
    planes: tuple[Tensor, ...]


def upload_planes(frames: Sequence[Frame], uploader: Uploader) -> list[DevicePlanes]:
    """Return the planes of frames, of which those of one layout are copied together."""
    uploaded: dict[int, DevicePlanes] = {}
    layouts = [Layout.of(frame) for frame in frames]
    for layout in dict.fromkeys(layouts):
        places = [place for place, other in enumerate(layouts) if other == layout]
        stacks = [
            uploader.stacked([frames[place].planes[number] for place in places])
            for number in layout.color_planes
        ]
        for index, place in enumerate(places):
            uploaded[place] = DevicePlanes(layout, tuple(stack[index] for stack in stacks))
    return [uploaded[place] for place in range(len(frames))]


class Region(NamedTuple):
    """A box of one frame of a batch."""

    slot: int
    """Number of the frame in the batch."""
    box_xyxy: Box
    """Coded pixels, of whole chroma samples."""
    chroma_xy: tuple[float, float]
    """Place of the first chroma sample, in luma pixels; its row is another one in a field."""
    chroma_shift_xy: tuple[int, int]

    @classmethod
    def of(cls, slot: int, frame: Frame, box_xyxy: Box) -> "Region":
        """Return a region of a frame."""
        shift_xy = frame.pixel_format.chroma_shift_xy
        return cls(slot, box_xyxy, chroma_offset_xy(frame), shift_xy)

    @property
    def padded_hw(self) -> tuple[int, int]:
        """Its size on the device."""
        left, top, right, bottom = self.box_xyxy
        return padded(bottom - top), padded(right - left)


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Boxes of a batch of F faces on a device; all ``padded_hw`` large there."""

    padded_hw: tuple[int, int]
    slots: Tensor
    """``(F,)`` int64: the frame of each, as all others."""
    left: Tensor
    top: Tensor
    width: Tensor
    height: Tensor
    chroma_y: Tensor
    """``(F,)`` float32: row of the first chroma sample, in luma rows."""
    chroma_x: float
    """Its column."""
    siting_y: Tensor
    """``(F, taps)`` float32: weights of luma rows in a chroma sample."""
    siting_x: list[float]
    """Those of luma columns."""

    @classmethod
    def uploaded(cls, regions: Sequence[Region], device: torch.device) -> "Regions":
        """Upload regions that have the same ``padded_hw``."""
        boxes = np.array([region.box_xyxy for region in regions], dtype=np.int64)
        (left, top), (right, bottom) = boxes[:, :2].T, boxes[:, 2:].T
        slots = np.array([region.slot for region in regions])
        numbers = upload(np.stack([slots, left, top, right - left, bottom - top]), device)
        taps = [siting_taps(region.chroma_shift_xy[1], region.chroma_xy[1]) for region in regions]
        chroma_y = np.array([region.chroma_xy[1] for region in regions], dtype=np.float32)
        slot, x, y, width, height = numbers.unbind()
        first = regions[0]
        return cls(
            padded_hw=first.padded_hw,
            slots=slot,
            left=x,
            top=y,
            width=width,
            height=height,
            chroma_y=upload(chroma_y, device),
            chroma_x=first.chroma_xy[0],
            siting_y=upload(_of_one_width(taps), device),
            siting_x=siting_taps(first.chroma_shift_xy[0], first.chroma_xy[0]).tolist(),
        )

    def rows(self) -> Tensor:
        """Return ``(1, h)``: rows of the padded region."""
        return torch.arange(self.padded_hw[0], device=self.top.device)[None]

    def columns(self) -> Tensor:
        """Return ``(1, w)``."""
        return torch.arange(self.padded_hw[1], device=self.top.device)[None]

    def samples_of(self, layout: Layout, plane: int) -> tuple[Tensor, Tensor]:
        """Return the rows ``(F, h)`` and columns ``(F, w)`` of the padded regions in a plane."""
        step_x, step_y = layout.steps_of(plane)
        rows, columns = self.rows()[:, : -(-self.padded_hw[0] // step_y)], self.columns()
        columns = columns[:, : -(-self.padded_hw[1] // step_x)]
        return self.top[:, None] // step_y + rows, self.left[:, None] // step_x + columns

    def ends_of(self, layout: Layout, plane: int) -> tuple[Tensor, Tensor]:
        """Return the row and the column of a plane, each ``(F,)``, at which the boxes end."""
        step_x, step_y = layout.steps_of(plane)
        # Frames of odd size end in half a chroma sample, so the ends are rounded up.
        return -(-(self.top + self.height) // step_y), -(-(self.left + self.width) // step_x)

    def extended(self, images_fchw: Tensor, *, reflect: bool = False) -> Tensor:
        """Return images of the padded regions with what is outside the boxes replaced.

        Args:
            images_fchw: ``(F, C, h, w)``.
            reflect: Whether it becomes the reflection of the box, or its border repeated.
        """
        places = (self.rows()[:, None, :, None], self.columns()[:, None, None, :])
        for dim, place, sizes in zip((2, 3), places, (self.height, self.width), strict=True):
            last = sizes[:, None, None, None] - 1
            beyond = (2 * last - place).clamp(min=0) if reflect else last
            place = torch.where(place > last, beyond, place)
            images_fchw = images_fchw.gather(dim, place.expand(images_fchw.shape))
        return images_fchw


def _of_one_width(taps: Sequence[FloatArray]) -> FloatArray:
    """Return ``(F, n)`` taps, with zeros to both sides of the narrower ones."""
    widest = max(map(len, taps))
    return np.stack([np.pad(row, (widest - len(row)) // 2) for row in taps])


def read_samples(stack_bhw: Tensor, slots: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return ``(F, h, w)`` float32 samples of one plane of a batch; its border is repeated."""
    samples = read_bits(stack_bhw, slots, rows, columns)
    if samples.dtype == torch.int16:
        samples = samples.int() & 0xFFFF
    return samples.float()


def read_bits(stack_bhw: Tensor, slots: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return ``(F, h, w)`` samples of one plane of a batch as they are stored.

    Args:
        stack_bhw: ``(B, H, W)`` uint8, or the bits of uint16.
        slots: ``(F,)`` frame of each.
        rows: ``(F, h)`` rows, also beyond the plane.
        columns: ``(F, w)``, likewise.
    """
    height, width = stack_bhw.shape[1:]
    rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    return stack_bhw[slots[:, None, None], rows[:, :, None], columns[:, None, :]]


def add_to_samples(
    stack_bhw: Tensor,
    slots: Tensor,
    rows: Tensor,
    columns: Tensor,
    change_fhw: Tensor,
    *,
    valid_fhw: Tensor,
    max_value: int,
) -> Tensor:
    """Return the plane with a change added, rounded halves to even and clipped.

    Args:
        stack_bhw: As for ``read_samples``; not changed.
        slots: Likewise; boxes of one frame do not overlap.
        rows: Likewise.
        columns: Likewise.
        change_fhw: ``(F, h, w)`` change in sample units.
        valid_fhw: Where it is added; all of that is inside the plane.
        max_value: Largest sample value.
    """
    count, height, width = stack_bhw.shape
    changed = read_samples(stack_bhw, slots, rows, columns) + change_fhw
    changed = changed.round().clamp(0, max_value).int().to(stack_bhw.dtype)
    places = (slots[:, None, None] * height + rows[:, :, None]) * width + columns[:, None, :]
    # One more sample takes what is not valid, because choosing would wait for the device.
    places = torch.where(valid_fhw, places, count * height * width)
    flat = torch.cat([stack_bhw.flatten(), stack_bhw.new_zeros(1)])
    flat.scatter_(0, places.flatten(), changed.flatten())
    return flat[:-1].view(count, height, width)
