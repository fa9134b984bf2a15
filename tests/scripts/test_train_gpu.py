"""One command trains, another joins files that came in parts; errors are one line."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.devicetraining import training_root, use_small_restorer
from support.facefolders import write_faces
from support.golden import ROOT, load_script

from vidrestore.training.split_files import split_file

train_gpu: Any = load_script(ROOT / "scripts" / "train_gpu.py")

CONFIG = """
start = "untrained"
precision = "fp32"
log_every = 1
[data]
held_out = 1
workers = 0
rows = 16
recipes = [{ name = "gfpgan", share = 1.0 }]
[data.faces]
root = "ROOT"
size_px = 64
sources = [{ folder = "faces" }]
recipes = [{ name = "film", share = 1.0 }]
[[stages]]
name = "only"
steps = 2
side_px = 64
batch = 2
keeps = "fidelity"
[stages.generator]
lr = 1e-4
[stages.weights]
log_l1 = 1.0
"""


def run_script(*words: object, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["train_gpu.py", *map(str, words)])
    return train_gpu.main()


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_small_restorer(monkeypatch)
    root = training_root(tmp_path / "data")
    path = tmp_path / "tiny.toml"
    path.write_text(CONFIG.replace("ROOT", str(root)))
    return path


def test_training_prints_its_speed_and_writes_its_files(
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    more = write_faces(tmp_path / "more", count=3, side_px=64)
    run = tmp_path / "run"
    arguments = ("train", config, run, "--device", "cpu", "--minutes", 1, "--generated", more)
    assert run_script(*arguments, monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "only: step 2 of about 2" in printed
    assert "steps/s" in printed
    assert "samples/s" in printed
    for name in ("lite.safetensors", "curves.png", "sheet.png", "last.pt"):
        assert (run / name).stat().st_size > 0
    uninterrupted = (run / "last.pt").read_bytes()
    (run / "last.pt").unlink()
    assert run_script("join", run, monkeypatch=monkeypatch) == 0
    assert (run / "last.pt").read_bytes() == uninterrupted


def test_pairs_are_for_lite_alone(
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ("teach", config, tmp_path / "pairs", "--set", "network='prior'")
    assert run_script(*arguments, monkeypatch=monkeypatch) == 1
    assert "the teacher is for lite, not prior" in capsys.readouterr().err


def test_pairs_are_distributed_over_processes(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = tmp_path / "pairs"
    for share in (0, 1):
        arguments = ("teach", config, pairs, "--count", 2, "--shares", 2, "--share", share)
        assert run_script(*arguments, "--device", "cpu", monkeypatch=monkeypatch) == 0
    meta = train_gpu.TeacherCache(pairs, count=2, side_px=64).meta
    assert bool((meta[:, 0] != 0).all())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--set", "stages=[]"), "there must be a stage"),
        (("--set", "data.rows='many'"), "data.rows: expected int"),
        (("--set", "network='prior'"), "prior starts from embedded or a file"),
        (("--device", "gpu"), "unknown device 'gpu'"),
        (("--generated", "nowhere"), "contains neither tiles.tsv nor faces.tsv"),
    ],
)
def test_invalid_arguments_are_a_one_line_error(
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    message: str,
) -> None:
    assert run_script("train", config, tmp_path / "run", *words, monkeypatch=monkeypatch) == 1
    assert message in capsys.readouterr().err


def test_a_truncated_or_missing_part_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_script("join", tmp_path, monkeypatch=monkeypatch) == 1
    assert "no list of parts" in capsys.readouterr().err
    (tmp_path / "last.pt").write_bytes(b"abc" * 10)
    listed = split_file(tmp_path / "last.pt", part_bytes=20)
    part = tmp_path / json.loads(listed.read_text())["parts"][1]["name"]
    part.write_bytes(b"")
    assert run_script("join", tmp_path, monkeypatch=monkeypatch) == 1
    assert "0 bytes of 10" in capsys.readouterr().err
