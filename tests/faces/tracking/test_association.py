import pytest
from support.faces import face_at

from vidrestore.faces.detection.boxes import intersection_over_union, suppress_contained
from vidrestore.faces.tracking.association import (
    assign_detections,
    is_duplicate,
    is_plausible_match,
)
from vidrestore.types import Detection


def test_crossing_faces_are_paired_at_the_least_total_cost() -> None:
    predicted = [face_at((100.0, 100.0)), face_at((130.0, 100.0))]
    detected = [face_at((127.0, 101.0)), face_at((104.0, 99.0))]

    assert assign_detections(predicted, detected) == {0: 1, 1: 0}


def test_a_detection_too_far_from_every_track_is_left_unmatched() -> None:
    predicted = [face_at((100.0, 100.0)), face_at((400.0, 100.0))]

    assert assign_detections(predicted, [face_at((104.0, 100.0))]) == {0: 0}
    assert assign_detections(predicted, []) == {}
    assert assign_detections([], predicted) == {}


def test_a_face_of_very_different_size_does_not_match() -> None:
    assert is_plausible_match(face_at((50.0, 50.0)), face_at((52.0, 50.0), eyes_px=50.0))
    assert not is_plausible_match(face_at((50.0, 50.0)), face_at((50.0, 50.0), eyes_px=80.0))


def test_a_face_inside_another_is_a_duplicate_and_one_next_to_it_is_not() -> None:
    face = face_at((100.0, 100.0))

    assert is_duplicate(face, face_at((104.0, 98.0), eyes_px=20.0))
    assert not is_duplicate(face, face_at((170.0, 100.0)))


def iou(first: Detection, second: Detection) -> float:
    return intersection_over_union(first.box_xyxy, second.box_xyxy)


def test_iou_is_the_common_area_over_the_union() -> None:
    face = face_at((100.0, 100.0))
    width = face.box_xyxy[2] - face.box_xyxy[0]

    assert iou(face, face) == pytest.approx(1.0)
    half_aside = face_at((100.0 + width / 2, 100.0))
    assert iou(face, half_aside) == pytest.approx(1 / 3)
    assert iou(face, face_at((500.0, 100.0))) == 0.0


def test_of_overlapping_duplicates_the_face_with_the_best_score_is_kept() -> None:
    good = face_at((100.0, 100.0), score=0.95)
    inside = face_at((102.0, 100.0), eyes_px=20.0, score=0.8)
    around = face_at((100.0, 102.0), eyes_px=70.0, score=0.9)
    apart = face_at((300.0, 100.0), score=0.85)

    assert suppress_contained([inside, apart, around, good]) == [good, apart]
