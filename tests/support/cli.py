"""What tests of the command line share: a failing action, and a terminal that keeps its text."""

import io
from collections.abc import Callable
from typing import TextIO, cast

import pytest


class Terminal(io.StringIO):
    """Text written to a terminal."""

    def isatty(self) -> bool:
        """A terminal."""
        return True


def open_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Return a terminal of 120 columns that takes the place of standard error."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", cast("TextIO", terminal))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return terminal


def raising(error: BaseException) -> Callable[[], None]:
    """Return an action that raises the error."""

    def act() -> None:
        raise error

    return act
