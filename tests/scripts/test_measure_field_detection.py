"""The measurement of false alarms finds those that there are."""

import sys
from pathlib import Path
from typing import Any

import pytest
from support.clips import Clip, make_clip
from support.fields import interlaced_clip, moving_picture
from support.golden import ROOT, load_script

measure: Any = load_script(ROOT / "scripts" / "measure_field_detection.py")


@pytest.mark.parametrize(("is_progressive", "code"), [(True, 0), (False, 1)])
def test_an_interlaced_film_among_progressive_ones_is_a_false_alarm(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    is_progressive: bool,
    code: int,
) -> None:
    monkeypatch.setattr(measure, "_VARIANTS", {"as it is": ("null", ("-c:v", "ffv1"))})
    monkeypatch.setattr(measure, "_INTERLACED", {})
    folder = tmp_path / "films"
    folder.mkdir()
    if is_progressive:
        clip = Clip(picture=moving_picture, ticks=range(30))
        make_clip(folder / "film.mkv", clip)
    else:
        interlaced_clip(folder / "film.mkv", ticks=range(30))
    monkeypatch.setattr(sys, "argv", ["measure_field_detection.py", str(folder)])

    assert measure.main() == code

    assert f"{code} false alarms" in capsys.readouterr().out
