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

film_damage: Any = load_script(ROOT / "scripts" / "film_damage.py")
measure_repair: Any = load_script(ROOT / "scripts" / "measure_repair.py")


def moving_texture(number: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(1).random((12, 20)).astype(np.float32)
    large = np.asarray(cv2.resize(coarse, (300, 180), interpolation=cv2.INTER_CUBIC))
    picture = 70 + 90 * large[: size_hw[0], number : number + size_hw[1]]
    colored = picture[:, :, None] * np.array([1.2, 1.0, 0.7], dtype=np.float32)
    return np.clip(colored, 0, 255).astype(np.uint8)


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

    for planes in ("luma", "chroma"):
        assert 0.5 < report[f"{planes} removed"] <= 1
        assert 0 <= report[f"{planes} changed"] < measure_repair.MAX_CHANGED
    assert 0.5 < report["flicker removed"] <= 1
    assert report["luma PSNR after"] > report["luma PSNR before"] + 3
    printed = run(*words).splitlines()[0].split()
    assert printed[:2] == ["luma", "removed"]
    assert float(printed[2]) == pytest.approx(100 * report["luma removed"], abs=1e-4)


def test_colored_damage_is_stronger_in_chroma(run: Any) -> None:
    words = ("--damage", "dust", "--seed", "3", "--frames", "8", "--json")
    white, colored = json.loads(run(*words)), json.loads(run(*words, "--colored"))

    assert colored["chroma PSNR before"] < white["chroma PSNR before"] - 1
    assert colored["luma PSNR before"] > white["luma PSNR before"] + 1
    assert colored["chroma removed"] > 0.5
    assert colored["chroma changed"] < measure_repair.MAX_CHANGED
    assert colored["chroma PSNR after"] > colored["chroma PSNR before"] + 3


def test_white_damage_takes_the_color_from_chroma(film: Path) -> None:
    clean = film_damage.read_film(film, 3)
    damage = film_damage.Damage.draw(("dust",), 3)
    item = film_damage.damage_film(clean, damage)[0]
    gray = 128

    luma_change, *chroma = (
        np.abs(harmed.astype(int) - plane)
        for harmed, plane in zip(item.damaged.planes, item.clean.planes, strict=True)
    )
    assert luma_change.max() > 40
    for number, change in enumerate(chroma, 1):
        planes = (item.damaged.planes[number], item.clean.planes[number])
        nearer = [np.abs(plane.astype(int) - gray) for plane in planes]
        assert change.max() > 3
        assert (nearer[0] <= nearer[1] + 1).all()


def test_a_repair_that_does_nothing_removes_nothing(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep(frames: list[TrackedFrame], _kinds: object) -> list[TrackedFrame]:
        return frames

    monkeypatch.setattr(measure_repair, "repair_frames", keep)
    report = json.loads(run("--damage", "scratches,dust", "--json"))

    for planes in ("luma", "chroma"):
        assert report[f"{planes} removed"] == 0
        assert report[f"{planes} changed"] == 0
        assert report[f"{planes} PSNR after"] == report[f"{planes} PSNR before"]
    assert "flicker removed" not in report


def test_changed_good_pixels_are_counted(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def flip_bits(frames: list[TrackedFrame], _kinds: object) -> Iterator[TrackedFrame]:
        for tracked in frames:
            planes = tuple(plane ^ plane.dtype.type(1) for plane in tracked.frame.planes)
            yield replace(tracked, frame=tracked.frame.with_planes(planes))

    monkeypatch.setattr(measure_repair, "repair_frames", flip_bits)
    report = json.loads(run("--damage", "dust", "--json"))

    assert report["luma changed"] == 1
    assert report["chroma changed"] == 1


def test_an_unknown_kind_of_damage_is_refused(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("--damage", "dust,mold")
    assert "dust,scratches,flicker" in capsys.readouterr().err
