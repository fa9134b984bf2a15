"""Photographs become a training set: aligned, measured, the unfit dropped with a reason."""

import csv
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from support.faces import example_images

from vidrestore.errors import ConfigError
from vidrestore.faces.detection.mtcnn_detector import MtcnnDetector, packaged_mtcnn
from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.safeguard.checks import yaw_ratio
from vidrestore.training.data.archives import list_images, read_bytes, read_image, read_labels
from vidrestore.training.data.component_boxes import component_boxes
from vidrestore.training.data.face_table import has_table, iter_aligned_faces, read_table
from vidrestore.training.data.preparation.label_sources import labels_from_images
from vidrestore.training.data.preparation.photo_checks import outside_ratio, spectral_px
from vidrestore.training.data.preparation.photo_faces import (
    AlignedPhoto,
    PrepareConfig,
    check_face,
)
from vidrestore.training.data.preparation.prepare_faces import prepare_faces
from vidrestore.training.data.preparation.prepared_folder import PrepareReport
from vidrestore.types import Detection

DETECTOR = MtcnnDetector(packaged_mtcnn(), device=torch.device("cpu"))
CONFIG = PrepareConfig(min_px=96)
Change: TypeAlias = Callable[[Detection, NDArray[np.uint8]], Detection | None]


def unchanged(face: Detection, _picture: NDArray[np.uint8]) -> Detection | None:
    return face


def photograph() -> NDArray[np.uint8]:
    return example_images(1)[0]


def save(path: Path, image: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.ascontiguousarray(image[:, :, ::-1]))


def enlarged(image: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def textured(side: int = 512, seed: int = 0) -> NDArray[np.uint8]:
    """Return an image whose power falls with the square of frequency, as in photographs."""
    rng = np.random.default_rng(seed)
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    spectrum = np.fft.rfft2(rng.normal(size=(side, side))) / np.maximum(radius, 1 / side) ** 1.25
    field = np.fft.irfft2(spectrum)
    gray = np.clip(127 + 45 * (field - field.mean()) / field.std(), 0, 255).astype(np.uint8)
    return np.repeat(gray[:, :, None], 3, axis=2)


def test_a_prepared_folder_is_read_by_training(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "a.png", photograph())
    save(tmp_path / "photos" / "deep" / "b.png", np.full((200, 200, 3), 90, np.uint8))
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no image")
    (tmp_path / "photos" / "notes.txt").write_text("not looked at")

    def labels(origin: str, face: AlignedPhoto) -> NDArray[np.uint8]:
        assert origin == "a.png"
        return np.full(face.crop_hwc.shape[:2], 7, np.uint8)

    report = prepare_faces(
        tmp_path / "photos", tmp_path / "set", detector=DETECTOR, config=CONFIG, labels=labels
    )

    assert (report.images, report.kept) == (3, 1)
    assert report.dropped == {"no face": 1, "unreadable": 1}
    assert has_table(tmp_path / "set")
    (row,) = read_table(tmp_path / "set")
    (face,) = iter_aligned_faces([row], min_px=96)
    assert face.shape[0] % 32 == 0
    assert face.std() > 20
    assert row.labels_path is not None
    assert set(np.unique(read_image(row.labels_path))) == {7}
    with (tmp_path / "set" / "faces.tsv").open() as file:
        (cells,) = csv.DictReader(file, delimiter="\t")
    assert cells["source"] == "a.png"
    box = [float(cells[f"mouth_{side}"]) for side in ("x0", "y0", "x1", "y1")]
    assert box[0] < row.points_xy[3, 0] < row.points_xy[4, 0] < box[2]


def test_the_face_is_aligned_with_the_template(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "a.png", photograph())
    prepare_faces(tmp_path / "photos", tmp_path / "set", detector=DETECTOR, config=CONFIG)
    (row,) = read_table(tmp_path / "set")
    scale = read_image(row.image_path).shape[0] / 512
    away = np.linalg.norm(row.points_xy - TEMPLATE_LANDMARKS_XY * scale, axis=1).mean()
    assert away < 12 * scale


def test_masks_of_photographs_are_aligned_with_the_largest_face(tmp_path: Path) -> None:
    photo = photograph()
    beside = cv2.copyMakeBorder(photo, 0, 0, 0, photo.shape[1], cv2.BORDER_CONSTANT)
    small = cv2.resize(photo, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    beside[: small.shape[0], photo.shape[1] :][:, : small.shape[1]] = small
    save(tmp_path / "photos" / "deep" / "a.png", beside)
    # The largest face's classes follow its brightness, so that they can be told from any other's.
    classes = np.where(photo.mean(axis=2) > 127, 1, 13).astype(np.uint8)
    mask = Image.fromarray(
        cv2.copyMakeBorder(classes, 0, 0, 0, photo.shape[1], cv2.BORDER_CONSTANT, value=(18,))
    )
    mask.putpalette([(37 * index) % 256 for index in range(57)])
    (tmp_path / "masks" / "deep").mkdir(parents=True)
    mask.save(tmp_path / "masks" / "deep" / "a.png")

    report = prepare_faces(
        tmp_path / "photos",
        tmp_path / "set",
        detector=DETECTOR,
        config=PrepareConfig(min_px=96, largest_only=True),
        labels=labels_from_images(tmp_path / "masks"),
    )

    assert (report.kept, report.dropped) == (1, {"not the largest face": 1})
    (row,) = read_table(tmp_path / "set")
    assert row.labels_path is not None
    aligned, face = read_labels(row.labels_path), read_image(row.image_path).mean(axis=2)
    assert aligned.shape == face.shape
    inner = slice(face.shape[0] // 4, 3 * face.shape[0] // 4)
    skin = aligned[inner, inner] == 1
    assert 0.05 < skin.mean() < 0.95
    assert ((face[inner, inner] > 127) == skin).mean() > 0.97


def test_a_mask_that_is_missing_or_of_another_size_or_in_color_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "a.jpg", photograph())

    def labeled() -> None:
        prepare_faces(
            tmp_path / "photos",
            tmp_path / "set",
            detector=DETECTOR,
            config=CONFIG,
            labels=labels_from_images(tmp_path / "masks"),
        )
        raise AssertionError("was not refused")

    for content, message in [
        (None, "not readable"),
        (np.zeros((9, 9), np.uint8), "9 x 9, but the photograph is"),
        (np.zeros((*photograph().shape[:2], 3), np.uint8), "expected a label image"),
    ]:
        if content is not None:
            (tmp_path / "masks").mkdir(exist_ok=True)
            assert cv2.imwrite(str(tmp_path / "masks" / "a.png"), content)
        with pytest.raises(ConfigError, match=message):
            labeled()
        shutil.rmtree(tmp_path / "set")


class Doubtful:
    """The detector, with a change to what it finds at first and to what it sees when it looks."""

    has_fast_refine = True

    def __init__(self, *, finds: Change = unchanged, sees: Change = unchanged) -> None:
        self._finds, self._sees = finds, sees

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[tuple[Detection, ...]]:
        (faces,) = DETECTOR.detect(images)
        changed = [self._finds(face, images[0]) for face in faces]
        return [tuple(face for face in changed if face is not None)]

    def refine(
        self, image: NDArray[np.uint8], predictions: Sequence[Detection]
    ) -> list[Detection | None]:
        refined = DETECTOR.refine(image, predictions)
        return [None if face is None else self._sees(face, image) for face in refined]


def test_a_face_that_fills_the_image_is_detected(tmp_path: Path) -> None:
    def only_far_from_edges(face: Detection, image: NDArray[np.uint8]) -> Detection | None:
        """As real detectors do it, if not always."""
        height, width = image.shape[:2]
        x0, y0, x1, y1 = face.box_xyxy
        return face if min(x0, y0, width - x1, height - y1) > 60 else None

    save(tmp_path / "photos" / "a.png", photograph())
    shy = Doubtful(finds=only_far_from_edges)
    report = prepare_faces(tmp_path / "photos", tmp_path / "set", detector=shy, config=CONFIG)
    assert (report.kept, report.dropped) == (1, {})
    (row,) = read_table(tmp_path / "set")
    scale = read_image(row.image_path).shape[0] / 512
    away = np.linalg.norm(row.points_xy - TEMPLATE_LANDMARKS_XY * scale, axis=1).mean()
    assert away < 12 * scale


def test_detections_that_a_second_check_rejects_are_excluded(tmp_path: Path) -> None:
    def less_sure(face: Detection, _picture: NDArray[np.uint8]) -> Detection | None:
        return replace(face, score=0.68)

    save(tmp_path / "photos" / "a.png", photograph())
    report = prepare_faces(
        tmp_path / "photos", tmp_path / "set", detector=Doubtful(sees=less_sure), config=CONFIG
    )
    assert (report.kept, report.dropped) == (0, {"no face": 1})


def test_black_hair_and_a_dark_background_do_not_count_as_a_dark_face() -> None:
    (faces,) = DETECTOR.detect([photograph()])
    points = faces[0].landmarks_xy.astype(np.float64)
    around = photograph().copy()
    inside = np.zeros(around.shape[:2], np.uint8)
    middle = points.mean(axis=0)
    hull = cv2.convexHull((middle + (points - middle) * 1.3).astype(np.int32))
    cv2.fillConvexPoly(inside, hull, (1,))
    around[inside == 0] = 0
    config = PrepareConfig(min_px=32, max_clipped_ratio=0.05)
    assert check_face(around, points, config)[0] == ""


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_gives_the_faces_of_its_folder(tmp_path: Path, kind: str) -> None:
    save(tmp_path / "a.png", photograph())
    archive = tmp_path / f"photos.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as packed:
            packed.write(tmp_path / "a.png", "inner/a.png")
    else:
        with tarfile.open(archive, "w") as packed:
            packed.add(tmp_path / "a.png", "inner/a.png")
    assert [path.name for path in list_images(archive)] == ["a.png"]
    report = prepare_faces(archive, tmp_path / "set", detector=DETECTOR, config=CONFIG)
    assert report.kept == 1


def test_a_table_is_read_from_an_archive(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "a.png", photograph())
    prepare_faces(tmp_path / "photos", tmp_path / "set", detector=DETECTOR, config=CONFIG)
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in (tmp_path / "set").iterdir():
            packed.write(path, path.name)
    (inside,), (outside,) = read_table(archive), read_table(tmp_path / "set")
    np.testing.assert_array_equal(read_image(inside.image_path), read_image(outside.image_path))
    with pytest.raises(ConfigError, match="not in the archive"):
        read_bytes(archive / "other.png")


def test_an_enlarged_photograph_is_recognized(tmp_path: Path) -> None:
    for factor in (1.0, 2.5):
        save(tmp_path / "photos" / f"{factor}.png", enlarged(photograph(), factor))
    prepare_faces(tmp_path / "photos", tmp_path / "set", detector=DETECTOR, config=CONFIG)
    with (tmp_path / "set" / "faces.tsv").open() as file:
        plain, large = csv.DictReader(file, delimiter="\t")
    assert float(large["native_px"]) > 2 * float(plain["native_px"])
    assert float(large["eff_res512"]) < 1.5 * float(plain["native_px"])


@pytest.mark.parametrize("side", [160, 256, 384])
def test_the_spectrum_gives_the_factor_of_enlargement(side: int) -> None:
    sharp = textured()
    small = cv2.resize(sharp, (side, side), interpolation=cv2.INTER_AREA)
    back = cv2.resize(small, (512, 512), interpolation=cv2.INTER_CUBIC)
    assert spectral_px(sharp) > 480
    assert spectral_px(back) == pytest.approx(side, rel=0.35)


@pytest.mark.parametrize(
    ("reason", "spoil"),
    [
        ("too small", lambda p, xy: (cv2.resize(p, None, fx=0.25, fy=0.25), xy / 4)),
        ("too blurred", lambda p, xy: (cv2.GaussianBlur(p, (0, 0), 6.0), xy)),
        ("overexposed", lambda p, xy: (np.clip(p * 6.0, 0, 255).astype(np.uint8), xy)),
        ("too dark", lambda p, xy: (p // 40, xy)),
        ("cut off by the border", lambda p, xy: (p[:, int(xy[0, 0]) :], xy - (int(xy[0, 0]), 0))),
        ("profile view", lambda p, xy: (p, np.vstack([xy[:2], xy[0] + (0, 30), xy[3:]]))),
    ],
)
def test_unsuitable_faces_are_dropped_with_the_reason(reason: str, spoil) -> None:
    (faces,) = DETECTOR.detect([photograph()])
    points = faces[0].landmarks_xy.astype(np.float64)
    frontal = replace(CONFIG, max_yaw_ratio=0.33)
    kept, face = check_face(photograph(), points, frontal)
    assert (kept, face is not None) == ("", True)
    assert check_face(*spoil(photograph(), points), frontal) == (reason, None)


def test_faces_beyond_45_degrees_are_kept_unless_a_limit_is_given() -> None:
    """MMRB is trained on poses of all kinds."""
    (faces,) = DETECTOR.detect([photograph()])
    profile = faces[0].landmarks_xy.astype(np.float64)
    profile[:, 0] = profile[2, 0] - (profile[2, 0] - profile[:, 0].min()) * 0.3
    profile[2, 0] += 25
    assert yaw_ratio(profile) > 1
    kept, face = check_face(photograph(), profile, CONFIG)
    assert (kept, face is not None) == ("", True)
    frontal = replace(CONFIG, max_yaw_ratio=0.35)
    assert check_face(photograph(), profile, frontal) == ("profile view", None)


def test_a_frontal_face_has_no_yaw_and_lies_inside_the_image() -> None:
    assert yaw_ratio(TEMPLATE_LANDMARKS_XY) < 0.03
    assert outside_ratio(TEMPLATE_LANDMARKS_XY, (512, 512)) == pytest.approx(0.0, abs=1e-9)
    assert outside_ratio(TEMPLATE_LANDMARKS_XY, (512, 256)) == pytest.approx(0.5, abs=0.02)


def test_boxes_have_the_sizes_that_component_losses_use() -> None:
    boxes = component_boxes(TEMPLATE_LANDMARKS_XY)
    sides = boxes[:, 2] - boxes[:, 0]
    np.testing.assert_allclose(sides, [80, 80, 120], atol=4)
    np.testing.assert_allclose((boxes[0, :2] + boxes[0, 2:]) / 2, TEMPLATE_LANDMARKS_XY[0])


def test_a_nonempty_output_folder_and_an_empty_source_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    with pytest.raises(ConfigError, match="not empty; choose an empty one"):
        prepare_faces(tmp_path / "empty", tmp_path / "full", detector=DETECTOR, config=CONFIG)
    with pytest.raises(ConfigError, match="holds no images"):
        prepare_faces(tmp_path / "empty", tmp_path / "new", detector=DETECTOR, config=CONFIG)
    with pytest.raises(ConfigError, match="neither a folder nor"):
        prepare_faces(tmp_path / "none", tmp_path / "other", detector=DETECTOR, config=CONFIG)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "prepared.json"
    }


def test_two_processes_write_the_files_of_one_and_an_interrupted_call_resumes(
    tmp_path: Path,
) -> None:
    photos = tmp_path / "photos"
    for index in range(4):
        save(photos / f"{index}.png", np.roll(photograph(), 3 * index, axis=1))
    save(photos / "empty.png", np.full((200, 200, 3), 90, np.uint8))

    def prepare(name: str, **options: Any) -> PrepareReport:
        return prepare_faces(photos, tmp_path / name, detector=DETECTOR, config=CONFIG, **options)

    one_process = prepare("one")
    assert (one_process.images, one_process.kept, one_process.dropped) == (5, 4, {"no face": 1})
    assert prepare("two", processes=2) == one_process
    assert files_of(tmp_path / "two") == files_of(tmp_path / "one")

    def stop(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare("resumed", on_image=stop)
    assert len(read_table(tmp_path / "resumed")) == 2
    with (tmp_path / "resumed" / "prepared.jsonl").open("a") as log:
        log.write('{"source": "2.p')  # killed while it wrote a line
    done: list[int] = []
    assert prepare("resumed", on_image=done.append) == one_process
    assert done == [1, 2, 3]
    assert files_of(tmp_path / "resumed") == files_of(tmp_path / "one")
    with pytest.raises(ConfigError, match="prepared from another source or with other settings"):
        prepare_faces(
            photos, tmp_path / "one", detector=DETECTOR, config=replace(CONFIG, min_px=128)
        )
