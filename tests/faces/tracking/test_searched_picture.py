"""Searches of pictures without faces: left out while nothing changes, and no later than before."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from support.faces import (
    ScriptedDetector,
    example_images,
    face_at,
    frame_of,
    numbered_frame,
    plain_view,
)

from vidrestore.faces.detection.mtcnn_detector import MtcnnDetector, packaged_mtcnn
from vidrestore.faces.tracking.searched_picture import SearchedPicture
from vidrestore.faces.tracking.shot_detection import WARM_UP_FRAMES
from vidrestore.faces.tracking.tracker import TrackingStart, track_faces
from vidrestore.types import Frame

Rgb = NDArray[np.uint8]
_HW = (180, 320)
_SHOWN = range(33, 46)


def searched_frames(frames: Sequence[Frame], *, start: TrackingStart | None = None) -> list[int]:
    """Return the frames in which a detector that finds nothing searches."""
    detector = ScriptedDetector({})
    list(track_faces(frames, detector=detector, view=plain_view, start=start))
    return upright_searches(detector)


def upright_searches(detector: ScriptedDetector) -> list[int]:
    # A turned image has another sample where the number of a frame is.
    return sorted({index for index in detector.searches if index < 1000})


def noisy(rgb: Rgb, *, sigma: float, seed: int) -> Rgb:
    rng = np.random.default_rng(seed)
    return np.clip(rgb + rng.normal(0, sigma, rgb.shape), 0, 255).astype(np.uint8)


def scene(shift_px: int = 0) -> Rgb:
    """Return a part of a wide picture without faces."""
    coarse = np.random.default_rng(7).integers(30, 220, (10, 60, 3)).astype(np.uint8)
    wide = cv2.resize(coarse, (1920, _HW[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(wide[:, shift_px : shift_px + _HW[1]], dtype=np.uint8)


def with_face(rgb: Rgb, side_px: int, opacity: float) -> Rgb:
    """Return a picture with the example's face near its left top corner."""
    face = cv2.resize(example_images(1)[0][40:212, 150:322], (side_px, side_px))
    mixed = rgb.astype(np.float32)
    part = mixed[20 : 20 + side_px, 30 : 30 + side_px]
    part += opacity * (face - part)
    return mixed.round().astype(np.uint8)


def test_searches_of_an_unchanged_picture_become_rare() -> None:
    searched = searched_frames([numbered_frame(index) for index in range(500)])
    seconds = np.diff(searched) / 25
    np.testing.assert_allclose(seconds[:4], [0.8, 1.6, 3.2, 4.0], atol=0.5)
    assert max(seconds) < 4.5
    assert len(searched) <= 7


def test_noise_is_no_change_and_a_moving_picture_is_searched_as_often_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images: dict[str, Callable[[int], Rgb]] = {
        "noise": lambda index: noisy(scene(), sigma=2.5, seed=index),
        "motion": lambda index: scene(3 * index),
    }

    def search_counts() -> dict[str, int]:
        counts: dict[str, int] = {}
        for name, image in images.items():
            detector = ScriptedDetector({})
            frames = [
                frame_of(image(index), index=index, ticks=3600 * index) for index in range(90)
            ]
            list(track_faces(frames, detector=detector, view=plain_view))
            counts[name] = len(detector.searches)
        return counts

    now = search_counts()
    monkeypatch.setattr(SearchedPicture, "rules_out", lambda *_, **__: False)
    always = search_counts()
    assert now["motion"] == always["motion"]
    assert now["noise"] <= always["noise"] / 2


def test_a_slow_change_adds_up() -> None:
    picture, flat = SearchedPicture(0.4), np.full((90, 160), 100, dtype=np.uint8)
    picture.add_search(flat, 0.0, with_rotated=True)
    assert picture.rules_out(flat + np.uint8(2), 0.4, rotated_due=False)
    picture.add_search(flat + np.uint8(3), 0.8, with_rotated=False)
    assert picture.rules_out(flat + np.uint8(3), 1.2, rotated_due=True)
    assert not picture.rules_out(flat + np.uint8(4), 1.2, rotated_due=False)


def test_a_small_change_anywhere_is_one() -> None:
    picture, flat = SearchedPicture(0.4), np.full((90, 160), 100, dtype=np.uint8)
    picture.add_search(flat, 0.0, with_rotated=True)
    for top, left in ((0, 0), (0, 154), (84, 0), (84, 154), (40, 71)):
        changed = flat.copy()
        changed[top : top + 6, left : left + 6] += 5
        assert not picture.rules_out(changed, 0.4, rotated_due=False)


def test_a_picture_that_was_not_searched_on_its_side_is_searched_when_that_is_due() -> None:
    picture, flat = SearchedPicture(0.4), np.full((90, 160), 100, dtype=np.uint8)
    picture.add_search(flat, 0.0, with_rotated=False)
    assert picture.rules_out(flat, 0.4, rotated_due=False)
    assert not picture.rules_out(flat, 0.4, rotated_due=True)
    picture.add_search(flat, 0.8, with_rotated=True)
    assert picture.rules_out(flat, 1.2, rotated_due=True)
    picture.forget()
    assert not picture.rules_out(flat, 1.2, rotated_due=False)


def test_searches_do_not_depend_on_where_tracking_starts() -> None:
    frames = [numbered_frame(index, scene=index // 50) for index in range(150)]
    full = searched_frames(frames)
    assert {0, 50, 100} < set(full)
    assert len(full) == 6
    for shot, first in ((1, 50), (2, 100)):
        start = TrackingStart(frame_index=first, shot=shot)
        part = searched_frames(frames[first - WARM_UP_FRAMES :], start=start)
        assert part == [index for index in full if index >= first]


def test_after_a_face_left_an_unchanged_picture_is_searched_again() -> None:
    shown = {index: [face_at((80.0, 60.0))] for index in range(20)}
    detector = ScriptedDetector(shown)
    frames = [numbered_frame(index) for index in range(100)]
    list(track_faces(frames, detector=detector, view=plain_view))
    after = [index for index in upright_searches(detector) if index >= 20]
    # While the face may come back, as before; then at intervals that double.
    assert np.diff(after)[0] <= 11
    assert max(np.diff(after)) > 30


@pytest.fixture(scope="module")
def mtcnn() -> MtcnnDetector:
    return MtcnnDetector(packaged_mtcnn())


def frames_with_face(
    shift_px: int, side_px: int, opacity: Callable[[int], float], count: int = 75
) -> list[Frame]:
    return [
        frame_of(
            with_face(noisy(scene(shift_px * index), sigma=2, seed=index), side_px, opacity(index)),
            index=index,
            ticks=3600 * index,
        )
        for index in range(count)
    ]


def frames_where_found(frames: Sequence[Frame], detector: MtcnnDetector) -> list[int]:
    tracked = track_faces(frames, detector=detector, view=plain_view)
    return [item.frame.index for item in tracked if item.faces]


@pytest.mark.parametrize("shift_px", [0, 3], ids=["static", "moving"])
@pytest.mark.parametrize("side_px", [48, 110])
def test_a_face_seen_for_half_a_second_is_found_in_all_its_frames(
    mtcnn: MtcnnDetector, shift_px: int, side_px: int
) -> None:
    frames = frames_with_face(shift_px, side_px, lambda index: float(index in _SHOWN))
    assert frames_where_found(frames, mtcnn) == [*_SHOWN]


def test_a_face_that_fades_in_slowly_is_found_as_soon_as_by_searching_always(
    mtcnn: MtcnnDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = frames_with_face(0, 60, lambda index: min(1.0, index / 100), count=100)
    found = frames_where_found(frames, mtcnn)
    monkeypatch.setattr(SearchedPicture, "rules_out", lambda *_, **__: False)
    assert found[0] <= frames_where_found(frames, mtcnn)[0] + 2
    assert found == [*range(found[0], 100)]
