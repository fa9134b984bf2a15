"""Generated training faces: numbered, resumable, and filtered with reasons."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vidrestore.errors import ConfigError, WeightsError
from vidrestore.faces.detection.detector import RgbImage
from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.models.mobile_stylegan.generator import MobileStyleGAN
from vidrestore.training.data.face_table import read_table
from vidrestore.training.data.preparation.generate_faces import (
    GenerateConfig,
    draw_latent,
    eye_asymmetry,
    generate,
    generate_face,
)
from vidrestore.training.data.preparation.prepared_folder import PrepareReport
from vidrestore.types import Detection

ANY_EYES = GenerateConfig(eye_asymmetry=9.0)


class TemplateDetector:
    """Detects the face of the template, as often as the next count says, once by default."""

    has_fast_refine = False

    def __init__(self, *counts: int, score: float = 1.0) -> None:
        self.counts, self.score, self.calls = list(counts), score, 0

    def detect(self, images: Sequence[RgbImage]) -> list[tuple[Detection, ...]]:
        self.calls += 1
        count = self.counts.pop(0) if self.counts else 1
        points = (TEMPLATE_LANDMARKS_XY + 0.5) * images[0].shape[0] / 512 - 0.5
        box = np.array([60, 60, 200, 220], np.float32)
        face = Detection(box_xyxy=box, landmarks_xy=points.astype(np.float32), score=self.score)
        return [(face,) * count]

    def refine(self, image: RgbImage, predictions: Sequence[Detection]) -> list[Detection | None]:
        del image
        return list(predictions)


@pytest.fixture
def network() -> MobileStyleGAN:
    torch.manual_seed(0)
    return MobileStyleGAN(out_size=64, num_style_feat=512, num_mlp=1, narrow=0.0625).eval()


def generated(folder: Path, network: MobileStyleGAN, **changes: Any) -> PrepareReport:
    settings = {"first": 0, "count": 1, "detector": TemplateDetector(), "config": ANY_EYES}
    return generate(folder, network=network, **{**settings, **changes})


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_face_depends_on_its_index_alone_and_a_run_resumes(
    network: MobileStyleGAN, tmp_path: Path
) -> None:
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    report = generated(whole, network, first=3, count=4, detector=TemplateDetector(1, 0, 1, 2))
    assert (report.images, report.kept) == (4, 2)
    assert report.dropped == {"no face": 1, "more than one face": 1}
    generated(resumed, network, first=3, count=2, detector=TemplateDetector(1, 0))
    with (resumed / "prepared.jsonl").open("a", encoding="utf-8") as log:
        log.write("5\tno f")  # killed while writing
    detector = TemplateDetector(1, 2)
    again = generated(resumed, network, first=3, count=4, detector=detector)
    assert again.dropped == report.dropped
    assert detector.calls == 2
    assert read_files(resumed) == read_files(whole)
    rows = read_table(whole)
    assert [row.image_path.name for row in rows] == ["0000003.jpg", "0000005.jpg"]
    assert rows[0].effective_px == 512
    assert cv2.imread(str(rows[0].image_path)).shape == (64, 64, 3)


def test_the_latent_depends_on_the_number_and_the_truncation_is_in_its_range() -> None:
    latent, truncation = draw_latent(7, ANY_EYES)
    assert torch.equal(latent, draw_latent(7, ANY_EYES)[0])
    assert not torch.equal(latent, draw_latent(8, ANY_EYES)[0])
    assert 0.6 <= float(truncation) <= 0.95


def test_a_folder_of_other_settings_or_other_files_is_refused(
    network: MobileStyleGAN, tmp_path: Path
) -> None:
    generated(tmp_path / "a", network)
    with pytest.raises(ConfigError, match="other settings"):
        generated(tmp_path / "a", network, config=GenerateConfig())
    with pytest.raises(ConfigError, match="not empty"):
        generated(tmp_path, network)
    with pytest.raises(ConfigError, match="first must be >= 0"):
        generated(tmp_path / "b", network, first=-1)
    with pytest.raises(ConfigError, match="truncation"):
        GenerateConfig(truncation=(0.9, 0.5))


def test_low_scores_and_unusual_embeddings_are_excluded(
    network: MobileStyleGAN, tmp_path: Path
) -> None:
    config = GenerateConfig(eye_asymmetry=9.0, norm=(1.0, 2.0))
    report = generated(tmp_path / "a", network, detector=TemplateDetector(score=0.5), config=config)
    assert report.dropped == {"no face": 1}
    report = generated(tmp_path / "b", network, config=config, embedding_norm=lambda face: 5.0)
    assert report.dropped == {"unusual norm of the embedding": 1}
    assert not list((tmp_path / "b").glob("*.jpg"))


def test_eye_asymmetry_is_low_for_mirrored_eyes_and_high_for_others() -> None:
    rng = np.random.default_rng(0)
    half = cv2.GaussianBlur(rng.integers(0, 255, (512, 256, 3)).astype(np.uint8), (0, 0), 6)
    symmetric: NDArray[np.uint8] = np.concatenate([half, half[:, ::-1]], axis=1)
    landmarks = TEMPLATE_LANDMARKS_XY.astype(np.float64).copy()
    landmarks[:2] = [[192.5, 240.0], [318.5, 240.0]]
    assert eye_asymmetry(symmetric, landmarks) < 0.35
    other = symmetric.copy()
    other[:, 256:] = np.roll(other[:, 256:], 90, axis=0)
    assert eye_asymmetry(other, landmarks) > 0.7


def test_images_that_are_not_finite_are_refused_and_not_written(
    network: MobileStyleGAN, tmp_path: Path
) -> None:
    with torch.no_grad():
        network.to_img.bias.fill_(float("inf"))
    with pytest.raises(WeightsError, match="face 0 is not finite"):
        generated(tmp_path, network)
    assert not list(tmp_path.glob("*.jpg"))
    assert "faces.tsv" in read_files(tmp_path)


def test_bfloat16_generates_nearly_the_same_face(network: MobileStyleGAN) -> None:
    full = generate_face(network, 0, ANY_EYES).astype(int)
    half = MobileStyleGAN(out_size=64, num_style_feat=512, num_mlp=1, narrow=0.0625)
    half.load_state_dict(network.state_dict())
    with torch.inference_mode():
        latent, truncation = draw_latent(0, ANY_EYES)
        styles = network.styles(latent, truncation=truncation)
        image = half.eval().bfloat16().synthesize(network.to_w_plus(styles).bfloat16())
    rounded = ((image[0].float().clamp(-1, 1) + 1) * 127.5).permute(1, 2, 0).numpy()
    assert np.isfinite(rounded).all()
    assert np.abs(rounded - full).mean() < 12
