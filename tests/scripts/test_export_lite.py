"""Checkpoints of training to the file that the package ships."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support.ends import perturb_weights
from support.golden import ROOT, load_script, snapshot_state
from torch import Tensor

from vidrestore.errors import ConfigError, WeightsError
from vidrestore.models.lite import build_lite
from vidrestore.training.engine.checkpoint import save_checkpoint
from vidrestore.weights.load import read_weights
from vidrestore.weights.metadata import read_metadata

export_lite: Any = load_script(ROOT / "scripts" / "export_lite.py")


@pytest.fixture(scope="module")
def states() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        fidelity = snapshot_state(build_lite())
    return fidelity, perturb_weights(fidelity, share=0.3)


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory,
    states: tuple[dict[str, Tensor], dict[str, Tensor]],
) -> list[Path]:
    """An old checkpoint, and one of the common loop, whose network is not its average."""
    fidelity, detail = states
    folder = tmp_path_factory.mktemp("runs")
    old, new = folder / "old.pt", folder / "new.pt"
    save_checkpoint(old, {"step": 700, "params_ema": fidelity, "network": detail})
    generator = {"network": fidelity, "params_ema": detail, "optimizer": {}}
    save_checkpoint(new, {"step": 30, "parts": {"generator": generator, "texture": {}}})
    return [old, new]


def assert_is(result: dict[str, Tensor], expected: dict[str, Tensor], *, within: float) -> None:
    assert result.keys() == expected.keys()
    for name, value in expected.items():
        room = within * float(value.abs().max()) + 1e-6
        torch.testing.assert_close(result[name].float(), value, atol=room, rtol=0)


def run_script(*words: object, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["export_lite.py", *map(str, words)])
    return export_lite.main()


def between(
    fidelity: dict[str, Tensor], detail: dict[str, Tensor], *, position: float
) -> dict[str, Tensor]:
    return {name: torch.lerp(fidelity[name], detail[name], position) for name in fidelity}


def test_two_checkpoints_become_two_ends_with_their_sources(
    runs: list[Path],
    states: tuple[dict[str, Tensor], dict[str, Tensor]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = tmp_path / "lite.safetensors"
    arguments = (*runs, "--default-detail", 0.7, "--target", target)
    assert run_script(*arguments, monkeypatch=monkeypatch) == 0

    metadata = read_metadata(target)
    assert metadata.items() >= {
        ("format_version", "1"),
        ("model", "lite"),
        ("licence", "Apache-2.0"),
        ("recipe", "configs/train/lite_gpu.toml"),
        ("steps", "700, 30"),
        ("default_detail", "0.7"),
    }
    assert_is(read_weights(target, detail=0.0).state, states[0], within=5e-4)
    assert_is(read_weights(target, detail=1.0).state, states[1], within=5e-3)
    assert_is(read_weights(target).state, between(*states, position=0.7), within=5e-3)
    assert target.stat().st_size < 22e6
    assert target.stat().st_mode & 0o777 == 0o644
    assert "default_detail: 0.7" in capsys.readouterr().out


def test_one_checkpoint_becomes_one_end(
    runs: list[Path],
    states: tuple[dict[str, Tensor], dict[str, Tensor]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = tmp_path / "lite.safetensors"
    arguments = (runs[1], "--recipe", "my own", "--target", target)
    assert run_script(*arguments, monkeypatch=monkeypatch) == 0

    tensors = load_file(target)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert_is(tensors, states[1], within=5e-4)
    assert read_weights(target).detail is None
    assert read_metadata(target)["recipe"] == "my own"


def test_a_checkpoint_of_another_network_is_not_exported(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.pt"
    save_checkpoint(other, {"step": 1, "params_ema": {"weight": torch.zeros(3)}})
    target = tmp_path / "lite.safetensors"
    settings = {"default_detail": 0.5, "recipes": ["", ""]}

    with pytest.raises(WeightsError, match=r"other\.pt: does not fit Lite"):
        export_lite.export([runs[0], other], target, **settings)
    with pytest.raises(ConfigError, match="default detail must be a number from 0 to 1, got 2"):
        export_lite.export(runs, target, **{**settings, "default_detail": 2})
    assert run_script(other, "--target", target, monkeypatch=monkeypatch) == 1
    assert not list(tmp_path.glob("lite*"))


def test_a_default_detail_needs_two_ends(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run_script(runs[0], "--default-detail", 0.5, monkeypatch=monkeypatch)
    assert "needs two checkpoints" in capsys.readouterr().err
