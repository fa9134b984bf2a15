"""``vidrestore FILE -o FILE``: restore the faces of a film."""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from os.path import realpath
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from vidrestore.cli.arguments import FrameRate, Knob, Seconds, TrackNumbers
from vidrestore.cli.exitcodes import ExitCode
from vidrestore.cli.review import temporary_record, write_page
from vidrestore.cli.sidefile import check_side_file

if TYPE_CHECKING:
    from vidrestore.pipeline import RestoreSettings

OPTION_OF_SETTING = {
    "min_face_px": "min_face",
    "only_tracks": "only_track",
    "start_seconds": "start",
    "end_seconds": "end",
}
"""Settings whose option has another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreCommand:
    """Restore the faces of a film, a folder of frames or a picture.

    Sound, subtitles, chapters and time stamps are kept as they are, and so is every pixel
    outside the faces. Other commands: `vidrestore info FILE` says what a file holds,
    `vidrestore review` makes a page to look a result over, `vidrestore weights list` says which
    published checkpoints can be fetched, `vidrestore train CONFIG` trains a network.
    """

    source: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")]
    """Film, folder of frames, or picture."""
    output: Annotated[Path, tyro.conf.arg(aliases=("-o",), metavar="FILE")]
    """Where the restored film goes; its ending chooses the container. A folder for frames."""
    model: Annotated[str, tyro.conf.arg(metavar="NAME|FILE")] = "lite"
    """Restorer: a name (`vidrestore weights list` shows more), or a checkpoint file."""
    fidelity: Knob = None
    """Of --model codeformer: 0 invents most detail, 1 stays closest to the film."""
    detail: Knob = None
    """Of --model lite: 0 stays closest to the film, 1 is sharpest (`vidrestore info lite`)."""
    background: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Enlarge the whole picture, too, by the super-resolution network of this checkpoint."""
    detector: Literal["mtcnn", "retinaface", "retinaface-mobile"] = "mtcnn"
    """Face detector; mtcnn comes with the program, the others are fetched once."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda|cuda:N")] = "auto"
    """Where the networks run; auto is the first GPU, or else the CPU."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Number format of the networks; auto is bf16 where it is fast, or else fp32."""
    batch_size: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Faces restored at once; chosen for the device where not given."""
    strength: Annotated[float, tyro.conf.arg(metavar="0..1")] = 1.0
    """How much of the restored face is taken, 0 (none) to 1 (all)."""
    faces: Literal["all", "largest"] = "all"
    """Restore all faces, or the largest of each frame only."""
    min_face: Annotated[float, tyro.conf.arg(metavar="PX")] = 24.0
    """Leave faces alone that are lower than this, in pixels of the film."""
    only_track: Annotated[tuple[TrackNumbers, ...], tyro.conf.UseAppendAction] = ()
    """Restore this track alone, by its number in the record or the review; may be repeated."""
    grain: Annotated[float, tyro.conf.arg(metavar="0..1")] = 1.0
    """How much of the grain of the film is put back on a restored face, 0 to 1."""
    steady: Annotated[float, tyro.conf.arg(metavar="0..1")] = 1.0
    """How much a face is averaged with its neighbouring frames before it is restored, 0 to 1."""
    safeguard: Annotated[float, tyro.conf.arg(metavar="0..1")] = 1.0
    """How far faces are protected from harm: those hidden, turned, uncertain or changed in person,
    eyes or mouth are left alone or restored less; 0 restores them all."""
    keep_good: Annotated[float, tyro.conf.arg(metavar="0..1")] = 1.0
    """How far faces that are already good are left alone, 0 to 1."""
    deinterlace: Literal["auto", "keep", "frame", "field"] = "auto"
    """Interlaced film: restore every field and keep them (auto and keep), or make whole pictures of
    every frame, or of every field at twice the rate."""
    pulldown: bool = False
    """Undo the 3:2 pulldown of telecined film: four frames for every five."""
    start: Seconds = None
    """Begin here: seconds, or HH:MM:SS.mmm."""
    end: Seconds = None
    """End before here: seconds, or HH:MM:SS.mmm."""
    codec: Literal["h264", "h265", "av1", "ffv1", "prores", "dnxhr"] = "h264"
    """Video encoder; ffv1 is lossless."""
    crf: Annotated[float | None, tyro.conf.arg(metavar="N")] = None
    """Quality of the encoder, lower is better; hard to tell from the source where not given."""
    preset: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Speed of the encoder (of prores and dnxhr: the profile); a sensible one where not given."""
    fps: FrameRate = Fraction(25)
    """Frames per second of a folder of frames: 25, 23.976, 24000/1001."""
    compare: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Also write a film with before and after side by side."""
    report: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Also write what was done, as JSON."""
    record: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Also write what was synthesised in every frame, as JSON lines; `verify` reads it."""
    framemd5: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Also write checksums of the written film's frames, as FFmpeg's framemd5."""
    review: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Also write a page to look the result over: faces before and after, curves, every track."""
    dry_run: bool = False
    """Only tell how many segments and faces there are, and what disk and time it takes."""
    resume: bool = False
    """Go on with a run that was cut off: after a crash, a full disk or Ctrl-C."""
    segment: Annotated[float, tyro.conf.arg(metavar="SECONDS")] = 10.0
    """Length from which on a part of the film is finished for good at the next cut."""
    overwrite: bool = False
    """Replace files that exist, and what a run that was cut off has left."""
    drop_unsupported: bool = False
    """Leave out streams that the output cannot hold, instead of refusing."""
    quiet: bool = False
    """Print errors only."""
    debug: bool = False
    """Print the traceback of an error, too."""
    version: bool = False
    """Print the version and leave."""


def run(argv: Sequence[str]) -> ExitCode:
    """Parse the arguments of the root command and restore."""
    command = tyro.cli(
        RestoreCommand,
        prog="vidrestore",
        args=argv,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    _check_side_files(command)
    if command.dry_run:
        return _dry_run(command)
    begin = time.monotonic()
    # Imported here: the display needs rich, and restoring needs torch; --help needs neither.
    from vidrestore.cli.console import restore_display, say, warnings_on_stderr
    from vidrestore.cli.summary import summary_lines
    from vidrestore.jobs import JobSettings, restore_video

    settings = settings_of(command)
    with warnings_on_stderr(quiet=command.quiet):
        try:
            with restore_display(quiet=command.quiet) as display:
                report = restore_video(
                    command.source,
                    command.output,
                    settings=settings,
                    job=JobSettings(resume=command.resume, segment_seconds=command.segment),
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


def _dry_run(command: RestoreCommand) -> ExitCode:
    from vidrestore.cli.console import restore_display, say, warnings_on_stderr
    from vidrestore.cli.summary import dry_run_lines
    from vidrestore.jobs import JobSettings, dry_run

    job = JobSettings(resume=command.resume, segment_seconds=command.segment)
    with warnings_on_stderr(quiet=command.quiet):
        with restore_display(quiet=command.quiet) as display:
            told = dry_run(
                command.source,
                command.output,
                settings=settings_of(command),
                job=job,
                on_download=display.show_download,
            )
        for line in dry_run_lines(told, command.output):
            say(line, stream=sys.stdout)
    return ExitCode.OK


def _tell_what_is_kept(output: Path) -> None:
    from vidrestore.cli.console import say
    from vidrestore.jobs import job_folder_path, kept_segments

    place = Path(realpath(output))
    kept = kept_segments(place)
    if kept:
        folder = job_folder_path(place).name
        segments = "1 finished segment is" if kept == 1 else f"{kept} finished segments are"
        line = f"{segments} kept in {folder}; the same command with --resume goes on"
        say(line, stream=sys.stderr)


def settings_of(command: RestoreCommand) -> "RestoreSettings":
    """Return what the options of a command ask for.

    Raises:
        ConfigError: A value is out of range.
    """
    from vidrestore.pipeline import RestoreSettings

    return RestoreSettings(
        model=command.model,
        fidelity=command.fidelity,
        detail=command.detail,
        background=command.background,
        detector=command.detector,
        device=command.device,
        precision=command.precision,
        batch_size=command.batch_size,
        strength=command.strength,
        grain=command.grain,
        steady=command.steady,
        safeguard=command.safeguard,
        keep_good=command.keep_good,
        faces=command.faces,
        min_face_px=command.min_face,
        only_tracks=tuple(number for numbers in command.only_track for number in numbers),
        deinterlace=command.deinterlace,
        pulldown=command.pulldown,
        start_seconds=command.start,
        end_seconds=command.end,
        codec=command.codec,
        crf=command.crf,
        preset=command.preset,
        fps=command.fps,
        compare=command.compare,
        record=_record_of(command),
        framemd5=command.framemd5,
        overwrite=command.overwrite,
        drop_unsupported=command.drop_unsupported,
    )


def _record_of(command: RestoreCommand) -> Path | None:
    """Return where the record goes: a review needs one, which goes when the page is there."""
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
    # The record has files by their names alone.
    files = {"model": command.model}
    if command.background is not None:
        files["background"] = str(command.background)
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
