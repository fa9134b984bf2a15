import numpy as np
import pytest
from support.reviews import review_face

from vidrestore.record import FrameRecord
from vidrestore.review.chart_bins import bin_values, track_bins
from vidrestore.review.tracks import Track, read_tracks


def track_of(indexes: list[int]) -> Track:
    frames = [
        FrameRecord(index=at, pts=at, shot=0, faces=(review_face(0),) if at in set(indexes) else ())
        for at in range(max(indexes) + 1)
    ]
    (track,) = read_tracks(frames).tracks
    return track


def test_a_short_track_has_a_bin_for_every_frame() -> None:
    bins = track_bins(track_of([2, 3, 4]), max_bins=10)

    assert bins.frames_per_bin == 1
    assert bins.start.tolist() == [0, 1, 2]


@pytest.mark.parametrize("length", [11, 99, 100, 101])
def test_a_long_track_has_no_more_bins_than_allowed(length: int) -> None:
    assert len(track_bins(track_of(list(range(length))), max_bins=10).start) <= 10


def test_a_bin_keeps_its_peak() -> None:
    track = track_of(list(range(100)))
    values = np.full(100, 0.5, np.float32)
    values[37], values[63] = 0.1, 0.9

    curve = bin_values(values, track_bins(track, max_bins=10))
    assert curve.low.min() == np.float32(0.1)
    assert curve.high.max() == np.float32(0.9)
    assert (curve.low == 0.5).sum() == 9


def test_frames_without_the_face_leave_a_gap() -> None:
    bins = track_bins(track_of([0, 1, 5, 6]), max_bins=10)

    assert bins.number.tolist() == [0, 1, 5, 6]


def test_a_bin_without_values_is_empty_and_one_value_is_enough() -> None:
    track = track_of(list(range(4)))
    values = np.array([np.nan, np.nan, np.nan, 2], np.float32)

    curve = bin_values(values, track_bins(track, max_bins=2))
    assert np.isnan(curve.low[0])
    assert (curve.low[1], curve.high[1]) == (2, 2)
