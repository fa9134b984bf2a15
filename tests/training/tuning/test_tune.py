"""``tune`` writes weights with both ends that restore, or nothing at all."""

from dataclasses import replace
from pathlib import Path

import cv2
import pytest
import torch
from support.lookscripts import face_film

from vidrestore.errors import ConfigError, MediaError
from vidrestore.faces.detection.mtcnn_detector import MtcnnDetector, packaged_mtcnn
from vidrestore.pipeline.loading.load_models import load_restorer
from vidrestore.training.data.preparation.generate_faces import GenerateConfig, generate_face
from vidrestore.training.tuning import tune as tune_module
from vidrestore.training.tuning.tune import TuneReport, tune
from vidrestore.training.tuning.tuner import TuneConfig, TuneScores
from vidrestore.weights.priors import load_mobile_stylegan

CPU = torch.device("cpu")
DETECTOR = MtcnnDetector(packaged_mtcnn(), device=CPU)
CONFIG = TuneConfig(steps=1, faces_per_step=1, window_px=64)
BEFORE = TuneScores(psnr_db=25.0, identity_distance=0.2, sharpness=0.8)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, network = tmp_path_factory.mktemp("photos"), load_mobile_stylegan()
    for number in range(4):
        face = generate_face(network, number, GenerateConfig())
        assert cv2.imwrite(str(folder / f"{number}.png"), face[:, :, ::-1])
    return folder


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return face_film(tmp_path_factory.mktemp("film") / "film.mkv", frames=3)


def run_tune(
    film: Path, target: Path, photos: Path | None, *, config: TuneConfig = CONFIG
) -> TuneReport:
    return tune(film, target, photos=photos, detector=DETECTOR, device=CPU, config=config)


def test_weights_that_improved_are_written_with_both_ends(
    film: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([BEFORE] * 3 + [replace(BEFORE, psnr_db=26.0)])
    monkeypatch.setattr(tune_module, "score_faces", lambda *_, **__: next(scores))
    target = tmp_path / "tuned.safetensors"
    report = run_tune(film, target, photos)

    assert (report.trained_faces, report.held_out_faces) == (3, 1)
    assert report.after.psnr_db == 26.0
    crop = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(0))
    for detail in (0.0, 0.5, 1.0):
        images = [
            load_restorer(model, device=CPU, dtype=torch.float32, detail=detail).restore_images(
                crop
            )
            for model in ("lite", str(target))
        ]
        change = float((images[1] - images[0]).abs().mean())
        assert 0 < change < 0.01


def test_weights_that_did_not_improve_are_not_written(
    film: Path, photos: Path, tmp_path: Path
) -> None:
    target = tmp_path / "tuned.safetensors"
    with pytest.raises(ConfigError, match=r"gained nothing on 1 faces.*nothing was written"):
        run_tune(film, target, photos, config=replace(CONFIG, learning_rate=1e-12))
    assert not target.exists()


def test_too_few_photographs_are_refused(film: Path, photos: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    (few / "0.png").write_bytes((photos / "0.png").read_bytes())
    small = cv2.resize(cv2.imread(str(photos / "1.png")), (200, 200))
    assert cv2.imwrite(str(few / "1.png"), small)
    with pytest.raises(ConfigError, match=r"1 clear faces, 4 are needed \(left out: 1 too small\)"):
        run_tune(film, tmp_path / "tuned.safetensors", few)


def test_existing_weights_are_not_replaced(film: Path, photos: Path, tmp_path: Path) -> None:
    target = tmp_path / "tuned.safetensors"
    target.write_bytes(b"mine")
    with pytest.raises(MediaError, match="already exists"):
        run_tune(film, target, photos)
    assert target.read_bytes() == b"mine"
