"""``vidrestore FILE -o FILE``: restore the faces of a film."""

import json
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from os.path import realpath
from pathlib import Path
from typing import TYPE_CHECKING

from vidrestore.cli.exit_codes import ExitCode, UsageError, usage_errors
from vidrestore.cli.output_checks import check_side_file
from vidrestore.cli.parsing.first_mistakes import check_first_mistakes
from vidrestore.cli.parsing.options import Arguments, CommandOptions, parse, print_project_file
from vidrestore.cli.review import temporary_record, write_page
from vidrestore.settings import JobSettings, RestoreSettings, option, required
from vidrestore.storage.atomic_output import write_text
from vidrestore.storage.source_path import checked_source
from vidrestore.storage.standard_streams import is_standard_stream, reserved_stdout

if TYPE_CHECKING:
    from vidrestore.cli.display.progress_bars import Display
    from vidrestore.progress import Progress

_USAGE = "FILE -o FILE [options]"
_ABOUT = """\
Restore the faces of a film, an image sequence or an image. Audio, subtitles,
chapters and timestamps are kept as they are, and so is every pixel outside the
faces.

Other commands (vidrestore COMMAND --help):
  batch FOLDER -o FOLDER    restore many films
  info FILE                 show what a file contains, or describe a model
  verify SOURCE RESULT      prove that nothing else changed
  review SOURCE RESULT      write a page to inspect a result
  web [FOLDER]              open a page in the browser
  profiles                  list the profiles and what they set
  weights list              list the checkpoints that can be downloaded
  completions SHELL         print a script that completes options in a shell
  tune FILM -o WEIGHTS      adapt the restorer to a film or a person
  train CONFIG              train a network"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreCommand(CommandOptions):
    """Options of the command besides the settings."""

    source: Path = required(
        "Film, folder of frames, or image; - reads YUV4MPEG2 from standard input.",
        group="What to restore",
        metavar="FILE",
        positional=True,
        per_run=True,
    )
    output: Path = required(
        "The restored film; its suffix chooses the container. A folder if the source is one; - "
        "writes YUV4MPEG2 to standard output.",
        group="The output",
        metavar="FILE",
        short="-o",
        common=True,
        per_run=True,
    )
    report: Path | None = option(
        None,
        "Also write a summary of the run, as JSON.",
        group="Reports",
        metavar="FILE",
        per_run=True,
    )
    review: Path | None = option(
        None,
        "Also write a page to inspect the result: faces before and after, curves, every track.",
        group="Reports",
        metavar="FILE",
        see="usage.md#review",
        per_run=True,
    )
    progress: Path | None = option(
        None,
        "Also write the progress to this file, as JSON, for other programs, and the latest frame "
        "next to it, as JPEG. Existing files are replaced.",
        group="Reports",
        metavar="FILE",
        per_run=True,
    )
    dry_run: bool = option(
        False,
        "Estimate faces, segments, time and disk space; write nothing.",
        group="Long films",
        per_run=True,
    )
    version: bool = option(False, "Print the version and exit.", group="The machine", per_run=True)


def parse_restore(argv: Sequence[str]) -> tuple[RestoreCommand, Arguments]:
    """Parse the arguments of the root command."""
    check_first_mistakes(argv)
    arguments = parse(
        argv,
        RestoreCommand,
        RestoreSettings,
        JobSettings,
        prog="vidrestore",
        usage=_USAGE,
        about=_ABOUT,
    )
    return arguments.make(RestoreCommand), arguments


def run(argv: Sequence[str]) -> ExitCode:
    """Parse the arguments of the root command and restore."""
    command, arguments = parse_restore(argv)
    if not command.quiet:
        print_project_file(arguments)
    _check_pipes(command, arguments)
    _check_side_files(command, arguments.typed)
    if not is_standard_stream(command.source):
        checked_source(command.source)
    settings = settings_of(command, arguments)
    if command.dry_run:
        return _dry_run(command, settings, arguments.job)
    with reserved_stdout() if is_standard_stream(command.output) else nullcontext():
        return _restore(command, settings, arguments.job)


def _restore(command: RestoreCommand, settings: RestoreSettings, job: JobSettings) -> ExitCode:
    start_seconds = time.monotonic()
    # Imported late: the display needs rich and restoring needs torch, but --help needs neither.
    from vidrestore.cli.display.progress_bars import print_line, restore_display, warnings_on_stderr
    from vidrestore.cli.display.summary import summary_lines
    from vidrestore.jobs.run import restore_video

    with warnings_on_stderr(quiet=command.quiet):
        try:
            with restore_display(quiet=command.quiet) as console_display:
                display = _with_progress_file(command, console_display)
                report = restore_video(
                    command.source,
                    command.output,
                    settings=settings,
                    job=job,
                    on_progress=display.show,
                    on_download=display.show_download,
                )
        except BaseException:
            _print_finished_segments(command.output)
            raise
        if command.report is not None:
            text = json.dumps(report.to_json(), indent=2) + "\n"
            write_text(command.report, text, overwrite=True)
        if command.review is not None:
            _write_review(command.review, command, settings)
        if not command.quiet:
            for line in summary_lines(report, command.output, time.monotonic() - start_seconds):
                print_line(line, stream=sys.stderr)
    return ExitCode.OK


def _with_progress_file(
    command: RestoreCommand, display: "Display[Progress]"
) -> "Display[Progress]":
    if command.progress is None:
        return display
    from vidrestore.cli.display.progress_file import ProgressFile

    return ProgressFile(command.progress, display, time.monotonic)


def _dry_run(command: RestoreCommand, settings: RestoreSettings, job: JobSettings) -> ExitCode:
    from vidrestore.cli.display.progress_bars import print_line, restore_display, warnings_on_stderr
    from vidrestore.cli.display.summary import dry_run_lines
    from vidrestore.jobs.estimate import dry_run

    with warnings_on_stderr(quiet=command.quiet):
        with restore_display(quiet=command.quiet) as display:
            estimate = dry_run(
                command.source,
                command.output,
                settings=settings,
                job=job,
                on_download=display.show_download,
            )
        for line in dry_run_lines(estimate, command.output):
            print_line(line, stream=sys.stdout)
    return ExitCode.OK


def _print_finished_segments(output: Path) -> None:
    from vidrestore.cli.display.progress_bars import print_line
    from vidrestore.jobs.store.job_folder import count_finished_segments, job_folder_path

    target = Path(realpath(output))
    count = count_finished_segments(target)
    if count:
        folder = job_folder_path(target).name
        segments = "1 finished segment is" if count == 1 else f"{count} finished segments are"
        line = f"{segments} kept in {folder}; add --resume to the same command to continue"
        print_line(line, stream=sys.stderr)


def settings_of(command: RestoreCommand, arguments: Arguments) -> RestoreSettings:
    """Return the settings of a command line."""
    settings = arguments.restore_settings().with_record(command.output)
    if settings.record is None and command.review is not None:
        # A review needs a record, which is removed once the page is written.
        return replace(settings, record=temporary_record(command.review))
    return settings


def _check_pipes(command: RestoreCommand, arguments: Arguments) -> None:
    """Refuse options that do not work with a pipe, before anything is loaded.

    Raises:
        UsageError: An option needs files.
    """
    if not any(map(is_standard_stream, (command.source, command.output))):
        return
    for is_given, flag in ((command.dry_run, "--dry-run"), (command.review, "--review")):
        if is_given:
            raise UsageError(f"{flag}: cannot be used with a pipe, which is read once; name files")
    from vidrestore.jobs.pipes import check_pipes

    with usage_errors():
        check_pipes(command.source, command.output, arguments.typed, arguments.job)


def _check_side_files(command: RestoreCommand, settings: RestoreSettings) -> None:
    """Refuse sidecar files that could not be written after hours of work.

    Raises:
        ConfigError: A file cannot be written.
    """
    others = [command.source, command.output, settings.compare, settings.record]
    for flag, path in {"--report": command.report, "--review": command.review}.items():
        if path is not None:
            check_side_file(flag, path, others=others, overwrite=settings.overwrite)
        others.append(path)
    if command.progress is not None:
        for path in (command.progress, command.progress.with_suffix(".jpg")):
            check_side_file("--progress", path, others=others, overwrite=True)
            others.append(path)
    if command.review is not None:
        temporary_record(command.review).unlink(missing_ok=True)  # left by a run that was killed


def _write_review(page: Path, command: RestoreCommand, settings: RestoreSettings) -> None:
    record = settings.record or temporary_record(page)
    # The record has only the names of files, not their folders.
    files = {"model": settings.model}
    if settings.background is not None:
        files["background"] = str(settings.background)
    try:
        write_page(command.source, command.output, record, page, files=files)
    finally:
        temporary_record(page).unlink(missing_ok=True)
