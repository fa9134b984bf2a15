"""Every fault in the table of README.md: what is wrong, and how the program responds."""

import importlib
import os
from pathlib import Path

import pytest

_MODULES = ("files", "streams", "times", "targets", "killed", "names", "weights", "memory")
for _name in _MODULES:
    pytest.register_assert_rewrite(f"faults.{_name}")
pytest.register_assert_rewrite("faults.bench")

from faults.bench import Bench, Chapter, Fault  # noqa: E402  (their asserts are rewritten)

CHAPTERS: list[Chapter] = [importlib.import_module(f"faults.{name}").fault for name in _MODULES]
FAULTS: list[Fault] = [fault for chapter in CHAPTERS for fault in chapter.faults]
README = Path(__file__).with_name("README.md")
_TABLE = "<!-- table -->"


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.what for fault in FAULTS])
def test_every_fault_is_handled_without_partial_files(
    fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path / "bench", monkeypatch)
    bench.folder.mkdir()
    fault.check(bench)
    left = [name for name in bench.contents() if ".partial" in name or name.endswith(".tmp")]
    assert left == []


def table() -> str:
    """Return the table as Markdown."""
    lines: list[str] = []
    for chapter in CHAPTERS:
        lines += [
            "",
            f"## {chapter.title}",
            "",
            "| what is wrong | what happens |",
            "| --- | --- |",
        ]
        lines += [f"| {fault.what} | {fault.outcome} |" for fault in chapter.faults]
    return "\n".join(lines) + "\n"


def test_the_readme_has_the_table_of_faults() -> None:
    head, mark, result = README.read_text(encoding="utf-8").partition(_TABLE + "\n")
    assert mark
    if os.environ.get("VIDRESTORE_WRITE_TABLES"):
        README.write_text(head + mark + table(), encoding="utf-8")
    assert result == table(), "run this test with VIDRESTORE_WRITE_TABLES=1 to rewrite the table"


def test_every_fault_has_a_row_of_its_own() -> None:
    rows = [fault.what for fault in FAULTS]
    assert len(set(rows)) == len(rows)
