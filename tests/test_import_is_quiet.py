"""Importing is free of side effects; every check runs in a fresh interpreter."""

import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from support.clips import Clip, make_clip
from support.faceclips import FACE_SIZE_HW, face_picture
from support.programs import run_python


def run_code(code: str, *words: str, folder: Path | None = None) -> CompletedProcess[str]:
    strict = ("-W", "error::DeprecationWarning:vidrestore")
    return run_python(*strict, "-c", code, *words, folder=folder)


def test_importing_the_package_loads_no_heavy_library() -> None:
    code = """
import sys
import vidrestore, vidrestore.errors, vidrestore.progress, vidrestore.devices
heavy = {"torch", "numpy", "cv2", "av", "OpenImageIO", "scipy", "rich", "tyro", "scenedetect"}
heavy |= {"facexlib"}
print(sorted(heavy & set(sys.modules)))
"""
    done = run_code(code)

    assert (done.stdout, done.stderr, done.returncode) == ("[]\n", "", 0)


def test_help_loads_neither_torch_nor_rich() -> None:
    code = """
import sys
from vidrestore.cli import main
codes = main(["--help"]), main(["train", "--help"])
heavy = {"torch", "numpy", "cv2", "av", "OpenImageIO", "rich"}
print(*map(int, codes), sorted(heavy & set(sys.modules)))
"""
    done = run_code(code)

    assert done.stderr == ""
    assert done.stdout.endswith("\n0 0 []\n")


def test_a_film_is_restored_without_torchvision(tmp_path: Path) -> None:
    film = make_clip(
        tmp_path / "film.mp4",
        Clip(ticks=(0, 1, 2), size_hw=FACE_SIZE_HW, picture=face_picture),
    )
    code = """
import sys
sys.modules["torchvision"] = None  # an import of it is an error
from vidrestore.cli import main
sys.exit(int(main(sys.argv[1:])))
"""
    report = tmp_path / "report.json"
    done = run_code(code, str(film), "-o", str(tmp_path / "out.mp4"), "--report", str(report))

    assert done.returncode == 0, done.stderr
    assert json.loads(report.read_text())["faces"] == 3


REFUSED = """
import sys
from vidrestore.cli import main
code = main(sys.argv[1:])
print(int(code), sorted({"torch", "cv2", "av", "OpenImageIO", "scipy", "rich"} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("missing.mp4 -o x.mp4", 1, "missing.mp4: no such file"),
        ("missing.mp4 -o x.mp4 --dry-run", 1, "missing.mp4: no such file"),
        ("missing.mp4 -o x.mp4 --background", 1, "missing.mp4: no such file"),
        ("verify missing.mp4 x.mp4", 1, "missing.mp4: no such file"),
        ("review missing.mp4 x.mp4 --record x.jsonl -o x.html", 1, "missing.mp4: no such file"),
        ("info missing.mp4", 1, "missing.mp4: no such file"),
        ("film.mp4 -o x.mp4 --unknown", 2, "--unknown"),
        ("film.mp4 -o x.mp4 --codec divx", 2, "--codec"),
        ("film.mp4 -o x.mp4 --strength 2", 2, "--strength: must be a number from 0 to 1"),
        ("film.mp4 -o x.mp4 --crf 60", 2, "crf of h264 must be 0 to 51, got 60"),
        ("film.mp4 -o x.mp4 --start 5 --end 4", 2, "must come after the start"),
        ("batch . -o x --detail 7", 2, "--detail: must be a number from 0 to 1"),
        ("batch . -o x --codec prores --preset fast", 2, "unknown preset 'fast'"),
    ],
)
def test_refusing_a_source_loads_no_heavy_library(
    tmp_path: Path, words: str, code: int, message: str
) -> None:
    (tmp_path / "film.mp4").write_bytes(b"not opened")

    done = run_code(REFUSED, *words.split(), folder=tmp_path)

    assert done.stdout == f"{code} []\n"
    assert message in done.stderr


@pytest.mark.parametrize("command", ["{} -o x.mp4", "info {}"])
def test_a_file_that_is_not_a_film_is_refused_without_torch(tmp_path: Path, command: str) -> None:
    (tmp_path / "notes.mp4").write_bytes(b"opened, but no film")

    done = run_code(REFUSED, *command.format("notes.mp4").split(), folder=tmp_path)

    assert done.stdout.startswith("1 [")
    assert "'torch'" not in done.stdout
    assert "'scipy'" not in done.stdout
    assert "notes.mp4" in done.stderr


def test_settings_load_no_heavy_library() -> None:
    code = """
import sys
from vidrestore import JobSettings, RestoreSettings
JobSettings(), RestoreSettings()
print(sorted({"torch", "numpy", "cv2", "av", "OpenImageIO", "scipy", "rich"} & set(sys.modules)))
"""
    done = run_code(code)

    assert (done.stdout, done.stderr) == ("[]\n", "")


EVERY_MODULE = """
import importlib, pkgutil
import vidrestore
names = [module.name for module in pkgutil.walk_packages(vidrestore.__path__, "vidrestore.")]
names.remove("vidrestore.__main__")
"""

STATE = """
import logging, os, random, signal, sys, threading, warnings
# What foreign libraries do when imported is theirs (rich draws a random number).
import numpy, torch, torchvision, cv2, av, scipy.optimize, scenedetect, rich.console, tyro
import rich.progress, rich.table

def state():
    return {
        "python rng": random.getstate(),
        "numpy rng": str(numpy.random.get_state()),
        "torch rng": torch.random.get_rng_state().tolist(),
        "environment": dict(os.environ),
        "working folder": os.getcwd(),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "torch threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "opencv threads": cv2.getNumThreads(),
        "default dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "determinism": torch.are_deterministic_algorithms_enabled(),
        "tf32": (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32),
        "benchmark": torch.backends.cudnn.benchmark,
        "cuda touched": torch.cuda.is_initialized(),
        "root logging": (logging.root.level, list(logging.root.handlers)),
        "own logging": [
            name for name, logger in logging.root.manager.loggerDict.items()
            if name.startswith("vidrestore") and isinstance(logger, logging.Logger)
            and (logger.handlers or logger.level)
        ],
        "interrupt": signal.getsignal(signal.SIGINT),
        "termination": signal.getsignal(signal.SIGTERM),
        "print options": numpy.get_printoptions(),
        "float errors": numpy.geterr(),
        "recursion": sys.getrecursionlimit(),
    }
"""


def test_importing_every_module_has_no_side_effects() -> None:
    code = f"""
{STATE}
before = state()
{EVERY_MODULE}
for name in names:
    importlib.import_module(name)
after = state()
print(len(names), [key for key in before if before[key] != after[key]])
"""
    done = run_code(code)

    assert done.returncode == 0, done.stderr
    count, _, changed = done.stdout.partition(" ")
    assert int(count) > 10
    assert changed == "[]\n"
    assert done.stderr == ""
