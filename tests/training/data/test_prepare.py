"""Photographs become a training set: aligned, measured, the unfit dropped with a reason."""

import csv
import tarfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.faces import example_pictures

from vidrestore.errors import ConfigError
from vidrestore.faces.config import DetectorConfig
from vidrestore.faces.mtcnn import MtcnnDetector, embedded_mtcnn
from vidrestore.faces.template import TEMPLATE_POINTS_XY
from vidrestore.training.data.components import component_boxes
from vidrestore.training.data.faces import aligned_faces, has_table, read_table
from vidrestore.training.data.prepare import PrepareConfig, judged, prepare
from vidrestore.training.data.quality import outside_share, spectral_px, turned_share
from vidrestore.training.data.stores import pictures_under, read_bytes, read_picture

DETECTOR = MtcnnDetector(embedded_mtcnn(), device=torch.device("cpu"), config=DetectorConfig())
CONFIG = PrepareConfig(least_px=96)


def photograph() -> NDArray[np.uint8]:
    return example_pictures(1)[0]


def save(path: Path, picture: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.ascontiguousarray(picture[:, :, ::-1]))


def enlarged(picture: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def textured(side: int = 512, seed: int = 0) -> NDArray[np.uint8]:
    """Return a picture whose power falls with the square of frequency, as in photographs."""
    rng = np.random.default_rng(seed)
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    spectrum = np.fft.rfft2(rng.normal(size=(side, side))) / np.maximum(radius, 1 / side) ** 1.25
    field = np.fft.irfft2(spectrum)
    grey = np.clip(127 + 45 * (field - field.mean()) / field.std(), 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def test_a_folder_becomes_a_table_that_training_reads(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "a.png", photograph())
    save(tmp_path / "photos" / "deep" / "b.png", np.full((200, 200, 3), 90, np.uint8))
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "photos" / "notes.txt").write_text("not looked at")

    def classes(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.full(crop.shape[:2], 7, np.uint8)

    report = prepare(
        tmp_path / "photos", tmp_path / "set", detector=DETECTOR, config=CONFIG, parser=classes
    )

    assert (report.pictures, report.kept) == (3, 1)
    assert report.dropped == {"no face": 1, "unreadable": 1}
    assert has_table(tmp_path / "set")
    (row,) = read_table(tmp_path / "set")
    (face,) = aligned_faces([row], share=1.0, least_px=96)
    assert face.shape[0] % 32 == 0
    assert face.std() > 20
    assert row.mask is not None
    assert set(np.unique(read_picture(row.mask))) == {7}
    with (tmp_path / "set" / "faces.tsv").open() as file:
        (cells,) = csv.DictReader(file, delimiter="\t")
    assert cells["source"] == "a.png"
    box = [float(cells[f"mouth_{side}"]) for side in ("x0", "y0", "x1", "y1")]
    assert box[0] < row.points_xy[3, 0] < row.points_xy[4, 0] < box[2]


def test_the_tile_lies_on_the_template(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "a.png", photograph())
    prepare(tmp_path / "photos", tmp_path / "set", detector=DETECTOR, config=CONFIG)
    (row,) = read_table(tmp_path / "set")
    scale = read_picture(row.picture).shape[0] / 512
    away = np.linalg.norm(row.points_xy - TEMPLATE_POINTS_XY * scale, axis=1).mean()
    assert away < 12 * scale


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_is_as_good_as_a_folder(tmp_path: Path, kind: str) -> None:
    save(tmp_path / "a.png", photograph())
    archive = tmp_path / f"photos.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as packed:
            packed.write(tmp_path / "a.png", "inner/a.png")
    else:
        with tarfile.open(archive, "w") as packed:
            packed.add(tmp_path / "a.png", "inner/a.png")
    assert [path.name for path in pictures_under(archive)] == ["a.png"]
    report = prepare(archive, tmp_path / "set", detector=DETECTOR, config=CONFIG)
    assert report.kept == 1


def test_a_table_is_read_from_an_archive(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "a.png", photograph())
    prepare(tmp_path / "photos", tmp_path / "set", detector=DETECTOR, config=CONFIG)
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in (tmp_path / "set").iterdir():
            packed.write(path, path.name)
    (inside,), (outside,) = read_table(archive), read_table(tmp_path / "set")
    np.testing.assert_array_equal(read_picture(inside.picture), read_picture(outside.picture))
    with pytest.raises(ConfigError, match="not in the archive"):
        read_bytes(archive / "other.png")


def test_an_enlarged_photograph_is_recognised(tmp_path: Path) -> None:
    for factor in (1.0, 2.5):
        save(tmp_path / "photos" / f"{factor}.png", enlarged(photograph(), factor))
    prepare(tmp_path / "photos", tmp_path / "set", detector=DETECTOR, config=CONFIG)
    with (tmp_path / "set" / "faces.tsv").open() as file:
        plain, large = csv.DictReader(file, delimiter="\t")
    assert float(large["native_px"]) > 2 * float(plain["native_px"])
    assert float(large["eff_res512"]) < 1.5 * float(plain["native_px"])


@pytest.mark.parametrize("side", [160, 256, 384])
def test_the_spectrum_tells_how_much_was_enlarged(side: int) -> None:
    whole = textured()
    small = cv2.resize(whole, (side, side), interpolation=cv2.INTER_AREA)
    back = cv2.resize(small, (512, 512), interpolation=cv2.INTER_CUBIC)
    assert spectral_px(whole) > 480
    assert spectral_px(back) == pytest.approx(side, rel=0.35)


@pytest.mark.parametrize(
    ("reason", "spoil"),
    [
        ("too small", lambda p, xy: (cv2.resize(p, None, fx=0.25, fy=0.25), xy / 4)),
        ("too blurred", lambda p, xy: (cv2.GaussianBlur(p, (0, 0), 6.0), xy)),
        ("overexposed", lambda p, xy: (np.clip(p * 6.0, 0, 255).astype(np.uint8), xy)),
        ("too dark", lambda p, xy: (p // 40, xy)),
        ("cut by the border", lambda p, xy: (p[:, int(xy[0, 0]) :], xy - (int(xy[0, 0]), 0))),
        ("turned too far", lambda p, xy: (p, np.vstack([xy[:2], xy[0] + (0, 30), xy[3:]]))),
    ],
)
def test_the_unfit_are_dropped_for_what_is_wrong_with_them(reason: str, spoil) -> None:
    (found,) = DETECTOR.detect([photograph()])
    points = found[0].points_xy.astype(np.float64)
    kept, face = judged(photograph(), points, CONFIG)
    assert (kept, face is not None) == ("", True)
    assert judged(*spoil(photograph(), points), CONFIG) == (reason, None)


def test_a_frontal_face_is_not_turned_and_lies_inside() -> None:
    assert turned_share(TEMPLATE_POINTS_XY) < 0.03
    assert outside_share(TEMPLATE_POINTS_XY, (512, 512)) == pytest.approx(0.0, abs=1e-9)
    assert outside_share(TEMPLATE_POINTS_XY, (512, 256)) == pytest.approx(0.5, abs=0.02)


def test_boxes_are_as_big_as_those_that_components_are_trained_with() -> None:
    boxes = component_boxes(TEMPLATE_POINTS_XY)
    sides = boxes[:, 2] - boxes[:, 0]
    np.testing.assert_allclose(sides, [80, 80, 120], atol=4)
    np.testing.assert_allclose((boxes[0, :2] + boxes[0, 2:]) / 2, TEMPLATE_POINTS_XY[0])


def test_a_full_target_and_an_empty_source_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    with pytest.raises(ConfigError, match="not an empty folder"):
        prepare(tmp_path / "empty", tmp_path / "full", detector=DETECTOR, config=CONFIG)
    with pytest.raises(ConfigError, match="holds no pictures"):
        prepare(tmp_path / "empty", tmp_path / "new", detector=DETECTOR, config=CONFIG)
    with pytest.raises(ConfigError, match="neither a folder nor"):
        prepare(tmp_path / "none", tmp_path / "other", detector=DETECTOR, config=CONFIG)
