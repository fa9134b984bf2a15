"""What would stop a run hours later is named before it begins."""

from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import cv2
import numpy as np
import pytest

from vidrestore.errors import ConfigError
from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.training.data.archives import image_size
from vidrestore.training.data.check_faces import check_faces
from vidrestore.training.data.dataset import DatasetConfig, FaceDataset, SourceConfig
from vidrestore.training.data.face_table import POINT_COLUMNS, read_table
from vidrestore.training.degradations.recipes.table import RecipeConfig

HEADER = ["file", *POINT_COLUMNS, "eff_res512", "mask", "tx", "ty", "tw", "th"]
POINTS = [f"{edge:.1f}" for edge in ((TEMPLATE_LANDMARKS_XY + 0.5) / 8 - 0.5).ravel()]


def write(folder: Path, *, tile: str = "0 0 64 64", points: list[str] = POINTS) -> Path:
    """Write a table of two faces with masks: of a PNG and of a JPEG."""
    folder.mkdir(exist_ok=True)
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    lines = [HEADER]
    for name in ("a.png", "b.jpg"):
        cv2.imwrite(str(folder / name), image)
        cv2.imwrite(str(folder / f"mask_{name[0]}.png"), image[:, :, 0])
        lines.append([name, *points, "64", f"mask_{name[0]}.png", *tile.split()])
    (folder / "tiles.tsv").write_text("\n".join("\t".join(line) for line in lines) + "\n")
    return folder


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def smaller(path: Path) -> None:
    cv2.imwrite(str(path), np.zeros((32, 64), np.uint8))


def test_a_valid_table_passes_from_a_folder_and_from_an_archive(tmp_path: Path) -> None:
    folder = write(tmp_path / "faces")
    check_faces(read_table(folder))
    archive = tmp_path / "faces.zip"
    with ZipFile(archive, "w") as packed:
        for path in folder.iterdir():
            packed.write(path, path.name)
    check_faces(read_table(archive))
    assert image_size(archive / "a.png") == (64, 64)


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("mask_b.png", smaller, r"mask_b\.png: 64 x 32, but b\.jpg is 64 x 64"),
        ("a.png", cut, r"a\.png: the end of the image is missing; copy it again"),
        ("b.jpg", cut, r"b\.jpg: the end of the image is missing"),
        ("b.jpg", Path.unlink, r"b\.jpg: not readable"),
        ("a.png", lambda path: path.write_bytes(b"no image"), r"a\.png: not a readable image"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_before_the_run(
    tmp_path: Path, name: str, spoil: Callable[[Path], None], message: str
) -> None:
    folder = write(tmp_path / "faces")
    spoil(folder / name)
    config = DatasetConfig(
        root=tmp_path,
        sources=(SourceConfig(folder="faces"),),
        recipes=(RecipeConfig(name="none", probability=1.0),),
        size_px=32,
    )
    with pytest.raises(ConfigError, match=message):
        FaceDataset(config, seed=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tile": "8 0 64 64"}, r"a\.png, 64 x 64: the table has a tile of 64 x 64 at 8, 0"),
        ({"points": ["200"] * 10}, r"the table has a face around 200, 200, which is not inside"),
        (
            {"points": ["many", *POINTS[1:]]},
            r"tiles\.tsv, line 2: not a row of a face \(ValueError",
        ),
        ({"tile": ""}, r"tiles\.tsv, line 2: not a row of a face \(TypeError"),
    ],
)
def test_a_row_outside_its_image_is_named(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_faces(read_table(write(tmp_path / "faces", **changes)))


def test_the_size_is_that_of_the_upright_image(tmp_path: Path) -> None:
    from PIL import Image

    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg", exif=turned)
    assert image_size(tmp_path / "a.jpg") == (30, 40)
