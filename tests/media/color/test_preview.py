"""Fast small renderings of frames."""

import cv2
import numpy as np
import pytest
from support.frames import FORMATS, GRAY, random_frame

from vidrestore.media.color.matrices import luma_weights
from vidrestore.media.color.pixel_formats import PLANAR
from vidrestore.media.color.preview import preview_luma, preview_rgb
from vidrestore.media.color.region_rgb import region_to_rgb
from vidrestore.types import ColorTags, DisplayGeometry, PixelFormat


@pytest.mark.parametrize("pixel_format", FORMATS, ids=lambda pixel_format: pixel_format.name)
@pytest.mark.parametrize("turns", [0, 1])
def test_the_preview_shows_the_samples_of_the_planes(pixel_format: PixelFormat, turns: int) -> None:
    frame = random_frame(pixel_format, (120, 160), smooth=True, color=ColorTags(matrix=1))
    geometry = DisplayGeometry(coded_hw=(120, 160), quarter_turns=turns)
    view = preview_rgb(frame, geometry, 80)
    exact = np.rot90(region_to_rgb(frame, (0, 0, 160, 120)), k=-turns) * 255
    small = exact.reshape(exact.shape[0] // 2, 2, exact.shape[1] // 2, 2, 3).mean(axis=(1, 3))
    assert view.rgb_hwc.shape == small.shape
    assert np.abs(view.rgb_hwc - small).max() <= 3.0


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "gbrp", "gray"])
@pytest.mark.parametrize("side_px", [400, 320, 240, 160, 107, 40])
def test_previews_of_every_size_show_the_same_picture(name: str, side_px: int) -> None:
    frame = random_frame(PLANAR[name], (240, 480), smooth=True, color=ColorTags(matrix=1))
    view = preview_rgb(frame, DisplayGeometry(coded_hw=(240, 480)), side_px).rgb_hwc
    exact = region_to_rgb(frame, (0, 0, 480, 240)) * 255
    small = cv2.resize(exact, view.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert view.shape[1] == side_px
    assert np.abs(view - small).max() <= 3.0


def test_a_preview_is_never_enlarged() -> None:
    frame = random_frame(GRAY, (20, 30))
    view = preview_rgb(frame, DisplayGeometry(coded_hw=(20, 30)), 640)
    assert view.rgb_hwc.shape == (20, 30, 3)
    np.testing.assert_allclose(view.view_to_display, np.eye(2, 3))


@pytest.mark.parametrize("name", ["yuv420p", "yuvj420p", "yuv422p10le", "gbrp", "gray", "gray12le"])
@pytest.mark.parametrize("side_px", [400, 240, 160, 40])
def test_small_luma_is_that_of_the_frame_from_black_to_white(name: str, side_px: int) -> None:
    is_full = name == "yuvj420p"
    color = ColorTags(matrix=1, full_range=is_full)
    pixel_format = PLANAR[name.replace("j", "")]
    frame = random_frame(pixel_format, (240, 400), smooth=True, color=color)
    exact = region_to_rgb(frame, (0, 0, 400, 240)) @ luma_weights(color, (240, 400)) * 255
    luma = preview_luma(frame, side_px)
    small = cv2.resize(exact, luma.shape[::-1], interpolation=cv2.INTER_AREA)
    assert luma.shape[1] == side_px
    # OpenCV's gray of RGB has the weights of BT.601.
    assert np.abs(luma - small).max() <= (30.0 if name == "gbrp" else 3.0)
