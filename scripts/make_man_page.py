"""Make the manual page ``man/vidrestore.1`` from the settings, the commands and the exit codes.

    python scripts/make_man_page.py

The wheel installs it as ``share/man/man1/vidrestore.1``. A test fails if it is out of date.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from vidrestore import __version__
from vidrestore.cli import COMMANDS
from vidrestore.cli.exit_codes import ExitCode
from vidrestore.cli.parsing.help_text import default_text
from vidrestore.cli.parsing.options import CommandOptions
from vidrestore.cli.restore import RestoreCommand
from vidrestore.settings import GROUPS, JobSettings, RestoreSettings, Setting, settings_of

PAGE = Path(__file__).parent.parent / "man" / "vidrestore.1"

_DESCRIPTION = """\
Restores the faces of a film, an image sequence or an image. Audio, subtitles, chapters and
timestamps are kept as they are, and so is every pixel outside the faces."""
_EXIT_CODES = {
    ExitCode.OK: "Done.",
    ExitCode.FAILED: "It failed; one line on standard error says why, and what to do.",
    ExitCode.USAGE: "The command line is wrong.",
    ExitCode.INTERRUPTED: "Ended by Ctrl-C.",
    ExitCode.PIPE_CLOSED: "The program behind a pipe ended first.",
    ExitCode.TERMINATED: "Ended by SIGTERM.",
}
_VARIABLES = {
    "VIDRESTORE_WEIGHTS": "Folder of downloaded weights.",
    "VIDRESTORE_WEB_PASSWORD": "Password of the page of vidrestore web.",
}
_EXAMPLES = (
    ("vidrestore film.mp4 -o restored.mp4", "Restore the faces of a film."),
    ("vidrestore film.mkv -o master.mkv --profile archive", "Lossless, with a proof."),
    ("vidrestore film.mkv -o restored.mkv --resume", "Continue a run that was stopped."),
    ("vidrestore batch films/ -o restored/", "Restore all films of a folder."),
)


def man_page() -> str:
    """Return the page, in the man macros of troff (man(7))."""
    return "\n".join([*_lines(), ""])


def _lines() -> Iterator[str]:
    yield f'.TH VIDRESTORE 1 "" "vidrestore {__version__}" "User Commands"'
    yield from (".SH NAME", r"vidrestore \- restore faces in old or damaged film")
    yield from (".SH SYNOPSIS", r".B vidrestore", r".I SOURCE \-o OUTPUT", r"[\fIoptions\fR]")
    yield from (".br", ".B vidrestore", r"\fICOMMAND\fR [\fIarguments\fR]")
    yield from (".SH DESCRIPTION", *_DESCRIPTION.splitlines())
    yield ".SH COMMANDS"
    yield _text("vidrestore COMMAND --help lists the options of a command.")
    for command in COMMANDS:
        yield from _command(command)
    settings = _settings()
    yield ".SH OPTIONS"
    for group in GROUPS:
        yield f".SS {group}"
        for setting in settings:
            if setting.option.group == group and not setting.option.positional:
                yield from _option(setting)
    yield ".SH EXIT STATUS"
    for code in ExitCode:
        yield from _item(str(code.value), _EXIT_CODES[code])
    yield ".SH ENVIRONMENT"
    for name, text in _VARIABLES.items():
        yield from _item(name, text)
    yield ".SH EXAMPLES"
    for command, text in _EXAMPLES:
        yield from _item(command, text)


def _settings() -> list[Setting]:
    """Return the settings of the root command, each once."""
    found: dict[str, Setting] = {}
    for owner in (RestoreCommand, CommandOptions, RestoreSettings, JobSettings):
        for setting in settings_of(owner):
            found.setdefault(setting.name, setting)
    return [*found.values()]


def _command(name: str) -> Iterator[str]:
    """Yield a command with what the docstring of its module says."""
    docstring = import_module(f"vidrestore.cli.{name}").__doc__ or ""
    match = re.match(r"``vidrestore ([^`]+)``: ([^\n]+)", docstring)
    if match is None:
        raise ValueError(f"vidrestore.cli.{name}: its docstring must start with its command")
    yield from _item(match[1], match[2])


def _option(setting: Setting) -> Iterator[str]:
    names = [name for name in (setting.option.short, setting.flag) if name]
    value = rf" \fI{_text(setting.metavar)}\fB" if setting.metavar else ""
    default = "" if setting.type is bool else default_text(setting)
    more = f" (default: {default})" if default not in ("", "required") else ""
    yield ".TP"
    yield rf"\fB{', '.join(_text(name) + value for name in names)}\fR"
    yield _text(setting.option.help.replace("`", "") + more)


def _item(head: str, text: str) -> Iterator[str]:
    yield from (".TP", rf"\fB{_text(head)}\fR", _text(text))


def _text(text: str) -> str:
    """Return a text as troff reads it: no character of it is a command."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq")
    return rf"\&{escaped}" if escaped.startswith(".") else escaped


def main() -> int:
    """Write the page, or check that it is up to date."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it is old")
    if not parser.parse_args().check:
        PAGE.write_text(man_page(), encoding="ascii")
        return 0
    return 0 if PAGE.read_text(encoding="ascii") == man_page() else 1


if __name__ == "__main__":
    sys.exit(main())
