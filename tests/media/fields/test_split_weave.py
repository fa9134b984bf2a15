from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from support.frames import FORMATS, GRAY, YUV420, random_frame

from vidrestore.media.color.preview import preview_rgb
from vidrestore.media.color.region_rgb import aligned_box, region_to_rgb
from vidrestore.media.fields.split_weave import (
    FieldRule,
    box_in_frame,
    full_frame_of,
    split_fields,
    weave_fields,
)
from vidrestore.types import ColorTags, DisplayGeometry, Frame, PixelFormat, Timestamp

TOP_FIRST: dict[str, Any] = {"interlaced": True, "top_field_first": True}
BOTTOM_FIRST: dict[str, Any] = {"interlaced": True, "top_field_first": False}


def frame_with(
    pixel_format: PixelFormat = YUV420, hw: tuple[int, int] = (16, 20), **changes: Any
) -> Frame:
    return replace(random_frame(pixel_format, hw, seed=3), **{**TOP_FIRST, **changes})


def fields_of(frame: Frame, rule: FieldRule | None = None) -> list[Frame]:
    return list(split_fields([frame], rule or FieldRule()))


@pytest.mark.parametrize("hw", [(16, 20), (18, 20), (17, 21), (2, 2), (1, 1)])
@pytest.mark.parametrize("pixel_format", FORMATS, ids=lambda pixel_format: pixel_format.name)
@pytest.mark.parametrize("order", [TOP_FIRST, BOTTOM_FIRST])
def test_weaving_the_fields_gives_the_frame_bit_for_bit(
    pixel_format: PixelFormat, hw: tuple[int, int], order: dict[str, bool]
) -> None:
    frame = frame_with(pixel_format, hw, **order)

    again = weave_fields(*fields_of(frame))

    for before, after in zip(frame.planes, again.planes, strict=True):
        np.testing.assert_array_equal(before, after)
    assert (again.index, again.timestamp, again.color) == (
        frame.index,
        frame.timestamp,
        frame.color,
    )
    assert (again.interlaced, again.top_field_first) == (True, order["top_field_first"])
    assert again.field_of is None


def test_every_field_has_its_own_rows_of_luma_and_chroma() -> None:
    frame = frame_with()
    first, second = fields_of(frame)

    for index in range(3):
        np.testing.assert_array_equal(first.planes[index], frame.planes[index][0::2])
        np.testing.assert_array_equal(second.planes[index], frame.planes[index][1::2])


def test_fields_are_in_temporal_order_and_have_the_timestamp_of_the_frame() -> None:
    at = Timestamp(1001, Fraction(1, 30_000))
    frame = frame_with(index=7, timestamp=at, duration_ticks=1001, key_frame=True, **BOTTOM_FIRST)

    first, second = fields_of(frame)

    assert (first.is_bottom_field, second.is_bottom_field) == (True, False)
    assert (first.index, second.index) == (14, 15)
    assert first.timestamp.seconds == at.seconds
    assert second.timestamp.seconds == at.seconds + Fraction(1001, 60_000)
    ends = second.timestamp.ticks + second.duration_ticks
    assert ends * second.timestamp.time_base == Fraction(2002, 30_000)
    assert (first.key_frame, second.key_frame) == (True, False)


def test_a_progressive_frame_is_split_only_on_request() -> None:
    frame = frame_with(index=5, interlaced=False, top_field_first=False)

    (progressive,) = fields_of(frame)
    assert (progressive.index, progressive.field_of, progressive.planes) == (10, None, frame.planes)
    assert full_frame_of(progressive).index == 5

    fields = fields_of(frame, FieldRule(every_frame=True, top_first=True))
    assert [field.is_bottom_field for field in fields] == [False, True]
    again = weave_fields(*fields)
    assert (again.interlaced, again.top_field_first) == (False, False)


def test_a_given_field_order_overrides_the_flag_and_the_flag_is_kept() -> None:
    first, second = fields_of(frame_with(**TOP_FIRST), FieldRule(top_first=False))
    assert first.is_bottom_field
    assert weave_fields(first, second).top_field_first


def test_fields_of_two_frames_cannot_be_woven() -> None:
    first, other = fields_of(frame_with()), fields_of(frame_with())
    with pytest.raises(ValueError, match="not fields of one frame"):
        weave_fields(first[0], other[1])
    with pytest.raises(ValueError, match="the same field"):
        weave_fields(first[0], first[0])


@pytest.mark.parametrize("hw", [(20, 24), (18, 20)])
@pytest.mark.parametrize("is_second", [False, True])
def test_a_change_in_a_box_of_a_field_stays_inside_the_box_of_the_frame(
    hw: tuple[int, int], is_second: bool
) -> None:
    frame = frame_with(hw=hw)
    fields = fields_of(frame)
    field = fields[is_second]
    box = aligned_box(field, (3.0, 3.0, 11.0, 100.0))
    assert box is not None
    left, top, right, bottom = box
    planes = [np.array(plane) for plane in field.planes]
    planes[0][top:bottom, left:right] ^= 1
    for chroma in planes[1:]:
        chroma[top // 2 : -(-bottom // 2), left // 2 : -(-right // 2)] ^= 1
    fields[is_second] = field.with_planes(tuple(planes))

    after = weave_fields(*fields)

    left, top, right, bottom = box_in_frame(box, field)
    for step, before, now in zip((1, 2, 2), frame.planes, after.planes, strict=True):
        rows, columns = np.nonzero(before != now)
        assert rows.size
        assert top // step <= rows.min()
        assert rows.max() < -(-bottom // step)
        assert left // step <= columns.min()
        assert columns.max() < -(-right // step)
        assert set(rows % 2) == {int(is_second)}
    assert bottom <= hw[0]


@pytest.mark.parametrize("location", [0, 1, 2, 3])
def test_a_field_has_the_same_colors_as_its_rows_in_the_frame(location: int) -> None:
    height, width = 48, 16
    color = ColorTags(matrix=6, chroma_location=location)
    ramp = np.arange(height // 2, dtype=np.uint8)[:, None] * 4 + 90
    chroma = np.broadcast_to(ramp, (height // 2, width // 2)).copy()
    luma = np.full((height, width), 128, np.uint8)
    frame = frame_with(hw=(height, width), color=color, planes=(luma, chroma, chroma[::-1].copy()))
    full = region_to_rgb(frame, (0, 0, width, height))

    for parity, field in enumerate(fields_of(frame)):
        field_rgb = region_to_rgb(field, (0, 0, width, height // 2))
        inside = slice(3, -3)
        np.testing.assert_allclose(field_rgb[inside], full[parity::2][inside], atol=1e-3)


def spot(geometry: DisplayGeometry, at_xy: tuple[float, float]) -> Frame:
    height, width = geometry.coded_hw
    y, x = np.mgrid[0:height, 0:width]
    bright = np.exp(-((x - at_xy[0]) ** 2 + (y - at_xy[1]) ** 2) / (2 * 6.0**2))
    plane = np.rint(16 + 200 * bright).astype(np.uint8)
    return frame_with(GRAY, geometry.coded_hw, planes=(plane,), color=ColorTags())


@pytest.mark.parametrize("max_side_px", [200, 61])
@pytest.mark.parametrize(
    "geometry",
    [
        DisplayGeometry(coded_hw=(96, 120)),
        DisplayGeometry(coded_hw=(96, 120), sample_aspect_ratio=Fraction(16, 11)),
        DisplayGeometry(coded_hw=(96, 120), quarter_turns=1),
        DisplayGeometry(coded_hw=(96, 120), quarter_turns=2, mirrored=True),
    ],
)
def test_a_still_scene_has_the_same_position_in_both_fields(
    geometry: DisplayGeometry, max_side_px: int
) -> None:
    at_xy = (51.0, 40.3)
    expected = geometry.coded_to_display() @ np.array([*at_xy, 1.0])

    for field in fields_of(spot(geometry, at_xy)):
        view = preview_rgb(field, geometry.of(field), max_side_px)
        light = view.rgb_hwc[:, :, 0].astype(np.float64)
        light = light - light.min()
        rows, columns = np.mgrid[0 : light.shape[0], 0 : light.shape[1]]
        center = np.array([(light * columns).sum(), (light * rows).sum()]) / light.sum()
        result = view.view_to_display @ np.array([*center, 1.0])
        np.testing.assert_allclose(result, expected, atol=0.12)
        top_left = geometry.of(field).coded_to_display() @ np.array([0.0, 0.0, 1.0])
        position_xy1 = geometry.coded_to_display() @ np.array(
            [0.0, float(field.is_bottom_field), 1.0]
        )
        np.testing.assert_allclose(top_left, position_xy1)
