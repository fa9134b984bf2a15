"""Progress of a training run: a bar on a terminal, otherwise a line every thirty seconds."""

import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from rich import progress as bars
from rich.console import Console
from rich.table import Column
from rich.text import Text

from vidrestore.cli.display.progress_bars import SilentDisplay, print_line
from vidrestore.text import clock_text

if TYPE_CHECKING:
    from vidrestore.training.engine.progress import TrainingProgress

_SECONDS_BETWEEN_LINES = 30.0
_SPEED_PERIOD_SECONDS = 600.0
"""Steps can take a minute each, and a rate needs two of them within this period."""
_LATEST_WEIGHT = 0.05
"""Weight of the latest step in the displayed averages: single losses vary too much."""


class TrainDisplay(Protocol):
    """Shows the progress of a training run."""

    def show(self, progress: "TrainingProgress") -> None:
        """Show the progress of the run."""
        ...


@contextmanager
def train_display(*, quiet: bool) -> Generator[TrainDisplay]:
    """Show a training run on stderr."""
    if quiet:
        yield SilentDisplay()
    elif sys.stderr.isatty():
        with TrainingBar() as bar:
            yield bar
    else:
        yield TrainingLines(sys.stderr, time.monotonic)


class _LossAverages:
    """Exponential moving averages of the losses."""

    def __init__(self) -> None:
        self._means: dict[str, float] = {}

    def add(self, terms: Mapping[str, float]) -> None:
        for name, value in terms.items():
            mean = self._means.get(name, value)
            self._means[name] = mean + _LATEST_WEIGHT * (value - mean)

    def text(self) -> str:
        return ", ".join(f"{name} {value:.3g}" for name, value in self._means.items())


def scores_line(step: int, scores: Mapping[str, float]) -> str:
    """Return the scores of a validation, input and output of one metric as a pair."""
    parts: list[str] = []
    for name, value in scores.items():
        side, _, metric = name.partition("/")
        before = scores.get(f"input/{metric}")
        if side == "output" and before is not None:
            parts.append(f"{metric} {before:.4g} -> {value:.4g}")
        elif side != "input" or f"output/{metric}" not in scores:
            parts.append(f"{name} {value:.4g}")
    return f"step {step}: {', '.join(parts)}"


class TrainingLines:
    """Writes a line at most every thirty seconds, and one for each validation."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._last_seconds = clock()
        self._first_step: tuple[int, float] | None = None
        self._losses = _LossAverages()

    def show(self, progress: "TrainingProgress") -> None:
        """Write a line if it is time."""
        now = self._clock()
        self._losses.add(progress.terms)
        if progress.scores:
            print_line(scores_line(progress.step, progress.scores), stream=self._stream)
        if not progress.terms:
            return
        if self._first_step is None:  # the first step waits for data and compiles kernels
            self._first_step = (progress.step, now)
        if now - self._last_seconds >= _SECONDS_BETWEEN_LINES:
            self._last_seconds = now
            print_line(", ".join(self._parts(progress, self._first_step, now)), stream=self._stream)

    def _parts(
        self, progress: "TrainingProgress", first_step: tuple[int, float], now: float
    ) -> list[str]:
        parts = [f"step {progress.step} of {progress.steps}"]
        first, since = first_step
        if progress.step > first and now > since:
            rate = (progress.step - first) / (now - since)
            left = (progress.steps - progress.step) / rate
            parts += [_rate_text(rate), f"{clock_text(left)} left"]
        return [*parts, self._losses.text()]


def _rate_text(rate: float) -> str:
    return f"{rate:.1f} steps/s" if rate >= 1 else f"{1 / rate:.1f} s/step"


class TrainingBar:
    """One line on a terminal: steps, rate, time left, losses."""

    def __init__(self) -> None:
        self._losses = _LossAverages()
        self._task: bars.TaskID | None = None
        self._bar = bars.Progress(
            bars.TextColumn("{task.description}"),
            bars.BarColumn(bar_width=20),
            bars.TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            _RateColumn(),
            bars.TimeRemainingColumn(),
            _LossColumn(table_column=Column(ratio=1)),
            console=Console(stderr=True),
            transient=True,
            speed_estimate_period=_SPEED_PERIOD_SECONDS,
            expand=True,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, progress: "TrainingProgress") -> None:
        """Move the bar; scores of a validation stay above it."""
        self._losses.add(progress.terms)
        if progress.scores:
            print_line(scores_line(progress.step, progress.scores), stream=sys.stderr)
        if self._task is None:  # starts at its step, so that the rate of a resumed run is right
            self._task = self._bar.add_task(
                progress.stage, total=progress.steps, completed=progress.step, losses=""
            )
        self._bar.update(
            self._task,
            description=progress.stage,
            completed=progress.step,
            losses=self._losses.text(),
        )


class _RateColumn(bars.ProgressColumn):
    def render(self, task: bars.Task) -> Text:
        rate = task.finished_speed or task.speed
        return Text("" if not rate else _rate_text(rate))


class _LossColumn(bars.ProgressColumn):
    def render(self, task: bars.Task) -> Text:
        return Text(task.fields["losses"], no_wrap=True, overflow="ellipsis")
