"""Chroma at the resolution of luma, in every siting."""

import numpy as np
import pytest
from numpy.typing import NDArray
from support.frames import random_frame

from vidrestore.media.color.chroma_resampling import chroma_offset_xy
from vidrestore.media.color.pixel_formats import PLANAR
from vidrestore.media.color.region_rgb import region_to_rgb, rgb_of_samples
from vidrestore.types import ColorTags


def linear_weights(
    count: int, *, step: int, offset: float, first: int, last: int
) -> NDArray[np.float64]:
    """Return the weights of ``count`` samples at luma pixels ``first`` to ``last``."""
    places = np.arange(count) * step + offset
    wanted = np.clip(np.arange(first, last), places[0], places[-1])
    return np.clip(1 - np.abs(wanted[:, None] - places[None]) / step, 0, None)


@pytest.mark.parametrize("location", [0, 1, 2, 3])
@pytest.mark.parametrize("name", ["yuv420p", "yuv422p", "yuv440p", "yuv411p", "yuv420p10le"])
def test_chroma_is_interpolated_linearly_between_the_places_of_its_samples(
    name: str, location: int
) -> None:
    pixel_format = PLANAR[name]
    frame = random_frame(pixel_format, (31, 45), color=ColorTags(chroma_location=location))
    left, top, right, bottom = box = (4, 6, 45, 31)
    (offset_x, offset_y), (shift_x, shift_y) = chroma_offset_xy(frame), pixel_format.chroma_shift_xy
    samples = [frame.planes[0][top:bottom, left:right].astype(np.float32)]
    for plane in frame.planes[1:]:
        height, width = plane.shape
        down = linear_weights(height, step=1 << shift_y, offset=offset_y, first=top, last=bottom)
        across = linear_weights(width, step=1 << shift_x, offset=offset_x, first=left, last=right)
        samples.append((down @ plane.astype(np.float64) @ across.T).astype(np.float32))
    expected = np.clip(rgb_of_samples(np.stack(samples, axis=2), frame), 0, 1)
    np.testing.assert_allclose(region_to_rgb(frame, box), expected, atol=1e-6)
