"""Regions become RGB, and changes of RGB samples, as in the stages for one frame on a CPU."""

import numpy as np
import pytest
import torch
from support.devicestages import DEVICE_FORMATS, RANGES, fields_of, levels_apart, names, tagged

from vidrestore.media.color.region_rgb import add_rgb_change, aligned_box, region_sdr_rgb
from vidrestore.pipeline.on_device.images.planes import Layout, Region, Regions, upload_planes
from vidrestore.pipeline.on_device.images.region_colors import (
    add_rgb_change as add_on_device,
)
from vidrestore.pipeline.on_device.images.region_colors import regions_rgb
from vidrestore.pipeline.on_device.transfers import Uploader
from vidrestore.types import Box, Frame, PixelFormat

CPU = torch.device("cpu")
BOXES = ((20.0, 30.0, 141.0, 120.0), (-5.0, -5.0, 60.0, 90.0), (90.0, 60.0, 300.0, 300.0))
"""In the middle, at the first and at the last corner of the frame."""


def boxes_of(frame: Frame) -> list[Box]:
    boxes = [aligned_box(frame, box) for box in BOXES]
    return [box for box in boxes if box is not None]


def frames_of(pixel_format: PixelFormat, *, full_range: bool, fields: bool) -> list[Frame]:
    frames = [tagged(pixel_format, full_range=full_range, index=index) for index in range(2)]
    if not fields:
        return frames
    return [fields_of(frame)[parity] for parity, frame in enumerate(frames)]


@pytest.mark.parametrize("fields", [False, True])
@pytest.mark.parametrize("full_range", RANGES)
@pytest.mark.parametrize("pixel_format", DEVICE_FORMATS, ids=names(DEVICE_FORMATS))
def test_a_batch_of_regions_becomes_the_rgb_of_each(
    pixel_format: PixelFormat, full_range: bool, fields: bool
) -> None:
    for frame in frames_of(pixel_format, full_range=full_range, fields=fields):
        for box in boxes_of(frame):
            (planes,) = upload_planes([frame], Uploader(CPU))
            regions = Regions.uploaded([Region.of(0, frame, box)], CPU)
            rgb = regions_rgb([plane[None] for plane in planes.planes], planes.layout, regions)
            expected = region_sdr_rgb(frame, box)
            height, width = expected.shape[:2]
            result = rgb[0, :, :height, :width].permute(1, 2, 0).numpy()
            np.testing.assert_allclose(result, expected, atol=0.05 / 255)


@pytest.mark.parametrize("keep_chroma", [False, True])
@pytest.mark.parametrize("full_range", RANGES)
@pytest.mark.parametrize("pixel_format", DEVICE_FORMATS, ids=names(DEVICE_FORMATS))
def test_a_change_of_rgb_is_added_to_the_planes_as_on_a_cpu(
    pixel_format: PixelFormat, full_range: bool, keep_chroma: bool
) -> None:
    frame = tagged(pixel_format, full_range=full_range)
    for box in boxes_of(frame):
        rng = np.random.default_rng(1)
        left, top, right, bottom = box
        change = rng.normal(0, 0.1, (bottom - top, right - left, 3)).astype(np.float32)
        expected = [np.array(plane) for plane in frame.planes]
        add_rgb_change(expected, frame, box, change, keep_chroma=keep_chroma)

        (planes,) = upload_planes([frame], Uploader(CPU))
        regions = Regions.uploaded([Region.of(0, frame, box)], CPU)
        padded = torch.full((1, 3, *regions.padded_hw), 9.0)
        padded[0, :, : bottom - top, : right - left] = torch.from_numpy(change).permute(2, 0, 1)
        results = add_on_device(
            [plane[None] for plane in planes.planes],
            planes.layout,
            regions,
            padded,
            keep_chroma=torch.tensor([keep_chroma]),
        )
        for result, other in zip(results, expected, strict=False):
            samples = result[0].numpy().view(other.dtype).astype(int)
            # Halves may be rounded to the other side: one step of the samples.
            assert int(np.abs(samples - other.astype(int)).max()) <= 1
            assert float((samples != other).mean()) < 0.01


def test_samples_outside_the_box_stay() -> None:
    frame = tagged(DEVICE_FORMATS[0], full_range=False)
    box = (20, 30, 60, 70)
    (planes,) = upload_planes([frame], Uploader(CPU))
    regions = Regions.uploaded([Region.of(0, frame, box)], CPU)
    change = torch.tensor([0.6, 0.3, 0.1])[None, :, None, None].expand(1, 3, *regions.padded_hw)
    results = add_on_device(
        [plane[None] for plane in planes.planes],
        planes.layout,
        regions,
        change,
        keep_chroma=torch.tensor([False]),
    )
    after = frame.with_planes(tuple(result[0].numpy() for result in results))
    assert levels_apart(frame, after) > 20
    for step, before, result in zip((1, 2, 2), frame.planes, after.planes, strict=True):
        changed = np.argwhere(result != before)
        assert changed.min(axis=0).tolist() >= [30 // step, 20 // step]
        assert changed.max(axis=0).tolist() < [70 // step, 60 // step]


def test_frames_of_another_size_or_depth_are_uploaded_apart() -> None:
    frames = [tagged(pixel_format, full_range=False) for pixel_format in DEVICE_FORMATS[:3]]
    for frame, planes in zip(frames, upload_planes(frames, Uploader(CPU)), strict=True):
        assert planes.layout == Layout.of(frame)
        for plane, other in zip(planes.planes, frame.planes, strict=True):
            np.testing.assert_array_equal(plane.numpy().view(other.dtype), other)
