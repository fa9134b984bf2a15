import numpy as np
import pytest
from support.records import make_frame
from support.reviews import review_face, review_frames, shifted_points

from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.record import FrameRecord
from vidrestore.review.tracks import Track, jitter_px, read_tracks


def only_track(frames: list[FrameRecord]) -> Track:
    (track,) = read_tracks(frames).tracks
    return track


def without_face(frame: FrameRecord) -> FrameRecord:
    return FrameRecord(index=frame.index, pts=frame.pts, shot=frame.shot)


def test_every_frame_of_a_track_is_kept_with_its_values() -> None:
    track = only_track(review_frames(4))

    assert track.frame_index.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(track.similarity, [0.9, 0.89, 0.88, 0.87], rtol=1e-6)
    np.testing.assert_allclose(track.side_px, 40)


def test_unmeasured_values_are_nan() -> None:
    face = review_face(0, identity_similarity=None, luma_after=None)
    track = only_track([FrameRecord(index=0, pts=0, shot=0, faces=(face,))])

    assert np.isnan(track.similarity).all()
    assert np.isnan(track.flicker_after).all()


def test_frames_faces_and_shots_are_counted() -> None:
    alone = review_face(2, track=4, mask_xyxy=None, strength=0.0, reason="too small")
    frames = [*review_frames(2), FrameRecord(index=2, pts=2, shot=1, faces=(alone,))]

    film = read_tracks(frames)
    assert (film.frames, film.faces, film.changed_faces, film.shots) == (3, 3, 2, 2)
    assert [(track.number, track.shot) for track in film.tracks] == [(1, 0), (4, 1)]


def test_reasons_are_counted_and_their_number_is_bounded() -> None:
    faces = [review_face(0, reason=f"reason {min(number, 30)}") for number in range(60)]
    frames = [make_frame(at, faces=(face,)) for at, face in enumerate(faces)]

    reasons = only_track(frames).reasons
    assert len(reasons) <= 13
    assert sum(reasons.values()) == 60
    assert list(reasons.values()) == sorted(reasons.values(), reverse=True)


def test_a_face_in_uniform_motion_has_no_jitter() -> None:
    frames = [
        make_frame(at, faces=(review_face(0, points_xy=shifted_points(3.0 * at)),))
        for at in range(5)
    ]

    np.testing.assert_allclose(only_track(frames).jitter_after_px[1:-1], 0, atol=1e-4)


def test_trembling_landmarks_have_jitter_before_smoothing_and_not_after() -> None:
    track = only_track(review_frames(6))

    assert np.isnan(track.jitter_before_px[[0, -1]]).all()
    assert (track.jitter_before_px[1:-1] > 5).all()
    np.testing.assert_allclose(track.jitter_after_px[1:-1], 0, atol=1e-4)


@pytest.mark.parametrize("size", [0.25, 1.0, 3.0])
def test_jitter_is_in_pixels_of_the_crop_whatever_the_size_of_the_face(size: float) -> None:
    def face_at(x_in_crop: float):
        points = (TEMPLATE_LANDMARKS_XY + np.array([x_in_crop, 0])) * size
        return review_face(0, points_xy=tuple(map(tuple, points.tolist())))

    jump = jitter_px(face_at(0), face_at(4), face_at(0), smoothed=True)
    assert jump == pytest.approx(8, rel=1e-3)  # 0 - 2 * 4 + 0


def test_jitter_and_flicker_stop_at_a_gap() -> None:
    frames = review_frames(7)
    frames[3] = without_face(frames[3])

    track = only_track(frames)
    assert track.frame_index.tolist() == [0, 1, 2, 4, 5, 6]
    assert np.isnan(track.jitter_after_px).tolist() == [True, False, True, True, False, True]
    assert np.isnan(track.flicker_before).tolist() == [True, False, False, True, False, False]


def test_an_interpolated_face_does_not_count_for_the_detector() -> None:
    frames = review_frames(7)
    bridged = review_face(3, interpolated=True)
    frames[3] = FrameRecord(index=3, pts=3, shot=0, faces=(bridged,))

    track = only_track(frames)
    assert np.isfinite(track.jitter_after_px[1:-1]).all()
    assert np.isnan(track.jitter_before_px[2:5]).all()
    assert np.isfinite(track.jitter_before_px[[1, 5]]).all()


def test_flicker_is_the_change_of_luma() -> None:
    track = only_track(review_frames(3))

    np.testing.assert_allclose(track.flicker_before[1:], 1)
    np.testing.assert_allclose(track.flicker_after[1:], 0)
