"""CelebAMask-HQ as published: masks of parts at half the size, and its own split."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from support.faces import example_images

from vidrestore.errors import ConfigError
from vidrestore.faces.detection.mtcnn_detector import MtcnnDetector, packaged_mtcnn
from vidrestore.models.face_parser import PARSING_CLASSES
from vidrestore.training.data.archives import read_image, read_labels
from vidrestore.training.data.face_table import read_table
from vidrestore.training.data.preparation.celebamask import (
    PART_NAMES,
    photographs,
    read_part_labels,
    split_of,
)
from vidrestore.training.data.preparation.label_sources import labels_from_celebamask
from vidrestore.training.data.preparation.photo_faces import PrepareConfig
from vidrestore.training.data.preparation.prepare_faces import prepare_faces

DETECTOR = MtcnnDetector(packaged_mtcnn(), device=torch.device("cpu"))
MAPPING = """idx     orig_idx   orig_file
0              119613   119614.jpg
1              162770   162771.jpg
2              162771   162772.jpg
3              182637   182638.jpg
4              182638   182639.jpg
2001           100      000101.jpg
"""


def part(root: Path, number: int, name: str, mask: np.ndarray) -> None:
    folder = root / "CelebAMask-HQ-mask-anno" / str(number // 2000)
    folder.mkdir(parents=True, exist_ok=True)
    # As published: three equal channels, 0 or 255.
    image = np.repeat(mask.astype(np.uint8)[:, :, None] * 255, 3, axis=2)
    assert cv2.imwrite(str(folder / f"{number:05d}_{name}.png"), image)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "CelebAMask-HQ"
    (root / "CelebA-HQ-img").mkdir(parents=True)
    (root / "CelebA-HQ-to-CelebA-mapping.txt").write_text(MAPPING)
    for number in (0, 1, 2, 3, 4, 2001):
        (root / "CelebA-HQ-img" / f"{number}.jpg").write_bytes(b"")
    return root


def test_the_labels_are_the_classes_of_the_parser() -> None:
    assert len(PART_NAMES) + 1 == len(PARSING_CLASSES)
    named = {"l_eye": "left eye", "mouth": "mouth", "eye_g": "glasses", "cloth": "clothes"}
    for name, label in named.items():
        assert PARSING_CLASSES[PART_NAMES.index(name) + 1] == label


def test_the_split_equals_that_of_celeba(root: Path) -> None:
    """The borders of the authors' g_partition.py."""
    borders = [split_of(number) for number in (162770, 162771, 182637, 182638)]
    assert borders == ["train", "val", "val", "test"]
    stems = {
        split: [path.stem for path in photographs(root, split)]
        for split in ("train", "val", "test", "all")
    }
    assert stems == {
        "train": ["0", "1", "2001"],
        "val": ["2", "3"],
        "test": ["4"],
        "all": ["0", "1", "2", "3", "4", "2001"],
    }


def test_later_labels_cover_earlier_ones(root: Path) -> None:
    """As the authors' g_mask.py joins the files of parts."""
    skin, nose, hair = (np.zeros((512, 512), bool) for _ in range(3))
    skin[:300], nose[100:200, 200:300], hair[:120] = True, True, True
    for name, mask in {"hair": hair, "nose": nose, "skin": skin}.items():
        part(root, 2001, name, mask)
    labels = read_part_labels(root, 2001)
    assert [labels[row, 250] for row in (50, 110, 150, 250, 400)] == [13, 13, 2, 1, 0]


def test_a_photograph_and_its_smaller_masks_are_aligned_equally(root: Path, tmp_path: Path) -> None:
    photo = cv2.resize(example_images(1)[0], (1024, 1024), interpolation=cv2.INTER_CUBIC)
    assert cv2.imwrite(
        str(root / "CelebA-HQ-img" / "4.jpg"), photo[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100]
    )
    small = cv2.resize(photo, (512, 512), interpolation=cv2.INTER_AREA).mean(axis=2)
    part(root, 4, "skin", small > 127)
    report = prepare_faces(
        root,
        tmp_path / "set",
        detector=DETECTOR,
        config=PrepareConfig(min_px=96, largest_only=True),
        labels=labels_from_celebamask(root),
        images=photographs(root, "test"),
    )
    assert (report.images, report.kept) == (1, 1)
    (row,) = read_table(tmp_path / "set")
    assert row.labels_path is not None
    aligned, face = read_labels(row.labels_path), read_image(row.image_path).mean(axis=2)
    inner = slice(face.shape[0] // 4, 3 * face.shape[0] // 4)
    assert ((face > 127) == (aligned == 1))[inner, inner].mean() > 0.95
    with (tmp_path / "set" / "faces.tsv").open() as file:
        assert [cells["source"] for cells in csv.DictReader(file, delimiter="\t")] == [
            "CelebA-HQ-img/4.jpg"
        ]


def test_missing_masks_and_masks_of_another_size_are_named(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"no mask of photograph 3; unpack all"):
        read_part_labels(root, 3)
    part(root, 3, "skin", np.ones((512, 512), bool))
    part(root, 3, "hair", np.ones((256, 256), bool))
    with pytest.raises(ConfigError, match=r"00003_hair\.png: 256 x 256, but the masks before it"):
        read_part_labels(root, 3)
    (root / "CelebA-HQ-img" / "1.jpg").unlink()
    with pytest.raises(ConfigError, match=r"1\.jpg: this photograph is missing, and 0 others"):
        photographs(root, "train")
    (root / "CelebA-HQ-to-CelebA-mapping.txt").write_text("0 abc 1.jpg\n")
    with pytest.raises(ConfigError, match="line 1: expected two numbers"):
        photographs(root, "all")
    (root / "CelebA-HQ-to-CelebA-mapping.txt").unlink()
    with pytest.raises(ConfigError, match="not readable"):
        photographs(root, "all")
