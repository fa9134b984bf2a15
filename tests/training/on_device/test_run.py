"""Runs on one device train all kinds of stages and can be resumed."""

import json
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from support.devicetraining import (
    DETAIL,
    RATES,
    SmallRestorer,
    run_config,
    stage,
    training_root,
    use_small_restorer,
)
from torch import Tensor

from vidrestore.errors import ConfigError, WeightsError
from vidrestore.models.lite import build_lite
from vidrestore.training.engine.checkpoint import read_checkpoint
from vidrestore.training.engine.progress import TrainingProgress
from vidrestore.training.on_device.run import train_on_device
from vidrestore.weights.load import load_weights, read_weights


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_root(tmp_path_factory.mktemp("data"))


def adversary(**changes: Any) -> dict[str, Any]:
    weights = DETAIL | {"features": 0.3, "adversary": 0.05, "matching": 1.0}
    return stage("adversary", adversary=RATES, loss_weights=weights, keeps="detail", **changes)


def test_a_run_trains_both_ends_and_writes_weights_curves_and_a_sheet(
    root: Path, tmp_path: Path
) -> None:
    reports: list[TrainingProgress] = []
    config = run_config(
        root,
        [
            stage("small", codec_ratio=0.5, codec_repeat=2),
            stage("large", steps=1, side_px=128, batch=1, keeps="fidelity"),
            stage("teacher", steps=1, loss_weights=DETAIL),
            adversary(steps=2),
        ],
    )
    paths = train_on_device(config, folder=tmp_path, device="cpu", on_progress=reports.append)

    assert {path.name for path in paths} == {"lite.safetensors", "curves.png", "sheet.png"}
    assert [report.step for report in reports] == [1, 2, 3, 4, 5, 6]
    assert all(report.terms["samples_per_second"] > 0 for report in reports)
    assert {"teacher", "gradients", "consistency", "tones"} <= reports[3].terms.keys()
    assert {"features", "adversary", "matching", "texture"} <= reports[5].terms.keys()
    ends = [read_weights(tmp_path / "lite.safetensors", detail=end).state for end in (0.0, 1.0)]
    assert any(not torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert load_weights(build_lite(), tmp_path / "lite.safetensors") == 0.5
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None
    assert sheet.shape == (64, 4 * 64, 3)
    assert sheet.std() > 10
    assert (tmp_path / "last.pt.parts.json").exists()
    assert all(path.stat().st_size < 15e6 for path in tmp_path.glob("*.[0-9][0-9][0-9]"))


def read_ends(folder: Path) -> dict[str, dict[str, Tensor]]:
    return read_checkpoint(folder / "last.pt")["position"]["ends"]


@pytest.mark.parametrize("stop_after", [1, 2, 4], ids=["in a stage", "between", "in the adversary"])
def test_an_interrupted_run_gives_the_weights_of_an_uninterrupted_one(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    use_small_restorer(monkeypatch)
    weights = {"truth": 1.0, "features": 0.3, "adversary": 0.05, "consistency": 0.5}
    config = run_config(
        root,
        [
            stage("first", codec_ratio=0.5, codec_repeat=2, batch=2, keeps="fidelity"),
            stage("second", steps=4, loss_weights=weights, adversary=RATES, keeps="detail"),
        ],
    )
    uninterrupted, resumed = tmp_path / "uninterrupted", tmp_path / "resumed"
    train_on_device(config, folder=uninterrupted, device="cpu")
    assert train_on_device(config, folder=resumed, device="cpu", stop_after=stop_after) == []
    # Only the parts were copied from another machine.
    (resumed / "last.pt").unlink()
    assert train_on_device(config, folder=resumed, device="cpu")

    expected, ends = read_ends(uninterrupted), read_ends(resumed)
    assert expected.keys() == ends.keys() == {"fidelity", "detail"}
    for name, state in expected.items():
        assert all(torch.equal(value, ends[name][key]) for key, value in state.items())
    steps = [json.loads(line)["step"] for line in (resumed / "log.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4, 5, 6]


def test_a_run_by_minutes_ends_after_all_stages(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_small_restorer(monkeypatch)
    stages = [stage("one", keeps="fidelity"), stage("two", share=3.0, keeps="detail")]
    for settings in stages:
        del settings["steps"]
    paths = train_on_device(run_config(root, stages, minutes=0.03), folder=tmp_path, device="cpu")
    assert tmp_path / "lite.safetensors" in paths
    assert read_checkpoint(tmp_path / "last.pt")["position"]["stage"] == 2


def test_a_checkpoint_of_other_stages_is_refused(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_small_restorer(monkeypatch)
    train_on_device(run_config(root, [stage("only")]), folder=tmp_path, device="cpu", stop_after=1)
    weights = {"truth": 1.0, "adversary": 0.05}
    other = run_config(root, [stage("only", loss_weights=weights, adversary=RATES)])
    with pytest.raises(WeightsError, match="does not match this config"):
        train_on_device(other, folder=tmp_path, device="cpu")


def test_initial_weights_of_another_network_are_refused(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.pt"
    torch.save({"params_ema": SmallRestorer().state_dict()}, path)
    with pytest.raises(WeightsError, match="Lite"):
        train_on_device(
            run_config(root, [stage("only")], pretrained=str(path)), folder=tmp_path, device="cpu"
        )


def test_too_few_faces_are_refused(root: Path, tmp_path: Path) -> None:
    config = run_config(root, [stage("only")])
    raw = {
        "held_out": 6,
        "num_workers": 0,
        "rows": 4,
        "recipes": [{"name": "gfpgan", "probability": 1.0}],
    }
    raw["faces"] = {
        "root": str(root),
        "size_px": 128,
        "sources": [{"folder": "faces"}],
        "recipes": [{"name": "film", "probability": 1.0}],
    }
    assert config.data.held_out == 1
    with pytest.raises(ConfigError, match="6 faces are too few to hold out 6"):
        train_on_device(run_config(root, [stage("only")], data=raw), folder=tmp_path, device="cpu")
