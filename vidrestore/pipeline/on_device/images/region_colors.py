"""Regions of a batch to RGB, and changes of their RGB back to planes, as ``region_rgb`` does."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vidrestore.media.color.matrices import color_matrix, luma_weights, sample_range
from vidrestore.media.color.region_rgb import PLANES_OF_CHANNELS
from vidrestore.media.color.sdr_view import sdr_view
from vidrestore.pipeline.on_device.images.filters import correlate
from vidrestore.pipeline.on_device.images.mixing import mixed_channels
from vidrestore.pipeline.on_device.images.planes import (
    Layout,
    Regions,
    add_to_samples,
    read_samples,
)
from vidrestore.pipeline.on_device.images.sdr_colors import change_of_video, to_view


def regions_rgb(stacks: Sequence[Tensor], layout: Layout, regions: Regions) -> Tensor:
    """Return ``(F, 3, h, w)`` float32 RGB for the networks, in [0, 1].

    Beyond a frame its border is repeated.

    Args:
        stacks: The color planes of B frames, each ``(B, H, W)``.
        layout: Of these frames.
        regions: The boxes.
    """
    return to_view(_video_rgb(stacks, layout, regions), layout.color).clamp(0.0, 1.0)


def _video_rgb(stacks: Sequence[Tensor], layout: Layout, regions: Regions) -> Tensor:
    rows, columns = regions.top[:, None] + regions.rows(), regions.left[:, None] + regions.columns()
    model = layout.pixel_format.model
    if model == "yuv":
        luma = read_samples(stacks[0], regions.slots, rows, columns)
        chroma = [_chroma(stacks[plane], layout, regions) for plane in (1, 2)]
        matrix = color_matrix(layout.pixel_format, layout.color, layout.whole_hw).to_rgb
        return mixed_channels([luma, *chroma], matrix)
    read = [read_samples(stack, regions.slots, rows, columns) for stack in stacks]
    span = sample_range(layout.pixel_format, layout.color)
    samples = torch.stack([read[plane] for plane in PLANES_OF_CHANNELS[model]], dim=1)
    return (samples - span.black) * (1.0 / span.span)


def _chroma(stack_bhw: Tensor, layout: Layout, regions: Regions) -> Tensor:
    """Return a chroma plane at luma resolution, ``(F, h, w)``, interpolated by its siting."""
    (step_x, step_y), (height, width) = layout.steps_of(1), regions.padded_hw
    first_y, first_x = regions.top[:, None] // step_y, regions.left[:, None] // step_x
    y = (regions.rows() - regions.chroma_y[:, None]) / step_y
    x = (regions.columns() - regions.chroma_x) / step_x
    low_y, low_x = y.floor(), x.floor()
    # Columns are interpolated after rows, among those that a region needs.
    columns = first_x - 2 + torch.arange(width // step_x + 4, device=x.device)[None]
    rows = first_y + low_y.long()
    upper, lower = (read_samples(stack_bhw, regions.slots, rows + down, columns) for down in (0, 1))
    between = torch.lerp(upper, lower, (y - low_y)[:, :, None])
    index = (low_x.long() + 2).expand(len(between), height, width)
    left, right = between.gather(2, index), between.gather(2, index + 1)
    return torch.lerp(left, right, (x - low_x)[:, None, :])


def add_rgb_change(
    stacks: Sequence[Tensor],
    layout: Layout,
    regions: Regions,
    change_rgb: Tensor,
    *,
    keep_chroma: Tensor,
) -> list[Tensor]:
    """Return the planes with a change of the SDR view added; where it is 0, samples stay.

    Args:
        stacks: As for ``regions_rgb``.
        layout: Likewise.
        regions: The boxes, which do not overlap in one frame.
        change_rgb: ``(F, 3, h, w)`` difference of RGB; what is outside the boxes is ignored.
        keep_chroma: ``(F,)`` bool: change only luma. In RGB frames the change of luma is added to
            all three planes.
    """
    pixel_format = layout.pixel_format
    if sdr_view(layout.color) is not None:
        video = _video_rgb(stacks, layout, regions)
        change_rgb = change_of_video(video, change_rgb, layout.color)
    chosen = keep_chroma[:, None, None]
    if pixel_format.model == "yuv":
        matrix = color_matrix(pixel_format, layout.color, layout.whole_hw).delta_from_rgb
        change = mixed_channels(change_rgb.unbind(1), matrix)
        chroma = _shrunk_to_chroma(change[:, 1:], layout, regions).unbind(1)
        chroma = [torch.where(chosen, 0.0, part) for part in chroma]
        parts = [change[:, 0], *chroma]
    else:
        span = sample_range(pixel_format, layout.color).span
        weights = luma_weights(layout.color, layout.whole_hw)[None]
        gray = mixed_channels(change_rgb.unbind(1), weights)[:, 0]
        red, green, blue = (torch.where(chosen, gray, part) for part in change_rgb.unbind(1))
        parts = [gray] if pixel_format.model == "gray" else [green, blue, red]
        parts = [part * span for part in parts]
    return [
        _added(stack, layout, regions, plane, part)
        for plane, (stack, part) in enumerate(zip(stacks, parts, strict=True))
    ]


def _added(
    stack_bhw: Tensor, layout: Layout, regions: Regions, plane: int, change: Tensor
) -> Tensor:
    rows, columns = regions.samples_of(layout, plane)
    bottom, right = regions.ends_of(layout, plane)
    valid = (rows < bottom[:, None])[:, :, None] & (columns < right[:, None])[:, None, :]
    top_value = layout.pixel_format.max_value
    return add_to_samples(
        stack_bhw, regions.slots, rows, columns, change, valid_fhw=valid, max_value=top_value
    )


def _shrunk_to_chroma(change: Tensor, layout: Layout, regions: Regions) -> Tensor:
    """Average a change at luma resolution over each chroma sample, by siting."""
    step_x, step_y = layout.steps_of(1)
    if (step_x, step_y) == (1, 1):
        return change
    change = regions.extended(change)
    change = correlate(change, regions.siting_x, dim=3, step=step_x)
    return correlate(change, regions.siting_y, dim=2, step=step_y)
