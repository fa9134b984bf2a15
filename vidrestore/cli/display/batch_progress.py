"""Progress of a batch: a bar for all films, and one for each film in progress."""

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Self, TextIO

from rich import progress as bars
from rich.console import Console

from vidrestore.cli.display.progress_bars import (
    Display,
    LogDisplay,
    SilentDisplay,
    print_line,
    progress_parts,
)
from vidrestore.jobs.batch import BatchProgress


@contextmanager
def batch_display(films: int, *, quiet: bool) -> Generator[Display[BatchProgress]]:
    """Show the progress of a batch of ``films`` films on stderr."""
    if quiet:
        yield SilentDisplay()
    elif sys.stderr.isatty():
        with BarBatch(films) as display:
            yield display
    else:
        yield LogBatch(sys.stderr, time.monotonic)


class LogBatch:
    """Writes a line for each film that is done, and the lines of a single film in between."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._running: dict[int, LogDisplay] = {}
        self._downloads = LogDisplay(stream, clock)

    def show(self, progress: BatchProgress) -> None:
        """Write a line if it is time."""
        name = progress.film.source.name
        if progress.progress is None:
            self._running.pop(progress.number, None)
            result = progress.result
            outcome = "done" if result is None else result.outcome
            line = f"{progress.films_done} of {progress.films_total} films: {name}: {outcome}"
            print_line(line, stream=self._stream)
            return
        display = LogDisplay(self._stream, self._clock, name=name)
        self._running.setdefault(progress.number, display).show(progress.progress)

    def show_download(self, name: str, bytes_here: int, bytes_total: int | None) -> None:
        """Write a line if it is time."""
        self._downloads.show_download(name, bytes_here, bytes_total)


class BarBatch:
    """A bar for all films, and below it one for each film in progress."""

    def __init__(self, films: int) -> None:
        self._bars = bars.Progress(
            bars.TextColumn("{task.description}"),
            bars.BarColumn(),
            bars.TextColumn("{task.fields[text]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._all = self._bars.add_task("films", total=films, text=f"0/{films}")
        self._films: dict[int, bars.TaskID] = {}

    @property
    def tasks(self) -> list[bars.Task]:
        """The bars that are shown."""
        return self._bars.tasks

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def show(self, progress: BatchProgress) -> None:
        """Move the bars."""
        done, total = progress.films_done, progress.films_total
        self._bars.update(self._all, completed=done, text=f"{done}/{total}")
        now = progress.progress
        if now is None:
            task = self._films.pop(progress.number, None)
            if task is not None:
                self._bars.remove_task(task)
            return
        if progress.number not in self._films:
            name = progress.film.source.name
            self._films[progress.number] = self._bars.add_task(name, total=None, text="")
        self._bars.update(
            self._films[progress.number],
            completed=now.frames_done + now.frame_share,
            total=now.frames_total,
            text=", ".join([now.stage, *progress_parts(now)]),
        )

    def show_download(self, name: str, bytes_here: int, bytes_total: int | None) -> None:
        """Show the progress of a download in place of the count of films."""
        self._bars.update(self._all, text=f"downloading {name}: {bytes_here / 1e6:.0f} MB")
