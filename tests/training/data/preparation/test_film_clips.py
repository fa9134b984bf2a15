"""Films become clips of aligned faces; no person and no shot is in both splits."""

import csv
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vidrestore.errors import ConfigError
from vidrestore.faces.detection.mtcnn_detector import MtcnnDetector, packaged_mtcnn
from vidrestore.training.data.archives import read_image
from vidrestore.training.data.face_table import read_table
from vidrestore.training.data.preparation import film_clips
from vidrestore.training.data.preparation.film_clips import ClipConfig, ClipReport, prepare_clips
from vidrestore.training.data.preparation.photo_faces import PrepareConfig

DETECTOR = MtcnnDetector(packaged_mtcnn())
EXAMPLE = Path(__file__).parents[4] / "examples" / "astronaut.mp4"


@pytest.fixture(autouse=True)
def _first_frames(monkeypatch: pytest.MonkeyPatch, tracked_example: list[Any]) -> None:
    monkeypatch.setattr(
        film_clips, "_tracked_frames", lambda _film, _detector: iter(tracked_example)
    )


@pytest.fixture(scope="module")
def tracked_example() -> list[Any]:
    """Track faces in the first frames of the example."""
    return list(islice(film_clips._tracked_frames(EXAMPLE, DETECTOR), 14))


def mean_color(face: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Stand in for an embedding."""
    return face.mean(axis=(0, 1), dtype=np.float32) / 255


def prepare(target: Path, *films: Path, **changes: Any) -> ClipReport:
    return prepare_clips(
        films or [EXAMPLE],
        target,
        detector=DETECTOR,
        embedding=mean_color,
        config=PrepareConfig(min_px=96),
        clip_config=ClipConfig(**{"min_frames": 3, "max_frames": 10, **changes}),
    )


def test_clips_of_a_track_are_read_by_training(tmp_path: Path) -> None:
    report = prepare(tmp_path)
    assert (report.people, report.clips["test"]) == (1, 0)
    rows = read_table(tmp_path / "train")
    assert len(rows) == report.frames["train"] >= 10
    with (tmp_path / "train" / "faces.tsv").open() as file:
        cells = list(csv.DictReader(file, delimiter="\t"))
    clips = {row["clip"]: 0 for row in cells}
    assert len(clips) == report.clips["train"] >= 2
    for name in clips:
        images = [read_image(tmp_path / "train" / row["file"]) for row in cells
                  if row["clip"] == name]  # fmt: skip
        assert 3 <= len(images) <= 10
        assert len({image.shape for image in images}) == 1
        # Aligned: the same face stays where it is.
        assert np.abs(images[0].astype(float) - images[-1]).mean() < 12
    before = (tmp_path / "train" / "faces.tsv").read_bytes()
    assert prepare(tmp_path) == report
    assert (tmp_path / "train" / "faces.tsv").read_bytes() == before
    with pytest.raises(ConfigError, match="other settings"):
        prepare(tmp_path, max_frames=9)
    with pytest.raises(ConfigError, match="different names"):
        prepare(tmp_path / "new", EXAMPLE, EXAMPLE)


def test_clips_of_one_shot_or_one_person_are_in_the_same_split() -> None:
    shots = np.array([0, 0, 1, 2, 3])
    people = np.array([0, 1, 1, 2, 3])
    groups = film_clips._groups((shots[:, None] == shots) | (people[:, None] == people))
    assert groups.tolist() == [0, 0, 0, 1, 2]
    config = ClipConfig(test_ratio=0.3)
    in_test = film_clips._choose_test(groups, [10, 10, 10, 9, 9], config)
    assert in_test[:3].tolist() == [False] * 3
    assert in_test[3:].sum() == 1
    # Where every group is too large, the smallest is taken: a test of nothing is none.
    config = ClipConfig(test_ratio=0.01)
    assert film_clips._choose_test(groups, [10, 10, 10, 9, 8], config).tolist() == [False] * 4 + [
        True
    ]


def test_a_film_without_a_suitable_face_is_refused_with_the_reasons(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too short"):
        prepare(tmp_path, min_frames=900, max_frames=900)
