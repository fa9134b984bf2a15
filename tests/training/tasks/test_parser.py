"""The parser is judged by each test face once, and by F1 scores that can be reckoned by hand."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.metrics.segmentation import confusion_matrix, f1_by_class, mean_f1
from vidrestore.models.face_parser import PARSING_CLASSES
from vidrestore.training.data.dataset import DatasetConfig, FaceEvalDataset, SourceConfig
from vidrestore.training.data.face_table import POINT_COLUMNS
from vidrestore.training.degradations.recipes.table import RecipeConfig
from vidrestore.training.engine.optimizers import AdamConfig
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.tasks.batches import BatchConfig
from vidrestore.training.tasks.parser import ParserConfig, ParserTask

CPU = torch.device("cpu")
LEVELS = (40, 90, 140, 190, 240)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Five faces of one gray each, black on their left, with masks: hair where it is black."""
    folder = tmp_path / "faces"
    folder.mkdir()
    lines = ["\t".join(["file", *POINT_COLUMNS, "eff_res512", "mask"])]
    points = ((TEMPLATE_LANDMARKS_XY + 0.5) / 8 - 0.5).ravel()
    for number, level in enumerate(LEVELS):
        image = np.full((64, 64, 3), level, np.uint8)
        image[:, :20] = 0
        cv2.imwrite(str(folder / f"{number}.png"), image)
        labels = np.where(
            image[:, :, 0] == 0, PARSING_CLASSES.index("hair"), PARSING_CLASSES.index("skin")
        )
        cv2.imwrite(str(folder / f"{number}_mask.png"), labels.astype(np.uint8))
        cells = [f"{number}.png", *(f"{point:.3f}" for point in points), "64", f"{number}_mask.png"]
        lines.append("\t".join(cells))
    (folder / "faces.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path


def data(root: Path) -> DatasetConfig:
    return DatasetConfig(
        root=root,
        sources=(SourceConfig(folder="faces", weight=3.0),),
        recipes=(RecipeConfig(name="gfpgan", probability=1.0),),
        size_px=64,
        gray_probability=1.0,
    )


def test_validation_uses_every_face_once_with_the_same_degradation_every_time(root: Path) -> None:
    faces = FaceEvalDataset(data(root), seed=4)
    assert len(faces) == 5
    grays = [float(face.target[0, 32, 40] * 0.5 + 0.5) * 255 for face in faces]
    assert grays == pytest.approx(LEVELS, abs=0.01)
    assert all(float(face.target[:, :, :18].max()) == -1 for face in faces), "none is mirrored"
    assert not torch.equal(faces[2].degraded, faces[2].target)
    for first, again in zip(faces[2], FaceEvalDataset(data(root), seed=4)[2], strict=True):
        assert torch.equal(first, again)
    with pytest.raises(IndexError):
        faces[5]


def test_validation_scores_every_class_that_the_test_faces_have(root: Path) -> None:
    adam = AdamConfig(lr=3e-3)
    config = ParserConfig(
        data=data(root),
        batch=BatchConfig(size=2, num_workers=0),
        adam=adam,
        base_channels=8,
        max_channels=8,
        min_feature_px=32,
        blocks=1,
        test_folder=Path("faces"),
    )
    run_state = RunState(step=1, steps=1, seed=0, device=CPU)
    scores, preview = ParserTask(config, seed=0, device=CPU).validate(run_state)
    assert scores.keys() == {"mean_f1", "mean_f1_clean", "f1/skin", "f1/hair"}
    assert scores["mean_f1"] == pytest.approx((scores["f1/skin"] + scores["f1/hair"]) / 2)
    assert preview is not None
    assert preview.images.shape == (4 * 5, 3, 64, 64)


def scores_of(result: list[int], true: list[int]) -> dict[str, float]:
    return f1_by_class(confusion_matrix(torch.tensor([result]), torch.tensor([true])))


def test_f1_counts_all_labeled_pixels_of_a_class() -> None:
    assert scores_of([0, 0, 1, 7], [0, 0, 1, 255]) == {"background": 1.0, "skin": 1.0}
    # Background: one of two found and nothing wrong. Skin: its one found, and one wrong.
    two_thirds = pytest.approx(2 / 3)
    assert scores_of([0, 1, 1, 0], [0, 0, 1, 255]) == {
        "background": two_thirds,
        "skin": two_thirds,
    }


def test_confusion_matrices_of_images_are_added() -> None:
    def drawn(seed: int) -> Tensor:
        rng = torch.Generator().manual_seed(seed)
        return torch.randint(0, len(PARSING_CLASSES), (2, 8, 8), generator=rng)

    result, true = drawn(0), drawn(1)
    parts = sum(confusion_matrix(first, other) for first, other in zip(result, true, strict=True))
    assert torch.equal(torch.as_tensor(parts), confusion_matrix(result, true))


def test_an_absent_class_has_no_score_and_its_false_positives_lower_the_others() -> None:
    scores = scores_of([1, 2, 1, 1], [1, 1, 1, 1])
    assert scores == {"skin": pytest.approx(2 * 3 / 7)}


def test_the_mean_excludes_the_background() -> None:
    assert mean_f1({"background": 1.0, "skin": 0.5, "hair": 0.7}) == pytest.approx(0.6)
    assert mean_f1({}) == 0.0
