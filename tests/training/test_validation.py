"""Restorers in training are measured on whole faces, as films will have them restored."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from support.faces import example_pictures
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
def stills(tmp_path: Path) -> Path:
    """Two images of 512 pixels, with a face."""
    folder = tmp_path / "stills"
    folder.mkdir()
    for index, picture in enumerate(example_pictures(2)):
        side = min(picture.shape[:2])
        square = cv2.resize(picture[:side, :side], (512, 512), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / f"{index}.png"), np.ascontiguousarray(square[:, :, ::-1]))
    return folder


class NoDegradation(nn.Module):
    """Returns its input, which it counts."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def forward(self, image: Tensor) -> RestorerOutput:
        """Return the images."""
        assert image.shape[2:] == (512, 512)
        self.seen += len(image)
        return RestorerOutput(image=image)


def test_input_and_output_are_measured_by_all_that_is_at_hand(stills: Path, tmp_path: Path) -> None:
    torch.save(MobileFaceNet().state_dict(), tmp_path / "face.pt")
    validation = RestorerValidation(
        ValidationConfig(folder=stills, identity_weights=tmp_path / "face.pt")
    )
    network = NoDegradation()
    restorer = wrap_restorer(network, side_px=512, device=CPU)
    scores, preview = validation.validate(restorer)
    assert network.seen == 2
    for metric in ("psnr", "ssim", "sharpness", "niqe", "identity"):
        assert scores[f"output/{metric}"] == pytest.approx(scores[f"input/{metric}"], rel=1e-3)
    assert scores["input/psnr"] < 45
    assert all(np.isfinite(value) for value in scores.values())
    assert preview.images.shape == (1, 3, 512, 768)
    assert preview.columns == 1
    assert validation.validate(restorer)[0] == scores


def test_no_more_faces_are_read_than_asked_for(stills: Path) -> None:
    network = NoDegradation()
    validation = RestorerValidation(ValidationConfig(folder=stills, count=1))
    validation.validate(wrap_restorer(network, side_px=512, device=CPU))
    assert network.seen == 1


@pytest.mark.parametrize("name", ["gfpgan", "psfrgan"])
def test_a_run_writes_the_scores_and_the_sheet_and_trains_as_without(
    name: str, stills: Path, tmp_path: Path
) -> None:
    root = write_faces(tmp_path / "data")
    ended: list[dict[str, Any]] = []
    for folder, changes in (
        ("with", {"validation": {"folder": str(stills), "count": 1}}),
        ("without", {}),
    ):
        (tmp_path / folder).mkdir()
        config = small_config(name, root, steps=2, validate_every=1, **changes)
        ended.append(read_checkpoint(train(config, folder=tmp_path / folder, device="cpu")))
    log = (tmp_path / "with" / "log.jsonl").read_text().splitlines()
    first, last = [line for line in map(json.loads, log) if "val/output/psnr" in line]
    assert (first["step"], last["step"]) == (1, 2)
    assert first["val/input/psnr"] == last["val/input/psnr"]
    assert first["val/output/psnr"] != last["val/output/psnr"]
    assert "val/l1" in last
    sheet = cv2.imread(str(tmp_path / "with" / "previews" / "0000002.jpg"))
    assert sheet is not None
    assert sheet.shape == (256, 768, 3)
    for part, state in ended[0]["networks"].items():
        for key, value in state["network"].items():
            assert torch.equal(value, ended[1]["networks"][part]["network"][key]), f"{part}: {key}"


def test_what_cannot_be_measured_is_refused(stills: Path, tmp_path: Path) -> None:
    root = write_faces(tmp_path / "data")
    table = {"validation": {"folder": str(stills)}}
    with pytest.raises(
        ConfigError, match=r"\[validation\] applies to restorers; \[parser\] validates"
    ):
        small_config("parser", root, **table)
    with pytest.raises(ConfigError, match="count"):
        ValidationConfig(folder=stills, count=0)
    with pytest.raises(ConfigError, match="gfpgam"):
        ValidationConfig(folder=stills, recipe="gfpgam")
    with pytest.raises(ConfigError, match="neither a folder"):
        RestorerValidation(ValidationConfig(folder=tmp_path / "absent"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no aligned faces"):
        RestorerValidation(ValidationConfig(folder=tmp_path / "empty"))
