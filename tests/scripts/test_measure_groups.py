"""Gains by groups of faces."""

from pathlib import Path
from typing import Any

import pytest
import torch
from support.golden import ROOT, load_script

from vidrestore.errors import ConfigError

script: Any = load_script(ROOT / "scripts" / "measure_groups.py")


def test_the_luma_of_the_skin_is_that_of_the_cheeks() -> None:
    face = torch.zeros(3, 512, 512)
    face[:, 285:330, 150:350] = 0.5
    assert script.skin_luma(face) == pytest.approx(127.5, abs=1)


def test_groups_are_counted_and_averaged() -> None:
    gains = {
        "a": {"psnr": 1.0, "distance": 0.1},
        "b": {"psnr": 3.0, "distance": -0.1},
        "c": {"psnr": 5.0, "distance": 0.3},
    }
    table = script.summarize(gains, {"two": ["a", "b", "not here"], "none": ["z"]})
    assert table == {"two": {"faces": 2, "psnr": 2.0, "distance": 0.0, "moved_away": 1}}
    groups = script.measured_groups({"a": 50.0, "b": 100.0, "c": 200.0}, {"a": 0.3, "b": 0, "c": 0})
    assert groups["turned"] == ["a"]
    assert [len(members) for members in groups.values()] == [1, 2, 1, 1, 1]


def test_a_table_of_anything_but_names_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "groups.toml"
    path.write_text('old = ["a.png"]\nyoung = 3\n')
    with pytest.raises(ConfigError, match="young: must be a list of names"):
        script.read_groups(path)
    path.write_text('old = ["a.png"]\n')
    assert script.read_groups(path) == {"old": ["a.png"]}
