"""Specks of dust: which are found, and what they are filled with."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.repair.specks import fill_levels, find_dust
from vidrestore.types import FloatArray

HW = (48, 64)


def texture(seed: int = 0) -> FloatArray:
    """Return a smooth picture, ``(H, W)`` in levels."""
    coarse = np.random.default_rng(seed).uniform(80, 120, (4, 6)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, HW[::-1], interpolation=cv2.INTER_CUBIC))


def spot(levels: float, x: int = 30, y: int = 20, radius: float = 2.0) -> NDArray[np.float32]:
    rows, columns = np.mgrid[: HW[0], : HW[1]].astype(np.float32)
    inside = np.hypot(columns - x, rows - y) <= radius
    return levels * np.asarray(cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 0.7))


def test_a_speck_that_the_neighbors_do_not_have_is_dust() -> None:
    picture = texture()

    for levels in (-40, 40):
        mask, count = find_dust(picture + spot(levels), picture, picture)
        assert count == 1
        assert mask[20, 30]
        assert np.count_nonzero(mask) < 60


def test_what_moves_past_a_smooth_place_is_no_dust() -> None:
    """The motion is wrong: both neighbors show the same thing there, and the frame does not."""
    picture = texture()
    other = picture + spot(22, radius=4.0)

    mask, count = find_dust(picture, other, other)

    assert count == 0
    assert not mask.any()


def test_a_highlight_that_becomes_brighter_stays() -> None:
    """As in an eye, for one frame."""
    picture = texture()
    before, after = picture + spot(25), picture + spot(20)

    assert find_dust(picture + spot(50), before, after)[1] == 0


def test_a_fill_is_as_bright_as_the_frame_around_it() -> None:
    picture = texture()
    mask = spot(1.0) > 0.1

    filled = fill_levels(picture + 4 + spot(60), picture, mask)

    assert np.abs(filled - (picture + 4))[mask].max() < 0.5


def test_where_dust_covers_everything_around_the_neighbors_are_the_fill() -> None:
    picture = texture()
    mask = np.ones(HW, dtype=np.bool_)

    assert np.array_equal(fill_levels(picture + 50, picture, mask), picture)
