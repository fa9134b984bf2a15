"""What a run shows while it works: a bar on a terminal, a line now and then elsewhere."""

import logging
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TextIO

from rich import progress as bars
from rich.console import Console
from rich.text import Text

from vidrestore.progress import Progress, ProgressCallback, silent

_SECONDS_BETWEEN_LINES = 10.0
_PIPE_COLUMNS = 200


class _ResultConsole(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would leave with code 1 here; main knows the right one


def stdout_console() -> Console:
    """Return a console for results, wide where nobody looks at it, so that no line is folded."""
    return _ResultConsole(
        width=None if sys.stdout.isatty() else _PIPE_COLUMNS, highlight=False, markup=False
    )


@contextmanager
def restore_display(*, quiet: bool) -> Generator[ProgressCallback]:
    """Show a restoration on stderr, and give the callback that feeds the display."""
    if quiet:
        yield silent
    elif sys.stderr.isatty():
        with _bar_display() as show:
            yield show
    else:
        yield PlainDisplay(sys.stderr, time.monotonic).show


class PlainDisplay:
    """Writes a line at most every ten seconds, and none for a run shorter than that."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._last_seconds = self._start_seconds = clock()
        self._first_frame_seconds: float | None = None

    def show(self, progress: Progress) -> None:
        """Write a line if it is time."""
        now = self._clock()
        if self._first_frame_seconds is None and progress.frames_done:
            self._first_frame_seconds = now
        if now - self._last_seconds < _SECONDS_BETWEEN_LINES:
            return
        self._last_seconds = now
        say(f"{progress.stage}: {', '.join(self._parts(progress, now))}", stream=self._stream)

    def _parts(self, progress: Progress, now: float) -> list[str]:
        done, total = progress.frames_done, progress.frames_total
        parts = [f"{done} frames" if total is None else f"{done} of {total} frames"]
        begun = self._first_frame_seconds
        if begun is not None and now > begun and done > 1:
            rate = (done - 1) / (now - begun)
            parts.append(f"{rate:.1f} frames/s")
            if total is not None and total > done:
                parts.append(f"{_minutes((total - done) / rate)} left")
        parts.append(f"{progress.faces_done} faces")
        return parts


def say(line: str, *, stream: TextIO) -> None:
    """Write a line; where nobody listens any more, carry on without."""
    try:
        print(line, file=stream, flush=True)
    except BrokenPipeError:
        return


def _minutes(seconds: float) -> str:
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


class _FrameRateColumn(bars.ProgressColumn):
    def render(self, task: bars.Task) -> Text:
        rate = task.finished_speed or task.speed
        return Text("" if rate is None else f"{rate:.1f} frames/s")


@contextmanager
def _bar_display() -> Generator[ProgressCallback]:
    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.TextColumn("{task.completed:.0f}/{task.fields[frames]} frames"),
        _FrameRateColumn(),
        bars.TimeRemainingColumn(),
        bars.TextColumn("{task.fields[faces]} faces"),
    )
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None, frames="?", faces=0)

        def show(progress: Progress) -> None:
            total = progress.frames_total
            bar.update(
                task,
                description=progress.stage,
                completed=progress.frames_done,
                total=total,
                frames="?" if total is None else total,
                faces=progress.faces_done,
            )

        yield show


@contextmanager
def download_display(name: str, *, quiet: bool) -> Generator[Callable[[int, int | None], None]]:
    """Show a download on stderr where that is a terminal; the callback takes bytes and total."""
    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.DownloadColumn(),
        bars.TransferSpeedColumn(),
        bars.TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with bars.Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal or quiet
    ) as bar:
        task = bar.add_task(name, total=None)
        yield lambda here, total: bar.update(task, completed=here, total=total)


@contextmanager
def warnings_on_stderr(*, quiet: bool) -> Generator[None]:
    """Show what the package logs as a warning, one line each."""
    logger = logging.getLogger("vidrestore")
    handler = _StderrHandler(logging.ERROR if quiet else logging.WARNING)
    handler.setFormatter(logging.Formatter("warning: %(message)s"))
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagated


class _StderrHandler(logging.Handler):
    """Writes to whatever stderr is at that moment: a progress bar stands in for it."""

    def emit(self, record: logging.LogRecord) -> None:
        say(self.format(record), stream=sys.stderr)
