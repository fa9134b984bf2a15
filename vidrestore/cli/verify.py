"""``vidrestore verify SOURCE RESULT``: check a result against its source."""

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from vidrestore.cli.exit_codes import ExitCode
from vidrestore.storage.source_path import checked_source

if TYPE_CHECKING:
    from vidrestore.verify import Verification
    from vidrestore.verify.frame_comparison import OnFrames

_STYLES = {
    "kept": "green",
    "changed": "bold red",
    "not promised": "yellow",
    "not checked": "yellow",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyCommand:
    """Compare a restored film with its source, and check that nothing else changed.

    A result must have the same frames at the same times, the same packets of sound and subtitles,
    and the same chapters, tags and side data; a lossless result also the same samples outside the
    faces, bit for bit. The exit code is 0 if all checks passed, else 1.
    """

    source: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="SOURCE")]
    """Film, folder of frames, or image."""
    result: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RESULT")]
    """Output of `vidrestore SOURCE -o RESULT`."""
    record: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Record that the run wrote with --record: the faces' masks and the settings."""
    report: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Report that the run wrote with --report; a record is accepted, too."""
    json: bool = False
    """Print JSON."""
    quiet: bool = False
    """Print nothing, only set the exit code."""
    debug: bool = False
    """Print the traceback of an error, too."""


def run(argv: Sequence[str]) -> ExitCode:
    """Run ``vidrestore verify``."""
    command = tyro.cli(
        VerifyCommand, prog="vidrestore verify", args=argv, config=(tyro.conf.FlagCreatePairsOff,)
    )
    checked_source(command.source)
    checked_source(command.result)
    # Imported late: decoding needs FFmpeg, but a missing file does not.
    from vidrestore.verify import verify

    paths = [path for path in (command.record, command.report) if path is not None]
    with _display(quiet=command.quiet) as show:
        found = verify(command.source, command.result, evidence_paths=paths, on_frames=show)
    if command.json:
        print(json.dumps(found.to_json(), indent=2))
    elif not command.quiet:
        _print_table(found)
    return ExitCode.OK if found.kept else ExitCode.FAILED


@contextmanager
def _display(*, quiet: bool) -> Generator["OnFrames"]:
    from vidrestore.cli.display.progress_bars import restore_display
    from vidrestore.progress import Progress

    with restore_display(quiet=quiet) as display:

        def show(frames: int, total: int | None) -> None:
            display.show(
                Progress(stage="comparing", frames_done=frames, frames_total=total, faces_done=0)
            )

        yield show


def _print_table(found: "Verification") -> None:
    from rich.table import Table
    from rich.text import Text

    from vidrestore.cli.display.progress_bars import stdout_console

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(max_width=44)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in found.checks:
        table.add_row(
            _printable(check.name),
            Text(check.result, style=_STYLES[check.result]),
            _printable(check.detail),
        )
    console = stdout_console()
    console.print(table)
    broken = [check.name for check in found.checks if check.result == "changed"]
    if broken:
        console.print(_printable(f"{found.result}: changed: {', '.join(broken)}"))
    else:
        console.print(_printable(f"{found.result}: all checks passed"))


def _printable(text: str) -> str:
    """Return ``text`` without control characters, which the terminal would obey."""
    return "".join(mark if mark.isprintable() else " " for mark in text)
