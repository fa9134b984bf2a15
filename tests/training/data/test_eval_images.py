"""Aligned faces to measure on: in folders and archives, with and without a table."""

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vidrestore.errors import ConfigError
from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.training.data.eval_images import read_eval_images
from vidrestore.training.data.face_table import POINT_COLUMNS


def write_face(path: Path, *, side: int = 512, blue: int = 0) -> None:
    ramp = np.linspace(0, 255, side).astype(np.uint8)
    bgr = np.stack(
        [np.full((side, side), blue), np.tile(ramp, (side, 1)), ramp[:, None] * np.ones(side)], 2
    )
    cv2.imwrite(str(path), bgr.astype(np.uint8))


def test_images_are_read_in_the_order_of_their_names_as_rgb(tmp_path: Path) -> None:
    for index, name in enumerate(("b.png", "a.png")):
        write_face(tmp_path / name, blue=100 * index)
    (tmp_path / "notes.txt").write_text("no image")
    (first, image), (second, other) = read_eval_images(tmp_path)
    assert (first, second) == ("a.png", "b.png")
    assert image.shape == (3, 512, 512)
    assert float(image[2].mean()) == pytest.approx(100 / 255)
    assert float(other[2].mean()) == 0
    assert (float(image.min()), float(image.max())) == (0, 1)


def test_an_archive_gives_the_images_of_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    folder.mkdir()
    write_face(folder / "a.png")
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        archive.write(folder / "a.png", "a.png")
    ((name, image),) = read_eval_images(tmp_path / "faces.zip")
    assert name == "a.png"
    assert torch.equal(image, next(read_eval_images(folder))[1])


def test_only_faces_of_a_table_with_enough_detail_are_evaluated(tmp_path: Path) -> None:
    write_face(tmp_path / "a.png", side=640)
    points = "\t".join(f"{value:.2f}" for value in (TEMPLATE_LANDMARKS_XY + 64).ravel())
    lines = ["\t".join(["file", *POINT_COLUMNS, "eff_res512"])]
    lines += [f"a.png\t{points}\t{real}" for real in (300, 512)]
    (tmp_path / "faces.tsv").write_text("\n".join(lines) + "\n")
    ((_, image),) = read_eval_images(tmp_path)
    whole = cv2.imread(str(tmp_path / "a.png"))[64:576, 64:576, ::-1]
    expected = torch.from_numpy(whole.copy()).permute(2, 0, 1) / 255
    torch.testing.assert_close(image, expected, atol=2 / 255, rtol=0)


def test_an_image_that_is_not_an_aligned_face_is_refused_by_name(tmp_path: Path) -> None:
    write_face(tmp_path / "small.png", side=256)
    with pytest.raises(ConfigError, match=r"small\.png: 256 x 256, not a face aligned to 512"):
        list(read_eval_images(tmp_path))
    with pytest.raises(ConfigError, match="neither a folder nor"):
        list(read_eval_images(tmp_path / "absent"))
