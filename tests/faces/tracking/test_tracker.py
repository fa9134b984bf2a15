from collections.abc import Iterable, Iterator, Mapping, Sequence

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
from vidrestore.faces.tracking.landmark_smoothing import smooth_tracks
from vidrestore.faces.tracking.shot_detection import WARM_UP_FRAMES
from vidrestore.faces.tracking.tracker import TrackingStart, track_faces
from vidrestore.types import Detection, Frame, RgbView, TrackedFrame

Script = Mapping[int, Sequence[Detection]]


def moving_face(
    index: int, *, start: float = 50.0, speed_px: float = 2.0, y: float = 60.0
) -> Detection:
    return face_at((start + speed_px * index, y), eyes_px=20.0)


def run_tracker(
    script: Script,
    count: int = 40,
    *,
    detector: ScriptedDetector | None = None,
    frames: Iterable[Frame] | None = None,
) -> list[TrackedFrame]:
    films = frames or (numbered_frame(index) for index in range(count))
    films = (with_brighter_faces(frame, script.get(frame.index, ())) for frame in films)
    detector = detector or ScriptedDetector(script)
    return list(track_faces(films, detector=detector, view=plain_view))


def with_brighter_faces(frame: Frame, faces: Sequence[Detection]) -> Frame:
    """Return a numbered frame that changes where a scripted face is."""
    planes = [plane.copy() for plane in frame.planes]
    for left, top, right, bottom in (face.box_xyxy for face in faces):
        for plane in planes:
            part = plane[max(1, round(top)) : round(bottom), max(1, round(left)) : round(right)]
            np.minimum(part, 225, out=part)
            part += 30
    return frame.with_planes(tuple(planes))


def ids(frames: Iterable[TrackedFrame]) -> list[tuple[int, ...]]:
    return [tuple(face.track_id for face in frame.faces) for frame in frames]


def test_every_frame_is_returned_once_and_in_order() -> None:
    script = {index: [moving_face(index)] for index in range(10, 30)}

    assert [frame.frame.index for frame in run_tracker(script)] == list(range(40))


def test_a_face_keeps_its_track_number_between_detections() -> None:
    script = {index: [moving_face(index)] for index in range(60)}
    detector = ScriptedDetector(script)

    out = run_tracker(script, 60, detector=detector)

    assert ids(out) == [(1,)] * 60
    assert len(detector.searches) <= 7
    for index, frame in enumerate(out):
        np.testing.assert_allclose(
            frame.faces[0].landmarks_xy, moving_face(index).landmarks_xy, atol=1e-4
        )


def test_a_face_is_tracked_back_to_the_frame_in_which_it_appears() -> None:
    script = {index: [moving_face(index)] for index in range(13, 40)}

    assert ids(run_tracker(script)) == [()] * 13 + [(1,)] * 27


@pytest.mark.parametrize("fps", [10.0, 25.0, 60.0, 240.0])
@pytest.mark.parametrize("first", [1, 19, 40])
def test_a_face_that_appears_between_two_searches_is_found_in_all_its_frames(
    fps: float, first: int
) -> None:
    script = {index: [face_at((80.0, 60.0))] for index in range(first, 100)}
    detector = ScriptedDetector(script)
    frames = [numbered_frame(index, seconds=index / fps) for index in range(100)]

    out = run_tracker(script, detector=detector, frames=frames)

    assert ids(out) == [()] * first + [(1,)] * (100 - first)


def test_a_face_seen_for_less_than_half_a_second_is_found() -> None:
    script = {index: [face_at((80.0, 60.0))] for index in range(33, 44)}
    out = run_tracker(script, 100)
    assert ids(out) == [()] * 33 + [(1,)] * 11 + [()] * 56


def test_a_shot_change_ends_every_track_and_triggers_detection() -> None:
    script = {index: [face_at((80.0, 60.0), eyes_px=20.0)] for index in range(30)}
    frames = [numbered_frame(index, scene=int(index >= 13)) for index in range(30)]
    detector = ScriptedDetector(script)

    out = run_tracker(script, detector=detector, frames=frames)

    assert [frame.shot for frame in out] == [0] * 13 + [1] * 17
    assert ids(out) == [(1,)] * 13 + [(2,)] * 17
    assert 13 in detector.searches


def test_tracking_restarted_at_a_shot_matches_tracking_the_full_film() -> None:
    script = {
        index: [moving_face(index % 20), moving_face(index % 20, y=20.0)] for index in range(60)
    }
    script[31] = []

    def frames() -> list[Frame]:
        return [numbered_frame(index, scene=index // 20) for index in range(60)]

    def summary(frames: Iterable[TrackedFrame]) -> list[object]:
        return [
            (item.frame.index, item.shot, [(f.track_id, f.box_xyxy, f.score) for f in item.faces])
            for item in frames
        ]

    full = summary(run_tracker(script, frames=frames()))
    for shot, first in ((1, 20), (2, 40)):
        part = track_faces(
            frames()[first - WARM_UP_FRAMES :],
            detector=ScriptedDetector(script),
            view=plain_view,
            start=TrackingStart(frame_index=first, shot=shot, track_id=2 * shot + 1),
        )
        assert summary(part) == full[first:]


def test_a_short_gap_is_interpolated_and_marked() -> None:
    script = {index: [moving_face(index)] for index in range(40) if not 14 <= index < 19}

    out = run_tracker(script)

    assert ids(out) == [(1,)] * 40
    assert [f.frame.index for f in out if f.faces[0].interpolated] == [14, 15, 16, 17, 18]
    for index in range(14, 19):
        expected = moving_face(index).landmarks_xy
        np.testing.assert_allclose(out[index].faces[0].landmarks_xy, expected, atol=1e-3)


def test_after_a_long_gap_a_face_starts_a_new_track() -> None:
    script = {index: [face_at((80.0, 60.0))] for index in range(60) if not 20 <= index < 40}

    out = ids(run_tracker(script, 60))

    assert out[:20] == [(1,)] * 20
    assert out[20:40] == [()] * 20
    assert out[40:] == [(2,)] * 20


def test_a_face_detected_only_once_or_twice_is_dropped() -> None:
    steady = {index: [face_at((40.0, 60.0), eyes_px=20.0)] for index in range(40)}
    glimpse = {index: [face_at((120.0, 60.0), eyes_px=20.0)] for index in (10, 11)}
    script = {index: [*faces, *glimpse.get(index, [])] for index, faces in steady.items()}

    assert ids(run_tracker(script)) == [(1,)] * 40


def test_tracks_with_low_scores_are_dropped() -> None:
    script = {index: [face_at((80.0, 60.0), score=0.6)] for index in range(40)}

    assert ids(run_tracker(script)) == [()] * 40


@pytest.mark.parametrize("count", [1, 2])
def test_a_face_detected_throughout_a_short_shot_is_confirmed(count: int) -> None:
    script = {index: [face_at((80.0, 60.0))] for index in range(count)}

    assert ids(run_tracker(script, count)) == [(1,)] * count


def test_faces_are_tracked_at_one_frame_per_second() -> None:
    script = {index: [face_at((80.0, 60.0))] for index in range(8)}
    frames = [numbered_frame(index, seconds=float(index)) for index in range(8)]

    out = ids(run_tracker(script, frames=frames))

    assert all(len(faces) == 1 for faces in out)


def test_two_faces_that_cross_keep_their_numbers() -> None:
    script = {
        index: [moving_face(index, y=40.0), moving_face(index, start=130.0, speed_px=-2.0, y=85.0)]
        for index in range(40)
    }

    out = run_tracker(script)

    assert ids(out) == [(1, 2)] * 40
    first, second = out[0].faces
    assert out[-1].faces[0].box_xyxy[1] == pytest.approx(first.box_xyxy[1])
    assert out[-1].faces[1].box_xyxy[1] == pytest.approx(second.box_xyxy[1])


def test_two_tracks_of_one_face_are_merged() -> None:
    script = {
        index: [
            moving_face(index, start=30.0),
            moving_face(index, start=max(30.0, 110.0 - 3 * index)),
        ]
        for index in range(60)
    }

    out = ids(run_tracker(script, 60))

    assert max(map(len, out)) == 2
    assert out[-20:] == [out[-1]] * 20
    assert len(out[-1]) == 1


def test_a_track_that_detection_keeps_missing_ends() -> None:
    script = {index: [face_at((80.0, 60.0))] for index in range(100)}
    detector = ScriptedDetector({0: script[0]}, script)

    out = ids(run_tracker({}, 100, detector=detector))

    assert out[0] == (1,)
    assert out[-1] == ()


def test_a_detector_without_fast_refinement_searches_every_frame() -> None:
    script = {index: [moving_face(index)] for index in range(30)}
    detector = ScriptedDetector(script, has_fast_refine=False)

    out = run_tracker(script, 30, detector=detector)

    assert sorted(set(detector.searches)) == list(range(30))
    assert detector.refinements == []
    assert ids(out) == [(1,)] * 30


@pytest.mark.parametrize("fps", [25.0, 1000.0])
def test_the_number_of_buffered_frames_is_bounded(fps: float) -> None:
    taken = 0

    def film() -> Iterator[Frame]:
        nonlocal taken
        for index in range(200):
            taken += 1
            yield numbered_frame(index, seconds=index / fps)

    script = {index: [face_at((80.0, 60.0))] for index in range(200)}
    tracked = track_faces(film(), detector=ScriptedDetector(script), view=plain_view)
    ahead = [taken - frame.frame.index for frame in tracked]

    assert max(ahead) <= 32 + 1 + 2


def test_detection_continues_when_timestamps_jump_back() -> None:
    script = {index: [face_at((80.0, 60.0))] for index in range(60)}
    seconds = [index / 25 + (100 if index < 30 else 0) for index in range(60)]
    frames = [numbered_frame(index, seconds=time) for index, time in enumerate(seconds)]

    out = ids(run_tracker(script, frames=frames))

    assert all(len(faces) == 1 for faces in out)


def test_full_images_are_made_only_for_frames_that_detection_searches() -> None:
    frames = [numbered_frame(index, scene=index // 20) for index in range(40)]
    viewed: list[int] = []

    def view(frame: Frame, max_side_px: int) -> RgbView:
        viewed.append(frame.index)
        return plain_view(frame, max_side_px)

    def thumbnail(frame: Frame) -> NDArray[np.uint8]:
        return np.ascontiguousarray(plain_view(frame, 640).rgb_hwc[::2, ::2, 1])

    script = {index: [moving_face(index)] for index in range(20, 40)}
    out = list(
        track_faces(frames, detector=ScriptedDetector(script), view=view, thumbnail=thumbnail)
    )

    assert [item.shot for item in out] == [0] * 20 + [1] * 20
    assert ids(out) == [()] * 20 + [(1,)] * 20
    assert viewed == [0, *range(20, 40)]


def test_a_film_without_frames_has_no_tracks() -> None:
    assert run_tracker({}, 0) == []


@pytest.fixture(scope="module")
def mtcnn() -> MtcnnDetector:
    return MtcnnDetector(packaged_mtcnn())


def example_frames(*, turns: int = 0) -> list[Frame]:
    return [
        frame_of(np.rot90(picture, turns), index=index, ticks=3600 * index)
        for index, picture in enumerate(example_images())
    ]


def test_the_example_face_is_one_track_through_every_frame(mtcnn: MtcnnDetector) -> None:
    out = list(track_faces(example_frames(), detector=mtcnn, view=plain_view))

    assert ids(out) == [(1,)] * len(out)
    assert {frame.shot for frame in out} == {0}
    assert not any(frame.faces[0].interpolated for frame in out)


def test_a_rotated_film_is_tracked_like_an_upright_one(mtcnn: MtcnnDetector) -> None:
    upright = list(track_faces(example_frames(), detector=mtcnn, view=plain_view))
    turned = list(track_faces(example_frames(turns=1), detector=mtcnn, view=plain_view))

    assert ids(turned) == [(1,)] * len(turned)
    height, width = upright[0].frame.coded_hw
    for before, after in zip(smooth_tracks(upright), smooth_tracks(turned), strict=True):
        x, y = before.faces[0].landmarks_xy.T
        eyes = np.linalg.norm(before.faces[0].landmarks_xy[1] - before.faces[0].landmarks_xy[0])
        expected = np.stack([y, width - 1 - x], axis=1)
        distance = np.linalg.norm(after.faces[0].landmarks_xy - expected, axis=1).mean()
        assert distance < 0.03 * eyes
    assert height < width
