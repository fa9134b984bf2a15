from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from support.frames import FORMATS, GBR, GRAY, YUV420, YUV420P10, YUV444, random_frame

from vidrestore.media.color.matrices import with_stated_matrix
from vidrestore.media.color.plane_upscale import (
    upscale_planes,
    upscaled_geometry,
)
from vidrestore.media.color.region_rgb import region_to_rgb
from vidrestore.types import ColorTags, DisplayGeometry, Frame, PixelFormat

SIZE_HW = (45, 61)


def rgb(frame: Frame) -> np.ndarray:
    height, width = frame.coded_hw
    return region_to_rgb(frame, (0, 0, width, height))


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("pixel_format", FORMATS, ids=lambda pixel_format: pixel_format.name)
def test_every_pixel_format_is_upscaled_plane_by_plane(
    pixel_format: PixelFormat, scale: int
) -> None:
    frame = random_frame(pixel_format, SIZE_HW)
    large = upscale_planes(frame, scale)

    assert large.coded_hw == (SIZE_HW[0] * scale, SIZE_HW[1] * scale)
    assert large.pixel_format == pixel_format
    assert all(plane.max() <= pixel_format.max_value for plane in large.planes)


def test_a_scale_of_1_returns_the_same_frame() -> None:
    frame = random_frame(YUV420, SIZE_HW)
    assert upscale_planes(frame, 1) is frame


@pytest.mark.parametrize("chroma_location", [0, 1, 2, 3])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_upscaling_does_not_shift_chroma(chroma_location: int, scale: int) -> None:
    frame = random_frame(YUV420P10, (64, 64), color=ColorTags(chroma_location=chroma_location))
    at_x, at_y = np.meshgrid(np.arange(64), np.arange(64))
    luma = (200 + 4 * at_x + 3 * at_y).astype(np.uint16)
    step = 2 * np.arange(32)
    # Chroma follows the same kind of slope, taken where its samples lie.
    off_x, off_y = {2: (0.5, 0.5), 3: (0.0, 0.0)}.get(chroma_location, (0.0, 0.5))
    blue = (300 + 4 * (step[None, :] + off_x) + 2 * (step[:, None] + off_y)).astype(np.uint16)
    frame = frame.with_planes((luma, blue, blue))
    small, large = rgb(frame), rgb(upscale_planes(frame, scale))

    # A slope enlarged about the edges of its samples has the same mean over every old sample.
    height, width = frame.coded_hw
    means = large.reshape(height, scale, width, scale, 3).mean(axis=(1, 3))
    inside = slice(8, -8)
    np.testing.assert_allclose(means[inside, inside], small[inside, inside], atol=2e-3)


def test_pixel_aspect_and_rotation_are_kept() -> None:
    geometry = DisplayGeometry(
        coded_hw=(576, 720), sample_aspect_ratio=Fraction(16, 15), quarter_turns=1, mirrored=True
    )
    large = upscaled_geometry(geometry, 2)

    assert large == replace(geometry, coded_hw=(1152, 1440))
    assert large.display_hw == (2 * 768, 1152)


@pytest.mark.parametrize(("height", "matrix"), [(480, 6), (576, 6), (720, 1)])
def test_an_upscaled_film_without_tags_states_the_matrix_it_was_decoded_with(
    height: int, matrix: int
) -> None:
    color = with_stated_matrix(ColorTags(), YUV444, (height, 640))

    assert color == ColorTags(matrix=matrix)


def test_upscaling_keeps_stated_matrices_and_adds_none_to_gray_and_rgb() -> None:
    tagged = ColorTags(matrix=9)

    assert with_stated_matrix(tagged, YUV444, (480, 640)) == tagged
    assert with_stated_matrix(ColorTags(), GRAY, (480, 640)) == ColorTags()
    assert with_stated_matrix(ColorTags(matrix=0), GBR, (480, 640)) == ColorTags(matrix=0)
