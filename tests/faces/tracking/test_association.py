import pytest
from support.faces import face_at

from vidrestore.faces.detection.boxes import suppress_contained
from vidrestore.faces.tracking.association import (
    assign_detections,
    intersection_over_union,
    is_duplicate,
    is_plausible_match,
)


def test_crossing_faces_are_paired_at_the_least_total_cost() -> None:
    expected = [face_at((100.0, 100.0)), face_at((130.0, 100.0))]
    seen = [face_at((127.0, 101.0)), face_at((104.0, 99.0))]

    assert assign_detections(expected, seen) == {0: 1, 1: 0}


def test_a_face_too_far_away_is_left_unpaired() -> None:
    expected = [face_at((100.0, 100.0)), face_at((400.0, 100.0))]

    assert assign_detections(expected, [face_at((104.0, 100.0))]) == {0: 0}
    assert assign_detections(expected, []) == {}
    assert assign_detections([], expected) == {}


def test_a_face_of_quite_another_size_is_another_face() -> None:
    assert is_plausible_match(face_at((50.0, 50.0)), face_at((52.0, 50.0), eyes_px=50.0))
    assert not is_plausible_match(face_at((50.0, 50.0)), face_at((50.0, 50.0), eyes_px=80.0))


def test_a_face_inside_another_is_a_duplicate_and_a_neighbour_is_none() -> None:
    face = face_at((100.0, 100.0))

    assert is_duplicate(face, face_at((104.0, 98.0), eyes_px=20.0))
    assert not is_duplicate(face, face_at((170.0, 100.0)))


def test_overlap_is_the_share_of_the_union() -> None:
    face = face_at((100.0, 100.0))
    width = face.box_xyxy[2] - face.box_xyxy[0]

    assert intersection_over_union(face, face) == pytest.approx(1.0)
    half_aside = face_at((100.0 + width / 2, 100.0))
    assert intersection_over_union(face, half_aside) == pytest.approx(1 / 3)
    assert intersection_over_union(face, face_at((500.0, 100.0))) == 0.0


def test_of_faces_that_contain_each_other_the_best_is_kept() -> None:
    good = face_at((100.0, 100.0), score=0.95)
    inside = face_at((102.0, 100.0), eyes_px=20.0, score=0.8)
    around = face_at((100.0, 102.0), eyes_px=70.0, score=0.9)
    apart = face_at((300.0, 100.0), score=0.85)

    assert suppress_contained([inside, apart, around, good]) == [good, apart]
