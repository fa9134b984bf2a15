from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from support.faces import landmarks_at, tracked_frames

from vidrestore.faces.tracking.landmark_smoothing import smooth_tracks
from vidrestore.faces.tracking.local_regression import MAX_WINDOW_FRAMES
from vidrestore.metrics.landmarks import landmark_jitter_px
from vidrestore.types import TrackedFrame


def shaky_track(count: int, *, fps: float = 25.0, seed: int = 0) -> list[TrackedFrame]:
    rng = np.random.default_rng(seed)
    points = landmarks_at((90.0, 80.0))[None] + rng.normal(0, 1.0, (count, 5, 2))
    return tracked_frames(points, fps=fps)


def landmarks_of(frames: list[TrackedFrame]) -> list[np.ndarray]:
    return [frame.faces[0].landmarks_xy for frame in frames]


def test_smoothing_keeps_frames_in_order_and_steadies_landmarks() -> None:
    frames = shaky_track(60)

    out = list(smooth_tracks(frames))

    assert [frame.frame.index for frame in out] == list(range(60))
    before, after = (np.stack(landmarks_of(item)).astype(np.float64) for item in (frames, out))
    assert landmark_jitter_px(after[8:-8]) < landmark_jitter_px(before) / 8


def test_smoothing_changes_only_the_smoothed_landmarks() -> None:
    for before, after in zip(shaky_track(20), smooth_tracks(shaky_track(20)), strict=True):
        (first,), (other,) = before.faces, after.faces
        assert np.array_equal(first.raw_landmarks_xy, other.raw_landmarks_xy)
        assert (first.track_id, first.box_xyxy, first.score) == (
            other.track_id,
            other.box_xyxy,
            other.score,
        )


def test_a_film_trimmed_beyond_the_window_gives_the_same_landmarks() -> None:
    frames = shaky_track(50)
    full = landmarks_of(list(smooth_tracks(frames)))

    for start, end in ((0, 30), (7, 41), (20, 50)):
        part = landmarks_of(list(smooth_tracks(frames[start:end])))
        left = 0 if start == 0 else 5
        right = 0 if end == 50 else 5
        for index in range(start + left, end - right):
            assert np.array_equal(part[index - start], full[index])


def test_tracks_do_not_influence_each_other() -> None:
    one = shaky_track(40, seed=1)
    other = [
        replace(face, track_id=2)
        for frame in tracked_frames(landmarks_at((300.0, 80.0))[None].repeat(40, axis=0))
        for face in frame.faces
    ]
    both = [
        replace(frame, faces=(*frame.faces, extra)) for frame, extra in zip(one, other, strict=True)
    ]

    alone, together = list(smooth_tracks(one)), list(smooth_tracks(both))

    for single, pair in zip(alone, together, strict=True):
        assert np.array_equal(single.faces[0].landmarks_xy, pair.faces[0].landmarks_xy)
        np.testing.assert_allclose(
            pair.faces[1].landmarks_xy, pair.faces[1].raw_landmarks_xy, atol=1e-3
        )


def test_interpolated_faces_weigh_less_than_detected_ones() -> None:
    frames = shaky_track(11)
    wrong = replace(
        frames[6].faces[0],
        raw_landmarks_xy=frames[6].faces[0].raw_landmarks_xy + np.float32(2.0),
    )
    detected, interpolated = list(frames), list(frames)
    detected[6] = replace(frames[6], faces=(wrong,))
    interpolated[6] = replace(frames[6], faces=(replace(wrong, interpolated=True),))

    true = landmarks_of(list(smooth_tracks(frames)))[5]
    detected_error = np.abs(landmarks_of(list(smooth_tracks(detected)))[5] - true).mean()
    interpolated_error = np.abs(landmarks_of(list(smooth_tracks(interpolated)))[5] - true).mean()

    assert interpolated_error < 0.7 * detected_error


@pytest.mark.parametrize("fps", [25.0, 2000.0])
def test_the_number_of_buffered_frames_is_bounded(fps: float) -> None:
    taken = 0

    def film() -> Iterator[TrackedFrame]:
        nonlocal taken
        for frame in shaky_track(80, fps=fps):
            taken += 1
            yield frame

    ahead = [taken - frame.frame.index for frame in smooth_tracks(film())]

    assert max(ahead) <= MAX_WINDOW_FRAMES + 2
