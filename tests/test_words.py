"""Prose in this repository is plain English: a short list of words and phrases is banned.

Checked are comments and strings in Python (the tests, too), comments in TOML and shell files, and
Markdown. Identifiers are not checked, and neither are licenses, which are in files of other kinds.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_FOLDERS = ("configs", "docs", "examples", "scripts", "tests", "vidrestore")
_SUFFIXES = frozenset({".py", ".md", ".toml", ".sh"})
_STORED = r"(?:files?|folders?|directory|checkpoints?|weights|sources?|outputs?|targets?)"
_BANNED = tuple(
    re.compile(r"\b" + text.replace(" ", r"[\s`]+") + r"\b", re.IGNORECASE)
    for text in (
        "anew",
        "shall",
        "thereof",
        "(?:is|are|was|were) told(?! apart)",
        "told of",
        "as deep",
        "a word on",
        "goes again",
        "of (?:its|their) own",
        # One spelling, that of torch and NumPy.
        "(?:[a-z]*colour|neighbour|grey|behaviour|centre|cent(?:red|ring)|programme(?!r))[a-z]*",
        "(?:analys(?:e|ing)|(?:optimis|normalis|recognis|quantis|initialis)[a-z]*)",
        # Files are somewhere; values lie between others.
        rf"{_STORED} (?:that )?(?:lies?|lay)(?! (?:about|between|to|within)\b)",
        "(?:lies?|lay) (?:beside|in|on) (?:(?:the|a) )?(?:disk|folder|output|storage|target)",
    )
)


def _paths() -> list[Path]:
    inside = (path for folder in _FOLDERS for path in (_ROOT / folder).rglob("*"))
    paths = (path for path in (*_ROOT.glob("*"), *inside) if path.suffix in _SUFFIXES)
    return sorted(path for path in paths if path != Path(__file__))


def _comments(code: str) -> dict[int, str]:
    """Return the comments of Python by line."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    return {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}


def _prose(text: str, suffix: str) -> Iterator[tuple[int, str]]:
    """Yield the texts of a file, each with the line it begins on."""
    if suffix == ".md":
        yield 1, text
        return
    if suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            # A single identifier is a key, which keeps its name.
            if isinstance(node, ast.Constant) and isinstance(value := node.value, str):
                yield from () if value.isidentifier() else ((node.lineno, value),)
        comments = _comments(text)
    else:
        comments = {number: line for number, line in enumerate(text.split("\n"), 1) if "#" in line}
    # Every line of the file, so that a phrase is found across the comments of two lines.
    lines = (comments.get(index, "|").partition("#")[2] for index in range(1, text.count("\n") + 2))
    yield 1, "\n".join(line or "|" for line in lines)


def _found(text: str, suffix: str) -> Iterator[tuple[int, str]]:
    """Yield the banned words of a file with their lines."""
    for start, prose in _prose(text, suffix):
        for pattern in _BANNED:
            for match in pattern.finditer(prose):
                yield start + prose.count("\n", 0, match.start()), " ".join(match[0].split())


def test_no_banned_words() -> None:
    hits = [
        f"{path.relative_to(_ROOT)}:{line}: {arguments}"
        for path in _paths()
        for line, arguments in _found(path.read_text(encoding="utf-8"), path.suffix)
    ]
    assert not hits, "rewrite in plain English:\n" + "\n".join(sorted(hits))


@pytest.mark.parametrize(
    ("suffix", "text", "hits"),
    [
        (".py", '"""One.\n\nTwo, begun anew."""\n', [(3, "anew")]),
        (".py", "x = f'{1}: it is told ' 'to stop'\n", [(1, "is told")]),
        (".py", "x = 1  # It shall\n", [(1, "shall")]),
        (".py", "# A class of its\n# own.\nx = 1\n", [(1, "of its own")]),
        (".py", "# where the folder\n# lies\nx = 1\n", [(1, "folder lies")]),
        (".py", "anew = shall = 'files are told apart; weights lie between two ends'\n", []),
        (".py", "x = 'Grey neighbours'\n", [(1, "Grey"), (1, "neighbours")]),
        (".py", "x = state['optimiser']\n", []),
        (".toml", "anew = 1 # as deep\n", [(1, "as deep")]),
        (".md", "Text\nthereof\n", [(2, "thereof")]),
    ],
)
def test_banned_words_are_searched_in_prose_only(
    suffix: str, text: str, hits: list[tuple[int, str]]
) -> None:
    assert list(_found(text, suffix)) == hits
