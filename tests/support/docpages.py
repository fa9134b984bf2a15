"""README and docs as data: their commands, links, tables and the options they name."""

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from support.golden import ROOT

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ASSIGNMENT = re.compile(r"[A-Z_]+=")


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a page."""

    page: str
    words: tuple[str, ...]
    """The program and its arguments; variables that are set before it are left out."""

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a page in a language."""
    return [text for kind, text in _BLOCK.findall(page.read_text("utf-8")) if kind == language]


def cells(notebook: Path) -> list[str]:
    """Return the code cells of a notebook, in order."""
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return _BLOCK.sub("", page.read_text("utf-8"))


def commands() -> list[Command]:
    """Return every command of every page, each once."""
    result = {
        arguments: Command(page.stem, arguments)
        for page in reversed(PAGES)  # the README's stay
        for block in blocks(page, "sh")
        for line in block.splitlines()
        for arguments in _words_of(line)
    }
    return list(result.values())


def _words_of(line: str) -> list[tuple[str, ...]]:
    arguments: list[list[str]] = [[]]
    for word in shlex.split(line, comments=True):
        if word == "&&":
            arguments.append([])
        elif arguments[-1] or not _ASSIGNMENT.match(word):
            arguments[-1].append(word)
    return [tuple(word) for word in arguments if word]


def rows(page: Path, heading: str) -> list[tuple[str, ...]]:
    """Return the cells of the first table below a heading, without its head."""
    text = page.read_text("utf-8").split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    # A bar inside code is escaped.
    cells = [re.split(r"(?<!\\)\|", line.strip("|")) for line in lines[2:]]
    return [tuple(cell.strip().replace("\\|", "|") for cell in row) for row in cells]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as hosts of Markdown make them."""
    heads = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
