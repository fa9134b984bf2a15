"""What repair changes in a film as it is: printed, and drawn."""

import re
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from support.clips import Clip, make_clip
from support.golden import ROOT, load_script

# Scripts import each other by name: each one is loaded before those that import it.
film_damage: Any = load_script(ROOT / "scripts" / "film_damage.py")
measure_repair: Any = load_script(ROOT / "scripts" / "measure_repair.py")
look_repair: Any = load_script(ROOT / "scripts" / "look_repair.py")

SPOT = (40, 60)
"""x and y of the only speck, in frame 2."""


def picture(number: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(1).random((6, 8)).astype(np.float32)
    smooth = 90 + 40 * np.asarray(cv2.resize(coarse, size_hw[::-1], interpolation=cv2.INTER_CUBIC))
    frame = np.repeat(smooth.astype(np.uint8)[:, :, None], 3, axis=2)
    if number == 2:
        cv2.circle(frame, SPOT, 2, (250, 250, 250), -1)
    return frame


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    clip = Clip(ticks=tuple(range(5)), size_hw=(96, 128), codec="ffv1", picture=picture)
    film = make_clip(tmp_path / "film.mkv", clip)

    def run(*words: object) -> str:
        monkeypatch.setattr(sys, "argv", ["look_repair.py", str(film), *map(str, words)])
        look_repair.main()
        return capsys.readouterr().out

    return run


def test_the_share_of_each_repair_is_printed(run: Any) -> None:
    dust, scratches, flicker = run().splitlines()

    share = re.fullmatch(
        r"dust +([\d.]+) % of luma, [\d.]+ % of chroma; 1 specks in 1 of 5 frames", dust
    )
    assert share is not None
    assert 9 <= float(share[1]) / 100 * 5 * 96 * 128 < 60
    assert scratches.split()[1] == "0.0000"
    assert flicker.endswith("curves in 0 of 5 frames")


def test_a_place_is_drawn_with_its_neighbors(run: Any, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    assert "1 places" in run("--repair", "dust", "-o", sheet)

    drawn = cv2.imread(str(sheet))
    assert drawn is not None
    middles = [drawn[18 + 120, left * 244 + 120].astype(int).mean() for left in range(4)]
    before, damaged, repaired, after = middles
    assert damaged > 200
    assert abs(repaired - before) < 10
    assert abs(after - before) < 10


def test_a_sheet_is_of_one_kind(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("-o", "sheet.png")
    assert "one kind" in capsys.readouterr().err
