"""Temporal metrics see what trembles and do not mind what moves."""

import numpy as np
import pytest
import torch

from vidrestore.metrics.landmarks import landmark_distance_px, landmark_jitter_px
from vidrestore.metrics.temporal import (
    flicker,
    flow_difference_px,
    flow_px,
    identity_jitter_degrees,
    warping_error,
)


def texture(shift_px: int = 0) -> np.ndarray:
    y, x = np.mgrid[0:96, 0:128]
    x = x - shift_px
    waves = 0.5 + 0.2 * np.sin(x / 5.0) * np.cos(y / 7.0) + 0.2 * np.sin((x + 2 * y) / 11.0)
    return np.repeat(waves[:, :, None], 3, axis=2).astype(np.float32)


def moving(frames: int = 4) -> list[np.ndarray]:
    return [texture(2 * index) for index in range(frames)]


def frames_with_noise(sigma: float) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        np.clip(frame + rng.normal(0, sigma, frame.shape), 0, 1).astype(np.float32)
        for frame in moving()
    ]


def test_the_flow_equals_the_motion() -> None:
    flow = flow_px(texture(0), texture(2))
    inner = flow[20:-20, 20:-20]
    assert float(np.median(inner[:, :, 0])) == pytest.approx(2.0, abs=0.2)
    assert float(np.median(inner[:, :, 1])) == pytest.approx(0.0, abs=0.2)


def test_motion_alone_has_a_small_warping_error_and_noise_a_large_one() -> None:
    steady = warping_error(moving(), moving())
    slight, heavy = (warping_error(frames_with_noise(sigma), moving()) for sigma in (0.02, 0.08))
    assert steady < 1.0
    assert steady + 2 < slight < heavy


def test_flicker_is_the_mean_change_of_brightness_absent_from_the_reference() -> None:
    flickering = [frame + 0.02 * (index % 2) for index, frame in enumerate(moving())]
    assert flicker(moving(), moving()) == pytest.approx(0.0)
    assert flicker(flickering, moving()) == pytest.approx(0.02 * 255, rel=1e-3)


def test_an_embedding_that_turns_ten_degrees_a_frame_has_a_jitter_of_ten_degrees() -> None:
    angles = torch.deg2rad(torch.arange(0.0, 60.0, 10.0))
    result = identity_jitter_degrees(torch.stack([angles.cos(), angles.sin()], dim=1))
    assert result == pytest.approx(10.0, abs=1e-3)


def points(frames: int = 6) -> np.ndarray:
    base = np.arange(10.0).reshape(5, 2)
    return np.stack([base + 3.0 * index for index in range(frames)])


def test_steady_motion_and_a_constant_error_are_not_jitter() -> None:
    assert landmark_jitter_px(points()) == pytest.approx(0.0)
    assert landmark_jitter_px(points() + 4.0, points()) == pytest.approx(0.0)
    assert landmark_distance_px(points() + np.array([3.0, 4.0]), points()) == pytest.approx(5.0)


def test_jitter_is_the_change_of_the_error_in_pixels() -> None:
    trembling_points = points()
    trembling_points[::2, :, 0] += 1.5
    assert landmark_jitter_px(trembling_points, points()) == pytest.approx(1.5)
    assert landmark_jitter_px(trembling_points) == pytest.approx(3.0)


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="2 frames"):
        landmark_jitter_px(points(1), points(1))
    with pytest.raises(ValueError, match="two frames"):
        warping_error(moving(1), moving(1))
    with pytest.raises(ValueError, match="two frames"):
        identity_jitter_degrees(torch.ones(1, 4))


def test_tof_is_the_motion_absent_from_the_reference() -> None:
    assert flow_difference_px(moving(), moving()) == 0
    still = [texture()] * 4
    assert flow_difference_px(still, moving()) == pytest.approx(2.0, abs=0.3)
    assert 0 < flow_difference_px(frames_with_noise(0.05), moving()) < 1
    with pytest.raises(ValueError, match="two frames"):
        flow_difference_px(moving(1), moving(1))
