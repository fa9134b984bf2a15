from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from support.faces import landmarks_at

from vidrestore.faces.tracking.local_regression import smooth_landmarks
from vidrestore.metrics.landmarks import landmark_jitter_px

EYES_PX = 64.0
Points = NDArray[np.float64]


def face_on_path(path_xy: NDArray[np.float64]) -> Points:
    """Return ``(N, 5, 2)`` points of a face that moves along ``(N, 2)``."""
    return landmarks_at((200.0, 150.0), eyes_px=EYES_PX)[None] + path_xy[:, None]


def along_x(times: NDArray[np.float64], path: Callable[[NDArray[np.float64]], object]) -> Points:
    x = np.asarray(path(times), dtype=np.float64) + 0 * times
    return face_on_path(np.stack([x, 0 * x], axis=1))


def noisy(points: Points, *, sigma_px: float = 1.0, seed: int = 0) -> Points:
    return points + np.random.default_rng(seed).normal(0, sigma_px, points.shape)


def smoothed(times: NDArray[np.float64], points: Points) -> Points:
    weights = np.ones(len(times))
    return np.stack(
        [smooth_landmarks(times, points, weights, index=index) for index in range(len(times))]
    )


def seconds(count: int, fps: float = 25.0) -> NDArray[np.float64]:
    return np.arange(count) / fps


def test_jitter_of_a_still_face_falls_to_less_than_an_eighth() -> None:
    times = seconds(250)
    measured = noisy(along_x(times, lambda t: 0))

    inner = slice(10, -10)
    before = landmark_jitter_px(measured[inner])
    after = landmark_jitter_px(smoothed(times, measured)[inner])

    # Second differences of unit noise have a variance of 6 per coordinate.
    assert before == pytest.approx(np.sqrt(6 * np.pi / 2), rel=0.1)
    assert after < before / 8


def test_position_noise_falls_to_less_than_half() -> None:
    times = seconds(250)
    truth = along_x(times, lambda t: 0)

    error = smoothed(times, noisy(truth)) - truth

    assert error[10:-10].std() < 0.45


@pytest.mark.parametrize("px_per_second", [30.0, 200.0, 1000.0])
def test_a_steady_pan_is_followed_without_lag(px_per_second: float) -> None:
    times = seconds(500)
    truth = along_x(times, lambda t: px_per_second * t)

    lag_px = (truth - smoothed(times, noisy(truth)))[10:-10, :, 0].mean()

    assert abs(lag_px) < 0.05 * max(1.0, px_per_second / 25)


def test_steady_motion_without_noise_is_unchanged() -> None:
    times = seconds(60)
    truth = along_x(times, lambda t: 120 * t)

    np.testing.assert_allclose(smoothed(times, truth), truth, atol=0.02)


def test_acceleration_is_followed() -> None:
    times = seconds(100)
    truth = along_x(times, lambda t: 400 * t**2)

    error = (smoothed(times, noisy(truth)) - truth)[10:-10]

    assert abs(error[..., 0].mean()) < 0.5
    assert error.std() < 0.7


@pytest.mark.parametrize("amplitude_px", [3.0, 10.0, 40.0])
def test_a_head_shake_at_two_hertz_is_not_flattened(amplitude_px: float) -> None:
    times = seconds(250)
    shake = amplitude_px * np.sin(2 * np.pi * 2 * times)
    measured = noisy(along_x(times, lambda t: shake))

    out = smoothed(times, measured)[10:-10, :, 0].mean(axis=1)
    wave = shake[10:-10]
    gain = ((out - out.mean()) * wave).sum() / (wave**2).sum()

    assert 0.88 < gain < 1.05


def test_a_sudden_stop_stays_sudden() -> None:
    times = seconds(100)
    truth = along_x(times, lambda t: np.minimum(t, 2.0) * 300)

    error = np.abs(smoothed(times, noisy(truth)) - truth).mean(axis=(1, 2))

    assert error.max() < 5.0  # a plain mean over the window is off by 16 px at the stop
    assert error[:44].mean() < 1.0
    assert error[56:-10].mean() < 1.0


def test_rotation_and_growth_are_followed() -> None:
    times = seconds(100)
    truth = np.stack(
        [
            landmarks_at((200.0, 150.0), eyes_px=EYES_PX * (1 + 0.1 * t), roll=0.3 * np.sin(4 * t))
            for t in times
        ]
    )

    error = (smoothed(times, noisy(truth)) - truth)[10:-10]

    assert error.std() < 0.6


def test_outlying_frames_and_landmarks_are_rejected() -> None:
    times = seconds(120)
    truth = along_x(times, lambda t: 60 * t)
    measured = noisy(truth, sigma_px=0.5)
    outliers = np.arange(10, 110, 13)
    measured[outliers] += 30.0
    measured[outliers + 5, 2] -= 25.0

    error = np.abs(smoothed(times, measured) - truth).mean(axis=(1, 2))

    assert error[outliers].max() < 1.5
    assert error[outliers + 5].max() < 1.0
    assert error[10:-10].mean() < 0.5


def test_a_result_depends_only_on_its_window() -> None:
    times = seconds(80)
    measured = noisy(along_x(times, lambda t: 40 * np.sin(9 * t)))
    measured[35:38] += 20.0
    weights = np.ones(80)
    index = 40

    full = smooth_landmarks(times, measured, weights, index=index)
    for first in range(0, index - 5 + 1):
        for last in (index + 5, index + 9, 79):
            part = slice(first, last + 1)
            cut = smooth_landmarks(times[part], measured[part], weights[part], index=index - first)
            assert np.array_equal(cut, full)


def test_frames_outside_the_window_have_no_influence() -> None:
    times = seconds(41)
    measured = noisy(along_x(times, lambda t: 0))
    other = measured.copy()
    other[:15] += 500.0
    other[26:] -= 500.0

    expected = smooth_landmarks(times, measured, np.ones(41), index=20)
    result = smooth_landmarks(times, other, np.ones(41), index=20)
    assert np.array_equal(result, expected)


def test_motion_is_fitted_over_time_and_not_over_frame_numbers() -> None:
    times = np.cumsum(np.random.default_rng(3).uniform(0.02, 0.06, 120))
    truth = along_x(times, lambda t: 150 * t)

    error = (smoothed(times, noisy(truth)) - truth)[8:-8]

    assert abs(error[..., 0].mean()) < 0.15
    assert error.std() < 0.6


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7])
def test_landmarks_of_short_tracks_stay_near_their_detections(count: int) -> None:
    times = seconds(count)
    measured = noisy(along_x(times, lambda t: 100 * t))

    assert np.abs(smoothed(times, measured) - measured).max() < 4.0


def test_landmarks_at_one_frame_per_second_stay_as_detected() -> None:
    times = np.arange(6.0)
    measured = noisy(along_x(times, lambda t: 90 * t))

    assert np.array_equal(smoothed(times, measured), measured)


def test_shifting_every_input_shifts_the_result_equally() -> None:
    times = seconds(40)
    measured = noisy(along_x(times, lambda t: 30 * np.sin(8 * t)))

    shifted = smoothed(times + 1000.0, measured + np.array([512.0, -64.0]))

    np.testing.assert_allclose(
        shifted - np.array([512.0, -64.0]), smoothed(times, measured), atol=1e-4
    )
