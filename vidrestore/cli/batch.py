"""``vidrestore batch FOLDER|LIST -o FOLDER``: restore many films."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidrestore.cli.exit_codes import ExitCode
from vidrestore.cli.parsing.options import CommandOptions, parse, print_project_file
from vidrestore.settings import JobSettings, RestoreSettings, option, required
from vidrestore.text import clock_text

if TYPE_CHECKING:
    from vidrestore.jobs.batch import FilmResult

_COLUMNS = ("film", "frames", "faces", "segments", "time", "result")
EXCLUDED = ("only_tracks", "track_strengths", "resume")
"""Settings that a batch does not have as options."""
_USAGE = "FOLDER|LIST -o FOLDER [options]"
_ABOUT = """\
Restore the faces of many films.

If a film fails, the others continue. Run the same command again to continue an
interrupted batch; films that have a result are skipped. A table at the end
lists the result of each film. With --engine ray, several films are restored at
once. The exit code is 1 if any failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCommand(CommandOptions):
    """Options of the command besides the settings."""

    source: Path = required(
        "Folder of films and of image sequences, or a text file with a path on each line.",
        group="What to restore",
        metavar="FOLDER|LIST",
        positional=True,
        per_run=True,
    )
    output: Path = required(
        "Folder for the restored films, each under its own name.",
        group="The output",
        metavar="FOLDER",
        short="-o",
        common=True,
        per_run=True,
    )
    ending: str | None = option(
        None,
        "Container of all results.",
        group="The output",
        metavar=".mkv|.mp4|...",
        means="that of each source",
        common=True,
    )
    compare: bool = option(
        False,
        "Also write comparison films, before and after side by side: NAME.compare.mkv.",
        group="Reports",
    )
    report: bool = option(
        False, "Also write a summary of each run, as JSON: NAME.json.", group="Reports"
    )
    record: bool = option(
        False,
        "Also write a record of every change, as JSON lines: NAME.jsonl.",
        group="Reports",
    )
    framemd5: bool = option(
        False,
        "Also write checksums of the written frames, as FFmpeg's framemd5: NAME.framemd5.",
        group="Reports",
    )
    json: bool = option(False, "Print the summary as JSON.", group="Reports")


def run(argv: Sequence[str]) -> ExitCode:
    """Parse the arguments of the command, restore, and print the summary."""
    arguments = parse(
        argv,
        BatchCommand,
        RestoreSettings,
        JobSettings,
        prog="vidrestore batch",
        usage=_USAGE,
        about=_ABOUT,
        exclude=EXCLUDED,
    )
    command = arguments.make(BatchCommand)
    if not command.quiet:
        print_project_file(arguments)
    settings, job = arguments.restore_settings(), arguments.job
    # Imported late: --help needs none of it.
    from vidrestore.jobs.batch_videos import SIDECARS, batch_films

    sidecars = {name for name in SIDECARS if getattr(command, name)}
    if settings.verify:
        sidecars.add("record")
    skipped: list[str] = []
    films = batch_films(
        command.source,
        command.output,
        suffix=command.ending,
        sidecars=sidecars,
        on_skipped=lambda path, reason: skipped.append(f"{path.name} is skipped: {reason}"),
    )
    if not command.quiet:
        for line in skipped:
            print(line, file=sys.stderr)
    # Imported only when there are films: the display needs rich, and restoring needs torch.
    from vidrestore.cli.display.batch_progress import batch_display
    from vidrestore.cli.display.progress_bars import warnings_on_stderr
    from vidrestore.jobs.batch import restore_batch

    with (
        warnings_on_stderr(quiet=command.quiet),
        batch_display(len(films), quiet=command.quiet) as display,
    ):
        results = restore_batch(
            films,
            settings=settings,
            job=job,
            on_progress=display.show,
            on_download=display.show_download,
        )
    if command.json:
        print(json.dumps([_result_json(result) for result in results], indent=2))
    else:
        _print_table(results)
    failed = any(result.outcome == "failed" for result in results)
    return ExitCode.FAILED if failed else ExitCode.OK


def _result_json(result: "FilmResult") -> dict[str, Any]:
    """Return the values of a result for JSON."""
    report = result.report
    return {
        "source": str(result.film.source),
        "output": str(result.film.output),
        "result": result.outcome,
        "seconds": round(result.seconds, 3),
        "frames": None if report is None else report.frames,
        "faces": None if report is None else report.faces,
        "segments": None if report is None else report.segments,
        "notes": [] if report is None else list(report.notes),
        "error": result.error,
    }


def _print_table(results: Sequence["FilmResult"]) -> None:
    from rich.table import Table

    from vidrestore.cli.display.progress_bars import stdout_console

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in _COLUMNS:
        is_number = name in ("frames", "faces", "segments", "time")
        table.add_column(name, justify="right" if is_number else "left", no_wrap=is_number)
    for result in results:
        table.add_row(*_cells(result))
    console = stdout_console()
    console.print(table)
    for result in results:
        if result.error is not None:
            console.print(f"error: {result.error}", soft_wrap=True)
    console.print("; ".join(_counts(results)))


def _cells(result: "FilmResult") -> tuple[str, ...]:
    name, report = result.film.source.name, result.report
    if report is None:
        time = "" if result.error is None else clock_text(result.seconds)
        return (name, "", "", "", time, result.outcome)
    counts = map(str, (report.frames, report.faces, report.segments))
    return (name, *counts, clock_text(result.seconds), result.outcome)


def _counts(results: Sequence["FilmResult"]) -> Iterator[str]:
    """Yield the number of films with each result."""
    for outcome in ("restored", "already there", "failed"):
        count = sum(result.outcome == outcome for result in results)
        if count:
            yield f"{count} {outcome}"
