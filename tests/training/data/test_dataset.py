"""Samples know where things are, what is real, and come out the same every time."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from vidrestore.errors import ConfigError
from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.training.data.augment import mirror
from vidrestore.training.data.component_boxes import component_boxes
from vidrestore.training.data.dataset import (
    DatasetConfig,
    FaceDataset,
    FaceSample,
    SourceConfig,
    limit_resolution,
)
from vidrestore.training.data.face_table import POINT_COLUMNS, UNKNOWN_LABEL
from vidrestore.training.degradations.recipes.table import RecipeConfig


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two faces of 512 and one of 288 real pixels; the first has a mask."""
    folder = tmp_path / "faces"
    (folder / "masks").mkdir(parents=True)
    lines = ["\t".join(["file", *POINT_COLUMNS, "eff_res512", "mask"])]
    for number, (side, effective) in enumerate([(512, 600), (512, 512), (288, 288)]):
        image = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), image)
        points = (TEMPLATE_LANDMARKS_XY + 0.5) * side / 512 - 0.5
        labels = f"masks/{number}.png" if number == 0 else ""
        cells = [f"{number}.png", *(f"{value:.3f}" for value in points.ravel())]
        lines.append("\t".join([*cells, str(effective), labels]))
    cv2.imwrite(str(folder / "masks" / "0.png"), np.full((512, 512), 4, np.uint8))
    (folder / "faces.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path


def samples(root: Path, **changes: object) -> FaceDataset:
    settings: dict[str, object] = {
        "root": root,
        "sources": (SourceConfig(folder="faces"),),
        "recipes": (
            RecipeConfig(name="gfpgan", probability=1.0),
            RecipeConfig(name="vhs", probability=1.0),
        ),
        "size_px": 128,
    }
    return FaceDataset(DatasetConfig(**{**settings, **changes}), seed=3)  # type: ignore[arg-type]


def test_a_sample_is_the_same_every_time_and_can_be_batched(root: Path) -> None:
    first, again = samples(root)[5], samples(root)[5]
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one, other)
    batch = FaceSample(*default_collate([samples(root)[index] for index in range(3)]))
    assert batch.degraded.shape == batch.target.shape == (3, 3, 128, 128)
    assert batch.boxes_xyxy.shape == (3, 3, 4)
    assert batch.labels.shape == (3, 128, 128)
    assert float(batch.target.min()) >= -1
    assert not torch.equal(batch.degraded[0], batch.degraded[1])


def test_the_resolution_ratio_is_that_before_enlargement(root: Path) -> None:
    drawn = [samples(root, size_px=512)[index] for index in range(8)]
    details = {round(float(sample.resolution_ratio), 4) for sample in drawn}
    assert details == {1.0, round(288 / 512, 4)}
    assert {round(float(samples(root)[index].resolution_ratio), 4) for index in range(8)} == {1.0}


def test_faces_with_too_little_detail_are_excluded(root: Path) -> None:
    assert len(samples(root, size_px=512)) == 3
    assert len(samples(root, size_px=512, min_resolution_ratio=0.75)) == 2
    with pytest.raises(ConfigError, match="effective resolution of 256 px"):
        samples(root, size_px=512, sources=(SourceConfig(folder="faces", resolution_scale=0.3),))


def test_boxes_lie_on_the_template_also_when_mirrored(root: Path) -> None:
    expected = component_boxes((TEMPLATE_LANDMARKS_XY + 0.5) / 4 - 0.5)
    for index in range(4):
        boxes = samples(root)[index].boxes_xyxy.numpy()
        np.testing.assert_allclose(boxes, expected, atol=2.5)


def test_a_missing_mask_has_no_labels_and_mirroring_swaps_left_and_right(root: Path) -> None:
    masks = {tuple(samples(root)[index].labels.unique().tolist()) for index in range(24)}
    assert masks == {(4,), (5,), (UNKNOWN_LABEL,)}
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    _, points, classes = mirror(
        image, np.arange(10.0).reshape(5, 2), np.array([[4, 1], [9, 255]], np.uint8)
    )
    np.testing.assert_array_equal(classes, [[1, 5], [255, 8]])
    np.testing.assert_array_equal(points[0], [1 - 2.0, 3.0])


def test_losses_ignore_detail_beyond_the_resolution_of_the_original() -> None:
    stripes = (torch.arange(64) % 2).float().expand(2, 3, 64, 64).contiguous()
    limited = limit_resolution(stripes, torch.tensor([0.4, 1.0]))
    assert float(limited[0, :, 8:-8, 8:-8].std()) < 0.1 * float(stripes[0].std())
    assert torch.equal(limited[1], stripes[1])
    assert limit_resolution(stripes, torch.ones(2)) is stripes


def test_faces_held_in_memory_equal_those_read_one_by_one(root: Path) -> None:
    options = {"size_px": 512, "min_resolution_ratio": 0.5}
    expected = [samples(root, **options)[index] for index in range(6)]
    held = samples(root, in_memory=True, **options)
    for image in (root / "faces").glob("*.png"):
        image.unlink()
    for index in range(6):
        for name, one, other in zip(FaceSample._fields, expected[index], held[index], strict=True):
            assert torch.equal(one, other), name


def test_the_target_has_the_tones_of_the_degraded_sample(root: Path) -> None:
    faces = samples(root, recipes=(RecipeConfig(name="old_film", probability=1.0),), size_px=512)
    colorless = 0
    for index in range(12):
        sample = faces[index]
        gray = [
            float((image[0] - image[2]).abs().mean()) < 0.02
            for image in (sample.degraded, sample.target)
        ]
        assert gray[0] == gray[1]
        colorless += gray[0]
    assert 0 < colorless < 12
