import os
from pathlib import Path

import numpy as np
import pytest
import torch
from support.faces import example_images
from support.golden import GOLDEN, published

from vidrestore.errors import DeviceError, UnknownModelError, WeightsError
from vidrestore.faces.detection import retinaface_detector
from vidrestore.faces.detection.mtcnn_detector import MtcnnDetector, packaged_mtcnn
from vidrestore.faces.detection.retinaface_detector import RETINAFACE_FILES, RetinaFaceDetector

MOBILE_FILE = RETINAFACE_FILES["retinaface-mobile"][1]


def mobile_weights() -> Path:
    beside = Path(__file__).parents[3].parent / "shared"
    shared = Path(os.environ.get("VIDRESTORE_SHARED", beside))
    path = shared / "data" / "weights" / MOBILE_FILE
    if not path.is_file():
        pytest.skip(f"no {MOBILE_FILE}: set VIDRESTORE_SHARED to the folder of shared data")
    return path


def test_retinaface_and_mtcnn_detect_the_example_face_in_the_same_place() -> None:
    detector = RetinaFaceDetector("retinaface-mobile", mobile_weights())
    picture = example_images()[0]
    ((expected,),) = MtcnnDetector(packaged_mtcnn()).detect([picture])

    detections = detector.detect([picture, np.full_like(picture, 90)])

    assert [len(faces) for faces in detections] == [1, 0]
    face = detections[0][0]
    eyes_px = np.linalg.norm(expected.landmarks_xy[1] - expected.landmarks_xy[0])
    distance = np.linalg.norm(face.landmarks_xy - expected.landmarks_xy, axis=1).mean()
    assert distance < 0.12 * eyes_px
    (again,) = detector.refine(picture, [expected])
    assert again is not None
    assert not detector.has_fast_refine


def drawn_weights(name: str, folder: Path) -> Path:
    """Write a checkpoint of the published form, filled by the rule of tests/golden."""
    size = {"retinaface": "resnet50", "retinaface-mobile": "mobile0.25"}[name]
    network = published.built(published.RETINAFACE, {"network_name": size})
    published.fill(network, "fan_in")
    path = folder / RETINAFACE_FILES[name][1]
    torch.save({f"module.{key}": value for key, value in network.state_dict().items()}, path)
    return path


def test_fixed_random_weights_give_the_stored_detections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # facexlib 0.3.0 gave the numbers: (4, 15), edges of a box, score, five landmarks.
    expected = np.load(GOLDEN / "retinaface_mobile_detections.npy")
    monkeypatch.setattr(retinaface_detector, "MIN_SCORE", 0.7588)
    name = "retinaface-mobile"
    detector = RetinaFaceDetector(name, drawn_weights(name, tmp_path))

    ((*faces,),) = detector.detect(example_images(1))

    result = [(*face.box_xyxy, face.score, *face.landmarks_xy.flat) for face in faces]
    assert len(result) == len(expected) == 4
    result.sort(key=lambda row: -row[4])
    np.testing.assert_allclose(np.array(result), expected, rtol=0, atol=2e-2)


@pytest.mark.slow
def test_detection_that_runs_out_of_memory_is_retried_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "retinaface-mobile"
    detector = RetinaFaceDetector(name, drawn_weights(name, tmp_path))
    network = vars(detector)["_network"]
    search, failures = network.batched_detect_faces, [torch.OutOfMemoryError("out of memory")]

    def short_of_memory(*args: object, **kwargs: object) -> object:
        if failures:
            raise failures.pop()
        return search(*args, **kwargs)

    image = np.zeros((64, 64, 3), dtype=np.uint8)
    expected = detector.detect([image])
    monkeypatch.setattr(network, "batched_detect_faces", short_of_memory)

    assert detector.detect([image]) == expected
    assert not failures
    failures[:] = [torch.OutOfMemoryError("out of memory")] * 2
    with pytest.raises(DeviceError, match="out of memory"):
        detector.detect([image])


def test_loading_the_large_network_prints_nothing(tmp_path: Path) -> None:
    # Any warning fails it, such as torchvision's on how facexlib asks for a ResNet.
    RetinaFaceDetector("retinaface", drawn_weights("retinaface", tmp_path))


def test_an_unknown_name_is_refused_with_the_available_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="retinaface, retinaface-mobile"):
        RetinaFaceDetector("retina", tmp_path / MOBILE_FILE)


def test_a_missing_file_is_never_downloaded(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="file not found"):
        RetinaFaceDetector("retinaface-mobile", tmp_path / MOBILE_FILE)
    assert list(tmp_path.iterdir()) == []


def test_a_retinaface_file_under_another_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    path.write_bytes(b"x")

    with pytest.raises(WeightsError, match=MOBILE_FILE):
        RetinaFaceDetector("retinaface-mobile", path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", ["noise", "other tensors"])
def test_a_checkpoint_that_does_not_fit_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / MOBILE_FILE
    if content == "noise":
        path.write_bytes(b"not a checkpoint at all")
    else:
        torch.save({"module.some.weight": torch.zeros(3)}, path)

    with pytest.raises(WeightsError, match=MOBILE_FILE):
        RetinaFaceDetector("retinaface-mobile", path)
