"""Restorers in training are validated on whole faces."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from support.faces import example_images
from support.runs import small_config, write_faces
from torch import Tensor, nn

from vidrestore.errors import ConfigError
from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.recognizers.mobilefacenet import MobileFaceNet
from vidrestore.training.engine.checkpoint import read_checkpoint
from vidrestore.training.engine.run import train
from vidrestore.training.validation import (
    RestorerValidation,
    ValidationConfig,
    wrap_restorer,
)

CPU = torch.device("cpu")


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Return a folder of two images of 512 pixels, with a face."""
    folder = tmp_path / "faces"
    folder.mkdir()
    for index, image in enumerate(example_images(2)):
        side = min(image.shape[:2])
        square = cv2.resize(image[:side, :side], (512, 512), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / f"{index}.png"), np.ascontiguousarray(square[:, :, ::-1]))
    return folder


class IdentityRestorer(nn.Module):
    """Returns its input, and counts images."""

    def __init__(self) -> None:
        super().__init__()
        self.images = 0

    def forward(self, image: Tensor) -> RestorerOutput:
        """Return the images."""
        assert image.shape[2:] == (512, 512)
        self.images += len(image)
        return RestorerOutput(image=image)


def test_input_and_output_are_measured_by_all_metrics(faces: Path, tmp_path: Path) -> None:
    torch.save(MobileFaceNet().state_dict(), tmp_path / "face.pt")
    validation = RestorerValidation(
        ValidationConfig(folder=faces, identity_weights=tmp_path / "face.pt")
    )
    network = IdentityRestorer()
    restorer = wrap_restorer(network, side_px=512, device=CPU)
    scores, preview = validation.validate(restorer)
    assert network.images == 2
    for metric in ("psnr", "ssim", "sharpness", "niqe", "identity"):
        assert scores[f"output/{metric}"] == pytest.approx(scores[f"input/{metric}"], rel=1e-3)
    assert scores["input/psnr"] < 45
    assert all(np.isfinite(value) for value in scores.values())
    assert preview.images.shape == (1, 3, 512, 768)
    assert preview.columns == 1
    assert validation.validate(restorer)[0] == scores


def test_the_count_setting_limits_the_number_of_faces(faces: Path) -> None:
    network = IdentityRestorer()
    validation = RestorerValidation(ValidationConfig(folder=faces, count=1))
    validation.validate(wrap_restorer(network, side_px=512, device=CPU))
    assert network.images == 1


@pytest.mark.parametrize("name", ["gfpgan", "psfrgan"])
def test_a_run_logs_scores_and_a_sheet_and_trains_as_without_validation(
    name: str, faces: Path, tmp_path: Path
) -> None:
    root = write_faces(tmp_path / "data")
    checkpoints: list[dict[str, Any]] = []
    for folder, changes in (
        ("with", {"validation": {"folder": str(faces), "count": 1}}),
        ("without", {}),
    ):
        (tmp_path / folder).mkdir()
        config = small_config(name, root, steps=2, validate_every=1, **changes)
        checkpoints.append(read_checkpoint(train(config, folder=tmp_path / folder, device="cpu")))
    log = (tmp_path / "with" / "log.jsonl").read_text().splitlines()
    first, last = [line for line in map(json.loads, log) if "val/output/psnr" in line]
    assert (first["step"], last["step"]) == (1, 2)
    assert first["val/input/psnr"] == last["val/input/psnr"]
    assert first["val/output/psnr"] != last["val/output/psnr"]
    assert "val/l1" in last
    sheet = cv2.imread(str(tmp_path / "with" / "previews" / "0000002.jpg"))
    assert sheet is not None
    assert sheet.shape == (256, 768, 3)
    validated, plain = (checkpoint["networks"] for checkpoint in checkpoints)
    for name, state in validated.items():
        for key, value in state["network"].items():
            assert torch.equal(value, plain[name]["network"][key]), f"{name}: {key}"


def test_invalid_validation_settings_are_refused(faces: Path, tmp_path: Path) -> None:
    root = write_faces(tmp_path / "data")
    table = {"validation": {"folder": str(faces)}}
    with pytest.raises(
        ConfigError, match=r"\[validation\] applies to restorers; \[parser\] validates"
    ):
        small_config("parser", root, **table)
    with pytest.raises(ConfigError, match="count"):
        ValidationConfig(folder=faces, count=0)
    with pytest.raises(ConfigError, match="gfpgam"):
        ValidationConfig(folder=faces, recipe="gfpgam")
    with pytest.raises(ConfigError, match="neither a folder"):
        RestorerValidation(ValidationConfig(folder=tmp_path / "absent"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no aligned faces"):
        RestorerValidation(ValidationConfig(folder=tmp_path / "empty"))
