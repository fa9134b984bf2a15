from itertools import repeat

from support.records import make_frame
from support.reviews import review_face, review_frames

from vidrestore.record import FrameRecord
from vidrestore.review.frame_selection import (
    FIRST,
    LAST,
    LEAST_ALIKE,
    TYPICAL,
    candidate_positions,
    sampled_positions,
    shot_views,
)
from vidrestore.review.tracks import Track, read_tracks


def track_with(similarities: list[float | None], strengths: list[float] | None = None) -> Track:
    frames = [
        make_frame(at, faces=(review_face(0, identity_similarity=similar, strength=strength),))
        for at, (similar, strength) in enumerate(
            zip(similarities, strengths or repeat(1.0), strict=False)
        )
    ]
    (track,) = read_tracks(frames).tracks
    return track


def test_the_least_similar_frame_and_a_typical_one_are_chosen() -> None:
    positions = candidate_positions(track_with([0.99, 0.8, 0.3, 0.8, 0.81, 0.8, 0.98]))

    assert positions[FIRST] == 0
    assert positions[LAST] == 6
    assert positions[LEAST_ALIKE] == 2
    assert positions[TYPICAL] in (3, 5)


def test_without_a_similarity_the_middle_of_the_changed_frames_is_typical() -> None:
    track = track_with([None] * 7, [0, 0, 0, 0, 1, 1, 1])

    positions = candidate_positions(track)
    assert positions[TYPICAL] == 5
    assert LEAST_ALIKE not in positions


def test_unrestored_frames_are_not_candidates_for_the_most_changed_one() -> None:
    track = track_with([0.9] * 9, [0, 0, 1, 1, 1, 1, 1, 0, 0])

    assert set(sampled_positions(track)) <= {2, 3, 4, 5, 6}
    assert sampled_positions(track_with([0.9] * 3, [0, 0, 0])).size == 0


def test_a_shot_is_shown_by_a_frame_with_the_most_faces() -> None:
    frames = review_frames(9)
    second = review_face(0, track=2)
    for at in (5, 6, 7):
        frames[at] = FrameRecord(index=at, pts=at, shot=0, faces=(*frames[at].faces, second))

    (view,) = shot_views(read_tracks(frames).tracks, max_shots=9)
    assert (view.frame_index, view.pts, view.tracks) == (6, 6, (1, 2))


def test_shots_with_images_of_faces_come_first() -> None:
    frames = [
        FrameRecord(index=at, pts=at, shot=at, faces=(review_face(0, track=at),)) for at in range(9)
    ]

    views = shot_views(read_tracks(frames).tracks, max_shots=4, preferred={6, 8})
    assert [view.shot for view in views] == [0, 1, 6, 8]
