"""``vidrestore verify SOURCE RESULT``: check a result against its source."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from vidrestore.cli.exit_codes import ExitCode
from vidrestore.cli.parsing.arguments import parse_command
from vidrestore.progress import comparing
from vidrestore.storage.source_path import checked_source
from vidrestore.text import printable_text

if TYPE_CHECKING:
    from vidrestore.verify import Verification

_STYLES = {
    "kept": "green",
    "changed": "bold red",
    "not promised": "yellow",
    "not checked": "yellow",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyCommand:
    """Compare a restored film with its source, and check that nothing else changed.

    A result must have the same frames at the same times, the same packets of audio and subtitles,
    and the same chapters, tags and side data; in a lossless result, all samples outside the faces
    must be the same, too, bit for bit. The exit code is 0 if all checks passed, else 1.
    """

    source: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="SOURCE")]
    """Film, folder of frames, or image."""
    result: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RESULT")]
    """Output of `vidrestore SOURCE -o RESULT`."""
    record: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Record that the run wrote with --record: the faces' masks and the settings."""
    report: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Report that the run wrote with --report, or its record."""
    json: bool = False
    """Print JSON."""
    quiet: bool = False
    """Print nothing, only set the exit code."""
    debug: bool = False
    """Print the traceback of an error, too."""


def run(argv: Sequence[str]) -> ExitCode:
    """Run ``vidrestore verify``."""
    command = parse_command(VerifyCommand, "verify", argv)
    checked_source(command.source)
    checked_source(command.result)
    # Imported late: decoding needs FFmpeg, but a missing file does not.
    from vidrestore.cli.display.progress_bars import restore_display
    from vidrestore.verify import verify

    paths = [path for path in (command.record, command.report) if path is not None]
    with restore_display(quiet=command.quiet) as display:
        on_frames = comparing(display.show)
        verification = verify(
            command.source, command.result, evidence_paths=paths, on_frames=on_frames
        )
    if command.json:
        print(json.dumps(verification.to_json(), indent=2))
    elif not command.quiet:
        _print_table(verification)
    return ExitCode.OK if verification.kept else ExitCode.FAILED


def _print_table(verification: "Verification") -> None:
    from rich.table import Table
    from rich.text import Text

    from vidrestore.cli.display.progress_bars import stdout_console

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(max_width=44)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in verification.checks:
        table.add_row(
            printable_text(check.name, " "),
            Text(check.result, style=_STYLES[check.result]),
            printable_text(check.detail, " "),
        )
    console = stdout_console()
    console.print(table)
    broken = [check.name for check in verification.checks if check.result == "changed"]
    outcome = f"changed: {', '.join(broken)}" if broken else "all checks passed"
    console.print(printable_text(f"{verification.result}: {outcome}", " "))
