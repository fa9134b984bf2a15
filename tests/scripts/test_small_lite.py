"""Pairs of small faces, and the file of the weights that they train."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.facefolders import write_faces
from support.golden import ROOT, load_script
from torch import Tensor

from vidrestore.models.lite import build_lite
from vidrestore.training.on_device.lite_weights import EMBEDDED_SMALL, read_starting_state
from vidrestore.weights.bundled import bundled_file
from vidrestore.weights.load import read_weights
from vidrestore.weights.save import save_weights

for needed in ("distill_small_lite", "train_gpu"):  # scripts import each other by name
    load_script(ROOT / "scripts" / f"{needed}.py")
small_lite: Any = load_script(ROOT / "scripts" / "small_lite.py")
CONFIG = ROOT / "configs" / "train" / "lite_small_cpu.toml"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["small_lite.py", *map(str, arguments)])
    return int(small_lite.main())


def tensors(state: dict[str, Tensor], noise: float) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: (value + noise * torch.randn(value.shape, generator=generator)).contiguous()
        for name, value in state.items()
    }


def test_a_pair_is_a_small_face_and_its_original_at_the_size_of_small_crops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_faces(tmp_path / "faces", count=2, side_px=512)
    chosen = [f"data.faces.root='{tmp_path}'", "data.faces.sources=[{folder='faces'}]",
              "teacher.recipes=[{name='none', probability=1.0}]"]  # fmt: skip
    words = [word for value in chosen for word in ("--set", value)]
    pairs = tmp_path / "pairs"
    for _ in range(2):  # the second run finds everything done
        assert run(monkeypatch, "pairs", CONFIG, pairs, "--count", 2, *words) == 0
    degraded, target, _ = small_lite.TeacherCache(pairs, count=2, side_px=256).images
    for small, original in zip(degraded, target, strict=True):
        difference = np.abs(small.astype(float) - original)
        # Undegraded: only resampled, and noise of up to three levels.
        assert 0 < difference.mean() < 12


def test_trained_weights_become_the_default_and_the_fidelity_end_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = tensors(read_starting_state(EMBEDDED_SMALL), 0.01)
    save_weights(trained, tmp_path / "trained.safetensors", {})
    target = tmp_path / "packed.safetensors"
    assert run(monkeypatch, "pack", tmp_path / "trained.safetensors", target) == 0

    default = read_weights(target).state
    assert default.keys() == build_lite().state_dict().keys()
    for name, value in default.items():
        torch.testing.assert_close(value, trained[name], atol=2e-3, rtol=2e-2)
    with bundled_file("lite_small.safetensors") as packaged:
        before = read_weights(packaged, detail=0.0).state
    for name, value in read_weights(target, detail=0.0).state.items():
        torch.testing.assert_close(value, before[name], atol=1e-6, rtol=0.01)
