"""The jitter of landmarks."""

import math

import pytest

from vidrestore.types.landmark_jump import landmark_jump_px


def test_even_motion_is_no_jump_and_trembling_is_twice_its_size() -> None:
    assert landmark_jump_px([(0, 0), (5, 5)], [(1, 2), (6, 7)], [(2, 4), (7, 9)]) == 0
    assert landmark_jump_px([(0, 0)], [(3, 4)], [(0, 0)]) == pytest.approx(10)


def test_a_missing_landmark_makes_the_jump_unknown() -> None:
    assert math.isnan(landmark_jump_px([(0, 0)], [(math.nan, math.nan)], [(0, 0)]))
