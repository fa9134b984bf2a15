from dataclasses import replace

import numpy as np
from support.faces import landmarks_at, tracked_at, tracked_frames

from vidrestore.faces.selection import face_side_px, select_faces
from vidrestore.types import TrackedFace, TrackedFrame


def face_of(track_id: int, side_px: float, *, wide: bool = False) -> TrackedFace:
    width, height = (side_px, 0.7 * side_px) if wide else (0.7 * side_px, side_px)
    points = landmarks_at((50.0, 50.0)).astype(np.float32)
    return tracked_at(points, track_id=track_id, box_xyxy=(10.0, 10.0, 10.0 + width, 10.0 + height))


def film(*frames: tuple[TrackedFace, ...]) -> list[TrackedFrame]:
    blank = tracked_frames(landmarks_at((8.0, 6.0))[None].repeat(len(frames), axis=0))
    return [replace(frame, faces=faces) for frame, faces in zip(blank, frames, strict=True)]


def selected_ids(frames: list[TrackedFrame]) -> list[tuple[int, ...]]:
    return [
        tuple(face.track_id for face in frame.faces if face.skip_reason is None) for frame in frames
    ]


def test_all_faces_are_selected_by_default() -> None:
    frames = film((face_of(1, 80), face_of(2, 9)))

    assert selected_ids(list(select_faces(frames))) == [(1, 2)]


def test_small_faces_are_skipped_whatever_their_rotation() -> None:
    frames = film((face_of(1, 80), face_of(2, 30), face_of(3, 80, wide=True)))

    assert selected_ids(list(select_faces(frames, min_face_px=50))) == [(1, 3)]


def test_skipped_faces_have_a_reason() -> None:
    (frame,) = select_faces(
        film((face_of(1, 80), face_of(2, 90), face_of(3, 30))), which="largest", min_face_px=50
    )

    assert [face.skip_reason for face in frame.faces] == ["not the largest", None, "too small"]


def test_a_face_about_as_large_as_the_limit_does_not_flicker() -> None:
    sides = [45, 49, 51, 49, 51, 48, 50, 47, 40, 49, 48]

    out = selected_ids(
        list(select_faces(film(*((face_of(1, side),) for side in sides)), min_face_px=50))
    )

    assert out == [(), (), (1,), (1,), (1,), (1,), (1,), (1,), (), (), ()]


def test_the_largest_face_does_not_change_with_every_frame() -> None:
    sizes = [(80, 70), (78, 82), (80, 79), (77, 85), (70, 95), (70, 80), (70, 75)]
    frames = film(*((face_of(1, first), face_of(2, second)) for first, second in sizes))

    out = selected_ids(list(select_faces(frames, which="largest")))

    assert out == [(1,), (1,), (1,), (1,), (2,), (2,), (2,)]


def test_when_the_largest_face_leaves_the_next_largest_is_selected() -> None:
    frames = film((face_of(1, 80), face_of(2, 60)), (face_of(2, 60), face_of(3, 30)), ())

    assert selected_ids(list(select_faces(frames, which="largest"))) == [(1,), (2,), ()]


def test_the_size_of_a_face_is_its_longer_side() -> None:
    assert face_side_px(face_of(1, 64)) == 64
    assert face_side_px(face_of(1, 64, wide=True)) == 64


def test_tracks_that_were_not_requested_are_skipped_with_a_reason() -> None:
    frames = film((face_of(1, 80), face_of(2, 80), face_of(3, 80)))

    (frame,) = select_faces(frames, only_tracks=(2, 7))

    assert [face.skip_reason for face in frame.faces] == ["not asked for", None, "not asked for"]


def test_a_track_requested_alone_keeps_all_its_frames() -> None:
    frames = film(
        *((face_of(1, 60 + 4 * number), face_of(2, 100 - 4 * number)) for number in range(10))
    )

    together = selected_ids(list(select_faces(frames, which="largest", min_face_px=70)))
    alone = selected_ids(
        list(select_faces(frames, which="largest", min_face_px=70, only_tracks={1}))
    )

    assert alone == [tuple(number for number in numbers if number == 1) for numbers in together]
    assert {(1,), ()} == set(alone)
