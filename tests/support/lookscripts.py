"""The scripts that compare a film with its result, as modules, and films for them."""

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from support.clips import Clip, make_clip
from support.faceclips import FACE_SIZE_HW, face_picture
from support.fields import LOSSLESS
from support.golden import ROOT, load_script

# Scripts import each other by name: each one is loaded before those that import it.
film_pairs: Any = load_script(ROOT / "scripts" / "film_pairs.py")
look_sheet: Any = load_script(ROOT / "scripts" / "look_sheet.py")
look: Any = load_script(ROOT / "scripts" / "look.py")
measure_visible: Any = load_script(ROOT / "scripts" / "measure_visible.py")


def run_script(script: Any, *words: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a script with a command line, in this process."""
    monkeypatch.setattr(sys, "argv", [script.__name__, *map(str, words)])
    script.main()


def face_film(path: Path, frames: int = 12, **changes: object) -> Path:
    """Write a film of the face of the example, lossless by default."""
    settings = {
        **LOSSLESS,
        "ticks": tuple(range(frames)),
        "size_hw": FACE_SIZE_HW,
        "picture": face_picture,
        **changes,
    }
    return make_clip(path, Clip(**settings))  # type: ignore[arg-type]


def sharpened_picture(number: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the frame of the face after an unsharp mask."""
    picture = face_picture(number, size_hw)
    low_pass = cv2.GaussianBlur(picture, (0, 0), 2)
    return np.asarray(cv2.addWeighted(picture, 2.0, low_pass, -1.0, 0), dtype=np.uint8)


def woven_picture(number: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the frame of the face with its second field dark."""
    picture = face_picture(number, size_hw).copy()
    picture[1::2] //= 4
    return picture
