import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.faces import detect_one_by_one, example_images, face_at

from vidrestore.faces.detection.detector import MIN_FACE_PX
from vidrestore.faces.detection.mtcnn_detector import (
    OUTPUT_THRESHOLD,
    PROPOSAL_THRESHOLD,
    REFINE_THRESHOLD,
    MtcnnDetector,
    packaged_mtcnn,
)
from vidrestore.faces.detection.rotated_search import detect_rotated
from vidrestore.types import Detection

_MIRRORED = [1, 0, 2, 4, 3]


@pytest.fixture(scope="module")
def detector() -> MtcnnDetector:
    return MtcnnDetector(packaged_mtcnn())


def eyes_px(face: Detection) -> float:
    return float(np.linalg.norm(face.landmarks_xy[1] - face.landmarks_xy[0]))


def error_in_eyes(face: Detection, landmarks_xy: NDArray[np.floating]) -> float:
    return float(np.linalg.norm(face.landmarks_xy - landmarks_xy, axis=1).mean()) / eyes_px(face)


def rotate_image(
    image: NDArray[np.uint8], center: NDArray[np.float32], degrees: float
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    affine = cv2.getRotationMatrix2D((float(center[0]), float(center[1])), -degrees, 1.0)
    size = image.shape[1::-1]
    return cv2.warpAffine(image, affine, size, borderValue=(90, 90, 90)), affine


def test_the_only_face_is_detected_with_its_landmarks_in_order(detector: MtcnnDetector) -> None:
    (faces,) = detector.detect([example_images()[0]])

    (face,) = faces
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks_xy
    left, top, right, bottom = face.box_xyxy
    assert face.score > 0.95
    assert left < left_eye[0] < nose[0] < right_eye[0] < right
    assert left_mouth[0] < right_mouth[0]
    assert top < max(left_eye[1], right_eye[1]) < nose[1]
    assert nose[1] < min(left_mouth[1], right_mouth[1]) < bottom


def test_a_batch_gives_the_detections_of_its_single_images(detector: MtcnnDetector) -> None:
    plain, empty = example_images()[0], np.full_like(example_images()[0], 120)
    images = [plain, empty, np.ascontiguousarray(plain[:, ::-1])]

    together = detector.detect(images)
    alone = [detector.detect([image])[0] for image in images]

    assert [len(faces) for faces in together] == [1, 0, 1]
    for batched, single in zip(together, alone, strict=True):
        for first, second in zip(batched, single, strict=True):
            np.testing.assert_allclose(first.box_xyxy, second.box_xyxy, atol=0.02)
            np.testing.assert_allclose(first.landmarks_xy, second.landmarks_xy, atol=0.02)


def test_the_batched_cascade_matches_a_cascade_run_window_by_window(
    detector: MtcnnDetector,
) -> None:
    image = cv2.resize(example_images()[5], (320, 240), interpolation=cv2.INTER_AREA)
    # Two faces of different size, one of them half as large again.
    image = np.hstack([image, cv2.resize(image, (160, 240))[:, ::-1]])

    (detections,) = detector.detect([image])
    with torch.inference_mode():
        expected = detect_one_by_one(
            packaged_mtcnn().eval(),
            image,
            min_face_px=MIN_FACE_PX,
            thresholds=(PROPOSAL_THRESHOLD, REFINE_THRESHOLD, OUTPUT_THRESHOLD),
        )

    assert len(detections) == len(expected) == 2
    for face in detections:
        nearest = min(expected, key=lambda item: error_in_eyes(face, item[2]))
        assert error_in_eyes(face, nearest[2]) < 0.08
        np.testing.assert_allclose(face.box_xyxy, nearest[0], atol=0.25 * eyes_px(face))


def test_a_mirrored_image_gives_mirrored_landmarks(detector: MtcnnDetector) -> None:
    image = example_images()[0]
    ((face,), (mirrored,)) = detector.detect([image, np.ascontiguousarray(image[:, ::-1])])

    back = mirrored.landmarks_xy[_MIRRORED].copy()
    back[:, 0] = image.shape[1] - 1 - back[:, 0]
    assert error_in_eyes(face, back) < 0.03


@pytest.mark.parametrize("face_px", [24, 40, 90])
def test_small_faces_in_a_large_image_are_detected(detector: MtcnnDetector, face_px: int) -> None:
    image = example_images()[0]
    ((face,),) = detector.detect([image])
    scale = face_px / (face.box_xyxy[3] - face.box_xyxy[1])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    view = np.full((360, 640, 3), 110, np.uint8)
    view[30 : 30 + small.shape[0], 70 : 70 + small.shape[1]] = small

    (faces,) = detector.detect([view])

    assert len(faces) == 1
    expected = (face.landmarks_xy + 0.5) * scale - 0.5 + np.array([70, 30])
    assert error_in_eyes(faces[0], expected) < 0.12


def test_faces_are_refined_at_their_predicted_positions(detector: MtcnnDetector) -> None:
    before, after = example_images()[0], example_images()[3]
    ((old,), (new,)) = detector.detect([before, after])
    nowhere = face_at((60.0, 400.0))

    detections = detector.refine(after, [old, nowhere])

    assert detections[0] is not None
    assert error_in_eyes(detections[0], new.landmarks_xy) < 0.03
    assert detections[1] is None


@pytest.mark.parametrize("degrees", [-150.0, -70.0, 35.0, 90.0, 180.0])
def test_a_rotated_face_is_refined_in_its_rotated_position(
    detector: MtcnnDetector, degrees: float
) -> None:
    image = example_images()[0]
    ((upright,),) = detector.detect([image])
    image, affine = rotate_image(image, upright.landmarks_xy.mean(axis=0), degrees)
    expected = upright.mapped(affine)

    (face,) = detector.refine(image, [expected])

    assert face is not None
    assert error_in_eyes(face, expected.landmarks_xy) < 0.08


@pytest.mark.parametrize("scale", [0.5, 1.0], ids=["small", "searched at half its size"])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_rotated_search_detects_faces_lying_on_their_side(
    detector: MtcnnDetector, turns: int, scale: float
) -> None:
    upright = cv2.resize(example_images()[0], None, fx=scale, fy=scale)
    assert (max(upright.shape) >= 480) == (scale == 1.0)
    ((face,),) = detector.detect([upright])
    height, width = upright.shape[:2]
    turned = np.ascontiguousarray(np.rot90(upright, turns))
    x, y = face.landmarks_xy[:, 0], face.landmarks_xy[:, 1]
    expected = {
        1: np.stack([y, width - 1 - x], axis=1),
        2: np.stack([width - 1 - x, height - 1 - y], axis=1),
        3: np.stack([height - 1 - y, x], axis=1),
    }

    detections = detect_rotated(detector, turned)

    assert len(detections) == 1
    assert error_in_eyes(detections[0], expected[turns]) < 0.03


def test_repeated_refinement_does_not_drift(detector: MtcnnDetector) -> None:
    image = example_images()[0]
    ((first,),) = detector.detect([image])

    face = first
    for _ in range(15):
        (again,) = detector.refine(image, [face])
        assert again is not None
        face = again

    assert error_in_eyes(face, first.landmarks_xy) < 0.03
    np.testing.assert_allclose(face.box_xyxy, first.box_xyxy, atol=0.15 * eyes_px(first))


def test_noise_and_tiny_images_have_no_detections(detector: MtcnnDetector) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3)).astype(np.uint8)

    assert detector.detect([noise]) == [()]
    assert detector.detect([noise[:5, :5].copy()]) == [()]
    assert detector.detect([]) == []
    assert detector.refine(noise, []) == []


def test_a_face_predicted_outside_the_image_is_not_detected(detector: MtcnnDetector) -> None:
    assert detector.refine(example_images()[0], [face_at((-900.0, -900.0))]) == [None]


def test_images_of_different_shapes_are_refused(detector: MtcnnDetector) -> None:
    with pytest.raises(ValueError, match="images differ"):
        detector.detect([np.zeros((40, 40, 3), np.uint8), np.zeros((40, 41, 3), np.uint8)])


@pytest.mark.cuda
def test_gpu_and_cpu_detect_the_same_face(detector: MtcnnDetector, cuda: torch.device) -> None:
    image = example_images()[0]
    on_gpu = MtcnnDetector(packaged_mtcnn(), device=cuda)

    ((expected,),) = detector.detect([image])
    ((face,),) = on_gpu.detect([image])
    (again,) = on_gpu.refine(image, [face])

    assert error_in_eyes(face, expected.landmarks_xy) < 0.03
    assert again is not None
