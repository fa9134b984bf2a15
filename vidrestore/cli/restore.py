"""``vidrestore FILE -o FILE``: restore the faces of a film."""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import realpath
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from vidrestore.cli.arguments import TrackNumbers, with_bare_background
from vidrestore.cli.exit_codes import ExitCode
from vidrestore.cli.options import RestoreOptions
from vidrestore.cli.output_checks import check_side_file
from vidrestore.cli.review import temporary_record, write_page
from vidrestore.storage.source_path import checked_source

if TYPE_CHECKING:
    from vidrestore.jobs import JobSettings
    from vidrestore.pipeline import RestoreSettings


@dataclass(frozen=True, kw_only=True)
class RestoreFiles:
    """What a command works on: a separate class, so that it comes first in the help."""

    source: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")]
    """Film, folder of frames, or picture."""
    output: Annotated[Path, tyro.conf.arg(aliases=("-o",), metavar="FILE")]
    """The restored film; its suffix chooses the container. A folder if the source is one."""


@dataclass(frozen=True, kw_only=True)
class RestoreCommand(RestoreOptions, RestoreFiles):
    """Restore the faces of a film, a folder of frames or a picture.

    Sound, subtitles, chapters and time stamps are kept as they are, and so is every pixel
    outside the faces. Other commands: `vidrestore info FILE` describes a file, `vidrestore review`
    writes a page to inspect a result, `vidrestore weights list` lists the checkpoints that can be
    downloaded, `vidrestore train CONFIG` trains a network.
    """

    only_track: Annotated[tuple[TrackNumbers, ...], tyro.conf.UseAppendAction] = ()
    """Restore only this track, by its number in the record or the review; may be repeated."""
    compare: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Also write a film with before and after side by side."""
    report: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Also write a report of the run, as JSON."""
    record: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Also write a record of what was synthesised in every frame, as JSON lines; `verify` reads
    it."""
    framemd5: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Also write checksums of the written film's frames, as FFmpeg's framemd5."""
    review: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Also write a page to inspect the result: faces before and after, curves, every track."""
    dry_run: bool = False
    """Only estimate the number of segments and faces, the time, and the disk space needed."""
    resume: bool = False
    """Continue a run that was interrupted by a crash, a full disk or Ctrl-C."""
    version: bool = False
    """Print the version and exit."""


def run(argv: Sequence[str]) -> ExitCode:
    """Parse the arguments of the root command and restore."""
    command = tyro.cli(
        RestoreCommand,
        prog="vidrestore",
        args=with_bare_background(argv),
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    _check_side_files(command)
    checked_source(command.source)
    settings = settings_of(command)
    job = command.job_settings(resume=command.resume)
    if command.dry_run:
        return _dry_run(command, settings, job)
    begin = time.monotonic()
    # Imported late: the display needs rich and restoring needs torch, but --help needs neither.
    from vidrestore.cli.display.progress_bars import restore_display, say, warnings_on_stderr
    from vidrestore.cli.display.summary import summary_lines
    from vidrestore.jobs import restore_video

    with warnings_on_stderr(quiet=command.quiet):
        try:
            with restore_display(quiet=command.quiet) as display:
                report = restore_video(
                    command.source,
                    command.output,
                    settings=settings,
                    job=job,
                    on_progress=display.show,
                    on_download=display.show_download,
                )
        except BaseException:
            _tell_what_is_kept(command.output)
            raise
        if command.report is not None:
            _write_report(command.report, report.to_json())
        if command.review is not None:
            _write_review(command.review, command)
        if not command.quiet:
            for line in summary_lines(report, command.output, time.monotonic() - begin):
                say(line, stream=sys.stderr)
    return ExitCode.OK


def _dry_run(command: RestoreCommand, settings: "RestoreSettings", job: "JobSettings") -> ExitCode:
    from vidrestore.cli.display.progress_bars import restore_display, say, warnings_on_stderr
    from vidrestore.cli.display.summary import dry_run_lines
    from vidrestore.jobs import dry_run

    with warnings_on_stderr(quiet=command.quiet):
        with restore_display(quiet=command.quiet) as display:
            told = dry_run(
                command.source,
                command.output,
                settings=settings,
                job=job,
                on_download=display.show_download,
            )
        for line in dry_run_lines(told, command.output):
            say(line, stream=sys.stdout)
    return ExitCode.OK


def _tell_what_is_kept(output: Path) -> None:
    from vidrestore.cli.display.progress_bars import say
    from vidrestore.jobs import count_finished_segments, job_folder_path

    place = Path(realpath(output))
    kept = count_finished_segments(place)
    if kept:
        folder = job_folder_path(place).name
        segments = "1 finished segment is" if kept == 1 else f"{kept} finished segments are"
        line = f"{segments} kept in {folder}; add --resume to the same command to continue"
        say(line, stream=sys.stderr)


def settings_of(command: RestoreCommand) -> "RestoreSettings":
    """Return the settings that the options of a command stand for.

    Raises:
        UsageError: A value is out of range, or options do not go together.
    """
    return command.restore_settings(
        only_tracks=tuple(number for numbers in command.only_track for number in numbers),
        compare=command.compare,
        record=_record_of(command),
        framemd5=command.framemd5,
    )


def _record_of(command: RestoreCommand) -> Path | None:
    """Return the path of the record; a review needs one, which is removed once it is written."""
    if command.record is not None or command.review is None:
        return command.record
    return temporary_record(command.review)


def _check_side_files(command: RestoreCommand) -> None:
    """Refuse now what would fail after hours of work.

    Raises:
        ConfigError: The report or the review cannot be written there.
    """
    others = [command.source, command.output, command.compare, command.record]
    named = {"--report": command.report, "--review": command.review}
    for option, path in named.items():
        if path is not None:
            check_side_file(option, path, others=others, overwrite=command.overwrite)
        others.append(path)
    if command.review is not None:
        temporary_record(command.review).unlink(missing_ok=True)  # of a run that was killed


def _write_review(page: Path, command: RestoreCommand) -> None:
    record = command.record or temporary_record(page)
    # The record has only the names of files, not their folders.
    files = {"model": command.model}
    background = settings_of(command).background
    if background is not None:
        files["background"] = str(background)
    try:
        write_page(command.source, command.output, record, page, files=files)
    finally:
        if command.record is None:
            record.unlink(missing_ok=True)


def _write_report(path: Path, report: Mapping[str, object]) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
