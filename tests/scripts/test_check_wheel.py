"""The check of a wheel's content, and that it can fail."""

from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from support.golden import ROOT, load_script

check_wheel: Any = load_script(ROOT / "scripts" / "check_wheel.py")

INFO = "vidrestore-0.1.0.dist-info"
MAN_PAGE = "vidrestore-0.1.0.data/data/share/man/man1/vidrestore.1"
METADATA = (
    "Metadata-Version: 2.4\nName: vidrestore\nRequires-Python: >=3.11\n"
    "License-Expression: Apache-2.0\nRequires-Dist: torch\nProject-URL: Homepage, x\n"
)
SOURCE = {"vidrestore/__init__.py": "x = 1\n", "vidrestore/models/data/weights.bin": "w" * 100}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, content in SOURCE.items():
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    cache = tmp_path / "source" / "vidrestore" / "__pycache__"
    cache.mkdir()
    (cache / "x.pyc").write_bytes(b"x")
    return tmp_path / "source"


def wheel_of(folder: Path, changes: dict[str, str | None]) -> Path:
    """Write a wheel of ``SOURCE`` with ``changes``; None leaves a file out."""
    complete: dict[str, str | None] = {
        **SOURCE,
        MAN_PAGE: "x",
        **{f"{INFO}/{name}": "x" for name in check_wheel.DIST_INFO_FILES},
        f"{INFO}/METADATA": METADATA,
        **changes,
    }
    path = folder / "vidrestore-0.1.0-py3-none-any.whl"
    with ZipFile(path, "w") as wheel:
        for name, content in complete.items():
            if content is not None:
                wheel.writestr(name, content)
    return path


def test_a_complete_wheel_has_no_problem(root: Path, tmp_path: Path) -> None:
    assert check_wheel.problems_of(wheel_of(tmp_path, {}), root=root) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"vidrestore/models/data/weights.bin": None},
            "vidrestore/models/data/weights.bin is missing",
        ),
        ({"vidrestore/old.py": "x"}, "vidrestore/old.py is not in the source"),
        ({"vidrestore/__init__.py": "x = 2\n"}, "vidrestore/__init__.py differs from the source"),
        ({"tests/test_x.py": "x"}, "tests/test_x.py is outside the package"),
        ({MAN_PAGE: None}, f"{MAN_PAGE} is missing"),
        ({f"{INFO}/licenses/LICENSE": None}, f"{INFO}/licenses/LICENSE is missing"),
        (
            {f"{INFO}/METADATA": METADATA.replace("Requires-Dist: torch\n", "")},
            "METADATA has no Requires-Dist",
        ),
        (
            {"other-1.0.dist-info/METADATA": METADATA},
            "no single vidrestore-VERSION.dist-info folder",
        ),
    ],
)
def test_problems_of_a_wheel_are_named(
    root: Path, tmp_path: Path, changes: dict[str, str | None], problem: str
) -> None:
    assert check_wheel.problems_of(wheel_of(tmp_path, changes), root=root) == [problem]


def test_a_large_wheel_is_refused_with_both_sizes(root: Path, tmp_path: Path) -> None:
    wheel_path = wheel_of(tmp_path, {})
    size_bytes = wheel_path.stat().st_size

    assert check_wheel.problems_of(wheel_path, root=root, max_bytes=size_bytes) == []
    (problem,) = check_wheel.problems_of(wheel_path, root=root, max_bytes=size_bytes - 1)
    assert "the limit is" in problem


def test_the_command_fails_on_a_file_that_is_not_a_wheel(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken.whl"
    path.write_bytes(b"no zip file")

    assert check_wheel.main([str(path)]) == 1
    assert "cannot be read" in capsys.readouterr().err
