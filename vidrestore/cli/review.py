"""``vidrestore review SOURCE RESULT --record FILE -o PAGE``: a page to inspect a result."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from vidrestore.cli.exit_codes import ExitCode
from vidrestore.cli.output_checks import check_side_file
from vidrestore.cli.parsing.arguments import parse_command
from vidrestore.storage.source_path import checked_source


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewCommand:
    """Write a page that shows what a run changed: faces before and after, curves, every track.

    The page is one HTML file that needs no network. To write it at the end of a restoration, use
    `vidrestore FILE -o FILE --review PAGE`.
    """

    source: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="SOURCE")]
    """The film that was restored."""
    result: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RESULT")]
    """The restored film."""
    record: Annotated[Path, tyro.conf.arg(metavar="FILE")]
    """Record that the run wrote with --record."""
    output: Annotated[Path, tyro.conf.arg(aliases=("-o",), metavar="PAGE")]
    """The page to write, such as `review.html`."""
    overwrite: bool = False
    """Replace an existing page."""
    quiet: bool = False
    """Print errors only."""
    debug: bool = False
    """Print the traceback of an error, too."""


def run(argv: Sequence[str]) -> ExitCode:
    """Run ``vidrestore review``."""
    command = parse_command(ReviewCommand, "review", argv)
    check_side_file(
        "-o",
        command.output,
        others=(command.source, command.result, command.record),
        overwrite=command.overwrite,
    )
    for path in (command.source, command.result, command.record):
        checked_source(path)
    from vidrestore.cli.display.progress_bars import print_line

    write_page(command.source, command.result, command.record, command.output)
    if not command.quiet:
        print_line(page_summary(command.output), stream=sys.stderr)
    return ExitCode.OK


def temporary_record(page: Path) -> Path:
    """Return the path of a record that is removed once the page is written."""
    return page.with_name(f".{page.name}.record.jsonl")


def write_page(
    source: Path,
    result: Path,
    record: Path,
    page: Path,
    *,
    files: Mapping[str, str] | None = None,
) -> None:
    """Write the page.

    Args:
        source: The film that was restored.
        result: The restored film.
        record: Record of the run.
        page: The page to write.
        files: Settings that are paths; the record has only their file names.

    Raises:
        VidrestoreError: A file cannot be read or written, or they do not belong together.
    """
    from vidrestore.cli.rerun import rerun_command
    from vidrestore.record import RecordReader
    from vidrestore.review import write_review

    with RecordReader(record) as reader:
        settings = {**reader.header.settings, **(files or {})}
    rerun = rerun_command(settings, source, result)
    write_review(source, result, record, page, rerun=rerun)


def page_summary(page: Path) -> str:
    """Return a line that says what was written."""
    return f"{page}: review, {page.stat().st_size / 1e6:.1f} MB; open it in a browser"
