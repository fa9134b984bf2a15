"""What repair removes from a film, measured by the script."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from support.clips import Clip, make_clip
from support.golden import ROOT, load_script

from vidrestore.types import TrackedFrame

measure_repair: Any = load_script(ROOT / "scripts" / "measure_repair.py")


def moving_texture(number: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(1).random((12, 20)).astype(np.float32)
    large = np.asarray(cv2.resize(coarse, (300, 180), interpolation=cv2.INTER_CUBIC))
    picture = 70 + 90 * large[: size_hw[0], number : number + size_hw[1]]
    return np.repeat(np.clip(picture, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clip = Clip(ticks=tuple(range(8)), size_hw=(128, 160), codec="ffv1", picture=moving_texture)
    return make_clip(tmp_path_factory.mktemp("film") / "film.mkv", clip)


@pytest.fixture
def run(film: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["measure_repair.py", str(film), *words])
        measure_repair.main()
        return capsys.readouterr().out

    return run


def test_removed_damage_and_other_changes_are_measured(run: Any) -> None:
    words = ("--damage", "dust,flicker", "--seed", "3", "--frames", "8")
    report = json.loads(run(*words, "--json"))

    assert 0.5 < report["removed"] <= 1
    assert 0 <= report["changed"] < measure_repair.MAX_CHANGED
    assert 0.5 < report["flicker removed"] <= 1
    assert report["PSNR after"] > report["PSNR before"] + 3
    lines = dict(line.split(maxsplit=1) for line in run(*words).splitlines() if "PSNR" not in line)
    assert float(lines["removed"].split()[0]) == pytest.approx(100 * report["removed"], abs=1e-4)


def test_a_repair_that_does_nothing_removes_nothing(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep(frames: list[TrackedFrame], _kinds: object) -> list[TrackedFrame]:
        return frames

    monkeypatch.setattr(measure_repair, "repair_frames", keep)
    report = json.loads(run("--damage", "scratches,dust", "--json"))

    assert report["removed"] == 0
    assert report["changed"] == 0
    assert report["flicker removed"] is None
    assert report["PSNR after"] == report["PSNR before"]


def test_changed_good_pixels_are_counted(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def flip_bits(frames: list[TrackedFrame], _kinds: object) -> Iterator[TrackedFrame]:
        for tracked in frames:
            luma, *chroma = tracked.frame.planes
            yield replace(
                tracked, frame=tracked.frame.with_planes((luma ^ luma.dtype.type(1), *chroma))
            )

    monkeypatch.setattr(measure_repair, "repair_frames", flip_bits)

    assert json.loads(run("--damage", "dust", "--json"))["changed"] == 1


def test_an_unknown_kind_of_damage_is_refused(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("--damage", "dust,mold")
    assert "dust,scratches,flicker" in capsys.readouterr().err
