"""Planes to RGB and back."""

import numpy as np
import pytest
from support.frames import (
    FORMATS,
    GBR,
    GRAY,
    GRAY16,
    YUV420,
    YUV444,
    random_frame,
)

from vidrestore.errors import MediaError
from vidrestore.media.color.matrices import color_matrix
from vidrestore.media.color.pixel_formats import PLANAR
from vidrestore.media.color.preview import preview_rgb
from vidrestore.media.color.region_rgb import (
    add_rgb_change,
    aligned_box,
    region_sdr_rgb,
    region_to_rgb,
)
from vidrestore.types import ColorTags, DisplayGeometry, Frame, PixelFormat


def changed_planes(
    frame: Frame, box: tuple[int, int, int, int], change: np.ndarray, *, keep_chroma: bool = False
) -> list[np.ndarray]:
    planes = [np.array(plane) for plane in frame.planes]
    add_rgb_change(planes, frame, box, change.astype(np.float32), keep_chroma=keep_chroma)
    return planes


@pytest.mark.parametrize("pixel_format", FORMATS, ids=lambda pixel_format: pixel_format.name)
def test_writing_back_unchanged_rgb_keeps_every_sample(pixel_format: PixelFormat) -> None:
    frame = random_frame(pixel_format, (36, 52))
    box = aligned_box(frame, (7.3, 5.0, 41.0, 29.9))
    assert box is not None
    zero = np.zeros((box[3] - box[1], box[2] - box[0], 3))
    for before, after in zip(frame.planes, changed_planes(frame, box, zero), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("pixel_format", FORMATS, ids=lambda pixel_format: pixel_format.name)
def test_a_change_in_rgb_appears_in_the_planes(pixel_format: PixelFormat) -> None:
    frame = random_frame(pixel_format, (64, 64), smooth=True, color=ColorTags(matrix=1))
    box = (0, 0, 64, 64)
    shift = (0.1, 0.1, 0.1) if pixel_format.model == "gray" else (0.1, -0.05, 0.03)
    change = np.broadcast_to(np.array(shift), (64, 64, 3))
    after = frame.with_planes(tuple(changed_planes(frame, box, change)))
    change_rgb = region_to_rgb(after, box) - region_to_rgb(frame, box)
    np.testing.assert_allclose(change_rgb, change, atol=2.5 / 255)


@pytest.mark.parametrize("pixel_format", FORMATS, ids=lambda pixel_format: pixel_format.name)
def test_a_change_stays_inside_its_box(pixel_format: PixelFormat) -> None:
    frame = random_frame(pixel_format, (40, 40))
    box = (8, 12, 24, 28)
    after = changed_planes(frame, box, np.full((16, 16, 3), (0.3, 0.1, -0.2)))
    for index, (before, plane) in enumerate(zip(frame.planes, after, strict=True)):
        height, width = pixel_format.plane_hw(index, (40, 40))
        inside = np.zeros((height, width), dtype=bool)
        left, right = 8 * width // 40, 24 * width // 40
        inside[12 * height // 40 : 28 * height // 40, left:right] = True
        np.testing.assert_array_equal(plane[~inside], before[~inside])
        if index < 3:
            assert (plane[inside] != before[inside]).any()
        else:
            np.testing.assert_array_equal(plane, before)


@pytest.mark.parametrize("pixel_format", FORMATS, ids=lambda pixel_format: pixel_format.name)
def test_chroma_is_unchanged_when_only_luma_is_written(pixel_format: PixelFormat) -> None:
    frame = random_frame(pixel_format, (32, 32))
    change = np.broadcast_to(np.array([0.2, -0.1, 0.05]), (32, 32, 3))
    after = changed_planes(frame, (0, 0, 32, 32), change, keep_chroma=True)
    assert (after[0] != frame.planes[0]).any()
    if pixel_format.model == "yuv":
        np.testing.assert_array_equal(after[1], frame.planes[1])
        np.testing.assert_array_equal(after[2], frame.planes[2])
    elif pixel_format.model == "rgb":
        steps = [after[index].astype(int) - frame.planes[index] for index in range(3)]
        np.testing.assert_array_equal(steps[0], steps[1])
        np.testing.assert_array_equal(steps[0], steps[2])


@pytest.mark.parametrize(
    ("color", "sample", "rgb"),
    [
        (ColorTags(matrix=6), (16, 128, 128), (0, 0, 0)),
        (ColorTags(matrix=6), (235, 128, 128), (1, 1, 1)),
        (ColorTags(matrix=6, full_range=True), (255, 128, 128), (1, 1, 1)),
        # Pure red: Y = 16 + 219 Kr, Cr at its top (BT.601-7, BT.709-6, BT.2020-2).
        (ColorTags(matrix=6), (81, 90, 240), (1, 0, 0)),
        (ColorTags(matrix=1), (63, 102, 240), (1, 0, 0)),
        (ColorTags(matrix=9), (74, 97, 240), (1, 0, 0)),
        (ColorTags(matrix=1), (32, 240, 118), (0, 0, 1)),
    ],
)
def test_reference_samples_have_their_published_colors(
    color: ColorTags, sample: tuple[int, int, int], rgb: tuple[int, int, int]
) -> None:
    planes = tuple(np.full((4, 4), value, dtype=np.uint8) for value in sample)
    frame = random_frame(YUV444, (4, 4), color=color).with_planes(planes)
    change_rgb = region_to_rgb(frame, (0, 0, 4, 4))
    np.testing.assert_allclose(change_rgb, np.broadcast_to(rgb, (4, 4, 3)), atol=0.012)


def test_an_unspecified_matrix_is_bt601_for_small_and_bt709_for_large_frames() -> None:
    def coding(matrix: int, height: int) -> np.ndarray:
        return color_matrix(YUV420, ColorTags(matrix=matrix), (height, 720)).to_rgb

    np.testing.assert_array_equal(coding(2, 576), coding(6, 576))
    np.testing.assert_array_equal(coding(2, 720), coding(1, 720))


def test_an_unknown_matrix_is_refused_by_name() -> None:
    with pytest.raises(MediaError, match="matrix 14"):
        color_matrix(YUV420, ColorTags(matrix=14), (576, 720))


@pytest.mark.parametrize("location", [0, 1, 2, 3])
def test_a_color_ramp_stays_linear_for_every_chroma_siting(location: int) -> None:
    # A ramp in x sampled at the chroma positions must come back as the same ramp.
    offset = 0.5 if location == 2 else 0.0
    chroma = np.rint(100 + 2.0 * (2 * np.arange(16) + offset)).astype(np.uint8)
    planes = (
        np.full((32, 32), 128, np.uint8),
        np.full((16, 16), 128, np.uint8),
        np.tile(chroma, (16, 1)),
    )
    color = ColorTags(matrix=6, full_range=True, chroma_location=location)
    frame = random_frame(YUV420, (32, 32), color=color).with_planes(planes)
    red = region_to_rgb(frame, (4, 4, 28, 28))[:, :, 0] * 255
    expected = 128 + 1.402 * (100 + 2.0 * np.arange(4, 28) - 128)
    np.testing.assert_allclose(red, np.tile(expected, (24, 1)), atol=1.6)


def test_a_region_equals_its_part_of_the_full_frame() -> None:
    frame = random_frame(YUV420, (48, 64))
    full = region_to_rgb(frame, (0, 0, 64, 48))
    part = region_to_rgb(frame, (10, 12, 40, 36))
    np.testing.assert_allclose(part, full[12:36, 10:40], atol=1 / 255)


def test_aligned_boxes_reach_the_edges_of_odd_sizes() -> None:
    frame = random_frame(YUV420, (31, 45))
    assert aligned_box(frame, (-5.0, -5.0, 100.0, 100.0)) == (0, 0, 45, 31)
    assert region_to_rgb(frame, (0, 0, 45, 31)).shape == (31, 45, 3)
    assert aligned_box(frame, (50.0, 0.0, 60.0, 10.0)) is None


MATRICES_AND_CURVES = [
    (1, 1, 1),
    (6, 6, 6),
    (5, 5, 4),
    (2, 2, 2),
    (9, 9, 14),
    (9, 9, 16),
    (9, 9, 18),
]
RANGES = [False, True]


def midtone_frame(pixel_format: PixelFormat, color: ColorTags) -> Frame:
    """Return a frame of mid-tones in every curve, 30 to 70 cd/m2 in PQ, of little color."""
    frame = random_frame(pixel_format, (48, 64), color=color, smooth=True)
    top = pixel_format.max_value
    planes = [np.array(plane) for plane in frame.planes]
    for index in range(1 if pixel_format.model == "gray" else 3):
        is_chroma = pixel_format.model == "yuv" and index > 0
        middle, reach = (0.5, 0.3) if is_chroma else (0.42, 0.2)
        calm = top * middle + reach * (frame.planes[index] - 0.5 * top)
        planes[index] = np.rint(calm).astype(planes[index].dtype)
    return frame.with_planes(tuple(planes))


def tags(matrix: int, primaries: int, transfer: int, full_range: bool) -> ColorTags:
    return ColorTags(
        matrix=matrix,
        primaries=primaries,
        transfer=transfer,
        full_range=full_range,
        range_known=True,
    )


@pytest.mark.parametrize("full_range", RANGES, ids=["limited", "full"])
@pytest.mark.parametrize("codes", MATRICES_AND_CURVES, ids=str)
def test_unchanged_samples_are_exact_in_every_pixel_format(
    codes: tuple[int, int, int], full_range: bool
) -> None:
    color = tags(*codes, full_range)
    box = (0, 0, 21, 19)
    for pixel_format in PLANAR.values():
        rng = np.random.default_rng(4)
        wild = random_frame(pixel_format, (19, 21), color=color)
        dtype = wild.planes[0].dtype
        planes = [
            rng.integers(0, pixel_format.max_value + 1, plane.shape).astype(dtype)
            for plane in wild.planes
        ]
        frame = wild.with_planes(tuple(planes))
        for keep_chroma in (False, True):
            after = changed_planes(frame, box, np.zeros((19, 21, 3)), keep_chroma=keep_chroma)
            for before, plane in zip(planes, after, strict=True):
                np.testing.assert_array_equal(plane, before, err_msg=pixel_format.name)


@pytest.mark.parametrize("full_range", RANGES, ids=["limited", "full"])
@pytest.mark.parametrize("codes", MATRICES_AND_CURVES, ids=str)
def test_a_change_appears_in_every_pixel_format(
    codes: tuple[int, int, int], full_range: bool
) -> None:
    color = tags(*codes, full_range)
    box = (0, 0, 64, 48)
    for pixel_format in PLANAR.values():
        frame = midtone_frame(pixel_format, color)
        slope = np.mgrid[0:48, 0:64][1][:, :, None] / 64
        tint = (1.0, 1.0, 1.0) if pixel_format.model == "gray" else (1.0, -0.5, 0.4)
        change = (0.05 * slope * np.array(tint)).astype(np.float32)
        before = region_sdr_rgb(frame, box)
        after = region_sdr_rgb(frame.with_planes(tuple(changed_planes(frame, box, change))), box)
        change_rgb = (after - before)[4:-4, 8:-8]
        exact = ((before > 0.2) & (before < 0.85))[4:-4, 8:-8].all(axis=2)
        assert exact.mean() > 0.7, pixel_format.name
        # Half a step of a plane is at most this much of the view; HDR's steps are wider.
        step = 2.5 / (1 << min(pixel_format.bit_depth, 10)) * (4.0 if codes[1] == 9 else 1.0)
        error = np.abs(change_rgb - change[4:-4, 8:-8])[exact]
        assert error.max() < step + 0.004, pixel_format.name
        assert error.mean() < (step + 0.004) / 3, pixel_format.name


@pytest.mark.parametrize("codes", MATRICES_AND_CURVES, ids=str)
def test_a_change_of_luma_alone_keeps_the_chroma_of_every_format(
    codes: tuple[int, int, int],
) -> None:
    color = tags(*codes, False)
    change = np.full((24, 32, 3), (0.1, 0.05, -0.02))
    for pixel_format in PLANAR.values():
        frame = random_frame(pixel_format, (24, 32), color=color)
        after = changed_planes(frame, (0, 0, 32, 24), change, keep_chroma=True)
        assert (after[0] != frame.planes[0]).any(), pixel_format.name
        if pixel_format.model == "yuv":
            np.testing.assert_array_equal(after[1], frame.planes[1])
            np.testing.assert_array_equal(after[2], frame.planes[2])
        if pixel_format.has_alpha:
            np.testing.assert_array_equal(after[-1], frame.planes[-1])


@pytest.mark.parametrize(
    "pixel_format", [GRAY, GRAY16, GBR], ids=lambda pixel_format: pixel_format.name
)
def test_limited_range_gray_and_rgb_are_converted_to_full_range(
    pixel_format: PixelFormat,
) -> None:
    unit = 1 << (pixel_format.bit_depth - 8)
    frame = random_frame(pixel_format, (16, 32), color=ColorTags(range_known=True))
    half = np.repeat([[16 * unit, 235 * unit]], 16, axis=1).repeat(16, axis=0)
    planes = tuple(half.astype(plane.dtype) for plane in frame.planes)
    frame = frame.with_planes(planes)
    expected = np.repeat([0.0, 1.0], 16)[None, :, None]
    np.testing.assert_allclose(
        region_to_rgb(frame, (0, 0, 32, 16)), expected * np.ones((16, 32, 3)), atol=1e-6
    )
    view = preview_rgb(frame, DisplayGeometry(coded_hw=(16, 32)), 32)
    np.testing.assert_array_equal(view.rgb_hwc, 255 * expected * np.ones((16, 32, 3)))


@pytest.mark.parametrize("transfer", [14, 16, 18])
def test_detectors_and_restorers_see_the_same_sdr_view_of_hdr(transfer: int) -> None:
    color = tags(9, 9, transfer, False)
    # Nothing is averaged: 4:4:4 in its own size.
    frame = random_frame(PLANAR["yuv444p10le"], (96, 128), smooth=True, color=color)
    small = preview_rgb(frame, DisplayGeometry(coded_hw=(96, 128)), 128).rgb_hwc
    exact = region_sdr_rgb(frame, (0, 0, 128, 96)) * 255
    assert np.abs(small - exact).max() <= 0.51
