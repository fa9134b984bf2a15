"""A config is proven by its run, and by runs that go on without each loss term."""

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.golden import ROOT, load_script
from support.runs import write_faces

from vidrestore.toml_config import read_config
from vidrestore.training.engine.run import RunConfig

load_script(ROOT / "scripts" / "proof_measures.py")
prove_training: Any = load_script(ROOT / "scripts" / "prove_training.py")
CONFIGS = ROOT / "configs" / "train" / "proof"


def test_every_loss_term_of_a_config_is_switched_off_once() -> None:
    found: dict[str, set[str]] = {}
    for path in CONFIGS.glob("*.toml"):
        names = prove_training.switches(read_config(path, RunConfig))
        found[path.stem] = {name.rsplit(".", 1)[-1] for name in names}
        for name in names:
            read_config(path, RunConfig, overrides=[f"{name}=0.0"])
    assert found["gfpgan_64"] >= {"l1", "pyramid", "perceptual", "style", "adversarial", "identity"}
    assert found["stylegan2_64"] == {"r1_weight", "path_weight"}
    assert found["parser_64"] == {"label_weight", "pixel_weight"}
    assert found["psfrgan_64"] == {"matching_weight", "style_weight", "adversarial_weight"}
    assert found["prior_64"] >= {"styles", "pyramid"}


def test_a_prior_gets_curves_a_sheet_and_measures_without_each_penalty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_faces(tmp_path / "data")
    config = tmp_path / "small.toml"
    config.write_text(f"""
steps = 2
precision = "fp32"
log_every = 1
[stylegan2]
batch = {{ size = 2, num_workers = 0 }}
generator = {{ lr = 1e-3 }}
discriminator = {{ lr = 1e-3 }}
narrow = 0.0625
style_dim = 16
mapping_layers = 1
r1_interval = 1
path_interval = 1
[stylegan2.data]
root = "{root}"
sources = [{{ folder = "faces" }}]
recipes = [{{ name = "none", probability = 1.0 }}]
size_px = 32
min_resolution_ratio = 1.0
""")
    monkeypatch.setattr(prove_training, "load_identity_network", lambda _: None)
    options = ["--runs", str(tmp_path / "runs"), "--held-out", "faces", "--term-steps", "1"]
    options += ["--seeds", "2", "--count", "2"]
    monkeypatch.setattr(sys, "argv", ["prove_training.py", str(config), *options])
    prove_training.main()

    names = {path.name for path in tmp_path.iterdir()}
    assert {"small.csv", "small_curves.png", "small.jpg", "small_terms.csv"} <= names
    with (tmp_path / "small_terms.csv").open() as file:
        table = list(csv.DictReader(file))
    runs = {(row["run"], row["seed"]): row for row in table}
    for seed in "01":
        without = [runs[f"without {name}", seed] for name in ("r1_weight", "path_weight")]
        assert without[0] != runs["all terms", seed] | {"run": "without r1_weight"}
        assert all(float(row["path_variation"]) > 0 for row in without)
    change = runs["without r1_weight: change", ""]
    differences = [
        float(runs["without r1_weight", seed]["discriminator_slope"])
        - float(runs["all terms", seed]["discriminator_slope"])
        for seed in "01"
    ]
    assert float(change["discriminator_slope"]) == pytest.approx(np.mean(differences), abs=2e-7)
    error = abs(differences[0] - differences[1]) / 2
    found = float(runs["without r1_weight: standard error", ""]["discriminator_slope"])
    assert found == pytest.approx(error, abs=2e-7)
    assert change["measure"] == "+discriminator_slope"
    assert (change["shown"] == "yes") == (np.mean(differences) > 2 * error)
    assert "without path_weight" in capsys.readouterr().out
