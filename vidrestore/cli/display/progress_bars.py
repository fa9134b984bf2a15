"""Progress of a run: a bar on a terminal, otherwise a line every ten seconds."""

import logging
import sys
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, Self, TextIO, TypeVar

from rich import progress as bars
from rich.console import Console
from rich.text import Text

from vidrestore.cli.display.frame_rate import FrameRateMeter, Speed
from vidrestore.progress import Progress
from vidrestore.text import clock_text, count_text

ProgressT = TypeVar("ProgressT", contravariant=True)

_SECONDS_BETWEEN_LINES = 10.0
_PIPE_COLUMNS = 200


class _ResultConsole(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would exit with code 1; main sets the right one


def stdout_console() -> Console:
    """Return a console for results; into a pipe or file it is wide, so that no line wraps."""
    return _ResultConsole(
        width=None if sys.stdout.isatty() else _PIPE_COLUMNS, highlight=False, markup=False
    )


class Display(Protocol[ProgressT]):
    """Shows the progress of a run, or of a batch."""

    def show(self, progress: ProgressT) -> None:
        """Show the progress."""
        ...

    def show_download(self, name: str, bytes_here: int, bytes_total: int | None) -> None:
        """Show the progress of downloading a checkpoint; the total is None if unknown."""
        ...


@contextmanager
def restore_display(*, quiet: bool) -> Generator[Display[Progress]]:
    """Show the progress of a restoration and of its downloads on stderr."""
    if quiet:
        yield SilentDisplay()
    elif sys.stderr.isatty():
        with BarDisplay() as display:
            yield display
    else:
        yield LogDisplay(sys.stderr, time.monotonic)


class SilentDisplay:
    """Shows nothing, of any kind of run."""

    def show(self, progress: object) -> None:
        """Do nothing."""

    def show_download(self, name: str, bytes_here: int, bytes_total: int | None) -> None:
        """Do nothing."""


class LogDisplay:
    """Writes a line at most every ten seconds, and none in a run shorter than that."""

    def __init__(self, stream: TextIO, clock: Callable[[], float], *, name: str = "") -> None:
        """Start the display of a run.

        Args:
            stream: Lines are written here.
            clock: Returns monotonic seconds.
            name: Name of the film, if there are several.
        """
        self._stream = stream
        self._clock = clock
        self._name = f"{name}: " if name else ""
        self._last_seconds = clock()
        self._meter = FrameRateMeter(clock)

    def show(self, progress: Progress) -> None:
        """Write a line if it is time."""
        now = self._clock()
        speed = self._meter.speed(progress)
        if now - self._last_seconds < _SECONDS_BETWEEN_LINES:
            return
        self._last_seconds = now
        parts = ", ".join(progress_parts(progress, _speed_parts(speed)))
        print_line(f"{self._name}{progress.stage}: {parts}", stream=self._stream)

    def show_download(self, name: str, bytes_here: int, bytes_total: int | None) -> None:
        """Write a line if it is time."""
        now = self._clock()
        if now - self._last_seconds >= _SECONDS_BETWEEN_LINES:
            self._last_seconds = now
            line = f"downloading {name}: {_megabytes(bytes_here, bytes_total)}"
            print_line(line, stream=self._stream)


def _speed_parts(speed: Speed | None) -> list[str]:
    if speed is None:
        return []
    parts = [f"{speed.frames_per_second:.1f} frames/s"]
    if speed.seconds_left is not None:
        parts.append(f"{clock_text(speed.seconds_left)} left")
    return parts


def progress_parts(progress: Progress, speed: Iterable[str] = ()) -> list[str]:
    """Return the parts of a short progress line; ``speed`` comes after the frames."""
    done, total = progress.frames_done, progress.frames_total
    parts = [f"{done} frames" if total is None else f"{done} of {total} frames"]
    if progress.frame_share:
        parts.append(f"{100 * progress.frame_share:.0f} % of the next")
    return [*parts, *speed, count_text(progress.faces_done, "face"), *_worker_parts(progress)]


def _worker_parts(progress: Progress) -> list[str]:
    """Return the parts about workers; none if the run has no workers."""
    if progress.workers is None:
        return []
    workers = progress.workers
    parts = [count_text(workers, "worker")] if workers else []
    searched = progress.frames_searched
    if searched is not None and searched != progress.frames_total:
        parts.append(f"{searched} frames searched")
    return parts


def _megabytes(bytes_here: int, bytes_total: int | None) -> str:
    megabytes = f"{bytes_here / 1e6:.1f}"
    return (
        f"{megabytes} MB" if bytes_total is None else f"{megabytes} of {bytes_total / 1e6:.1f} MB"
    )


def print_line(line: str, *, stream: TextIO) -> None:
    """Write a line; do nothing if the reader has closed the stream."""
    try:
        print(line, file=stream, flush=True)
    except BrokenPipeError:
        return


class _FrameRateColumn(bars.ProgressColumn):
    def render(self, task: bars.Task) -> Text:
        rate = task.finished_speed or task.speed
        return Text("" if rate is None else f"{rate:.1f} frames/s")


class BarDisplay:
    """A bar for the frames, preceded by one for each download; never two at once."""

    def __init__(self) -> None:
        self._bar: bars.Progress | None = None
        self._bar_name = ""
        self._task = bars.TaskID(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def show(self, progress: Progress) -> None:
        """Move the bar of the frames."""
        total = progress.frames_total
        self._start("frames", _frame_columns).update(
            self._task,
            description=progress.stage,
            completed=progress.frames_done + progress.frame_share,
            total=total,
            done=progress.frames_done,
            frames="?" if total is None else total,
            faces=progress.faces_done,
            workers="".join(f", {part}" for part in _worker_parts(progress)),
        )

    def show_download(self, name: str, bytes_here: int, bytes_total: int | None) -> None:
        """Move the bar of a download."""
        self._start(name, _download_columns).update(
            self._task, description=name, completed=bytes_here, total=bytes_total
        )

    def _start(
        self, name: str, columns: Callable[[], tuple[bars.ProgressColumn, ...]]
    ) -> bars.Progress:
        if self._bar is None or self._bar_name != name:
            self._stop()
            self._bar = bars.Progress(*columns(), console=Console(stderr=True), transient=True)
            self._bar_name = name
            self._bar.start()
            self._task = self._bar.add_task(
                name, total=None, done=0, frames="?", faces=0, workers=""
            )
        return self._bar

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _frame_columns() -> tuple[bars.ProgressColumn, ...]:
    return (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.TextColumn("{task.fields[done]}/{task.fields[frames]} frames"),
        _FrameRateColumn(),
        bars.TimeRemainingColumn(),
        bars.TextColumn("{task.fields[faces]} faces{task.fields[workers]}"),
    )


def _download_columns() -> tuple[bars.ProgressColumn, ...]:
    return (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.DownloadColumn(),
        bars.TransferSpeedColumn(),
        bars.TimeRemainingColumn(),
    )


@contextmanager
def download_display(*, quiet: bool) -> Generator[Callable[[str, int, int | None], None]]:
    """Show downloads on stderr; the callback takes the name, bytes done and bytes in total."""
    with restore_display(quiet=quiet) as display:
        yield display.show_download


def warnings_on_stderr(*, quiet: bool) -> AbstractContextManager[None]:
    """Show the package's log from warnings on, one line each; if ``quiet``, only errors."""
    return log_on_stderr(logging.ERROR if quiet else logging.WARNING)


@contextmanager
def log_on_stderr(level: int) -> Generator[None]:
    """Show the package's log from ``level`` on, one line each."""
    logger = logging.getLogger("vidrestore")
    handler = _StderrHandler()
    handler.setFormatter(_LineFormatter())
    propagated, before = logger.propagate, logger.level
    logger.propagate = False
    # Set the level of the logger, not the handler: a suppressed record must not count as logged.
    logger.setLevel(level)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        logger.propagate = propagated


class _LineFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = record.getMessage()
        return line if record.levelno < logging.WARNING else f"warning: {line}"


class _StderrHandler(logging.Handler):
    """Writes to the current ``sys.stderr``, which a progress bar replaces while it is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        print_line(self.format(record), stream=sys.stderr)
