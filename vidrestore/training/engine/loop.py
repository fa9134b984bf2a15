"""The loop, on one page: read, step, log, validate, save, stop. Tasks say what a step is."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from textwrap import shorten
from typing import Any, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor

from vidrestore.errors import WeightsError
from vidrestore.training.engine.checkpoint import read_checkpoint, save_checkpoint
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.engine.logger import Journal
from vidrestore.training.engine.optimizer_step import Updater
from vidrestore.training.engine.progress import ProgressCallback, TrainingProgress, silent
from vidrestore.training.engine.run_state import Moment
from vidrestore.training.engine.train_state import Part

LAST = "last.pt"


Measure: TypeAlias = Callable[[], "tuple[Mapping[str, float], Preview]"]
"""Scores and pictures of what is trained, beside those of its task."""


class Preview(NamedTuple):
    """Pictures to look at."""

    images: Tensor
    """``(N, 3, H, W)`` RGB in [-1, 1], row by row."""
    columns: int
    """Of a row."""


class Task(Protocol):
    """What is trained and how one step of it goes."""

    parts: Mapping[str, Part]
    """By name; saved and resumed."""

    def batches(self, *, first_step: int, world: DistributedContext) -> Iterator[Sequence[Any]]:
        """Yield the micro-batches of every step from ``first_step`` on, on the CPU."""
        ...

    def step(self, batches: Sequence[Any], moment: Moment, updater: Updater) -> dict[str, float]:
        """Update the parts once each; return what to log."""
        ...

    def validate(self, moment: Moment) -> tuple[dict[str, float], Preview | None]:
        """Measure the moving averages; return scores and pictures."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return what a step changes beside the parts."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        ...


def run_task(
    task: Task,
    *,
    folder: Path,
    steps: int,
    seed: int,
    updater: Updater,
    device: torch.device,
    world: DistributedContext,
    log_every: int,
    save_every: int,
    validate_every: int,
    measure: Measure | None = None,
    origin: Mapping[str, Any] | None = None,
    on_progress: ProgressCallback = silent,
) -> Path:
    """Train until ``steps``, resuming from ``folder`` where it holds a checkpoint.

    Writes ``last.pt`` (all that is needed to go on) and the journal. Batches and random draws
    are functions of seed, step and process, so that a resumed run is the uninterrupted one.

    Args:
        task: What is trained.
        folder: Exists.
        steps: Of the whole run.
        seed: Of all random draws.
        updater: Applies updates.
        device: Where the task is.
        world: The processes of the run.
        log_every: Steps between lines of the journal.
        save_every: Steps between checkpoints.
        validate_every: Steps between validations.
        measure: Asked by the first process at every validation; its pictures take the place of the
            task's.
        origin: Plain values that checkpoints tell of the run.
        on_progress: Told by the first process how far the run is.

    Returns:
        Path of the last checkpoint.

    Raises:
        NonFiniteLossError: Names part and term or parameter; nothing of that step was saved.
        WeightsError: The checkpoint in ``folder`` is of another task.
    """
    path = folder / LAST
    step = _resumed(path, task, updater) if path.exists() else 0

    def at(step: int) -> Moment:
        return Moment(step=step, steps=steps, seed=seed, rank=world.rank, device=device)

    # The first process alone writes.
    with Journal(folder, steps=steps) if world.is_first else nullcontext() as journal:
        if journal is not None:
            on_progress(TrainingProgress(stage="training", step=step, steps=steps))
        for micro_batches in task.batches(first_step=step, world=world):
            if step >= steps:
                break
            terms = task.step(micro_batches, at(step), updater)
            step += 1
            if journal is not None:
                journal.add(terms, step=step)
                on_progress(TrainingProgress(stage="training", step=step, steps=steps, terms=terms))
                if step % log_every == 0 or step == steps:
                    journal.write(step=step)
                if step % validate_every == 0 or step == steps:
                    _validate(task, at(step), journal, measure, on_progress)
                if step % save_every == 0 or step == steps:
                    save_checkpoint(path, {**(origin or {}), **_state(step, task, updater)})
            world.wait()
    return path


def _validate(
    task: Task,
    moment: Moment,
    journal: Journal,
    measure: Measure | None,
    on_progress: ProgressCallback,
) -> None:
    now = TrainingProgress(stage="validating", step=moment.step, steps=moment.steps)
    on_progress(now)
    scores, preview = task.validate(moment)
    if measure is not None:
        measured, preview = measure()
        scores = {**scores, **measured}
    journal.validated(scores, step=moment.step)
    if preview is not None:
        journal.picture(preview.images, columns=preview.columns, step=moment.step)
    on_progress(replace(now, stage="training", scores=scores))


def _state(step: int, task: Task, updater: Updater) -> dict[str, Any]:
    return {
        "step": step,
        "parts": {name: part.state_dict() for name, part in task.parts.items()},
        "updater": updater.state_dict(),
        "task": task.state_dict(),
    }


def _resumed(path: Path, task: Task, updater: Updater) -> int:
    state = read_checkpoint(path)
    try:
        for name, part in task.parts.items():
            part.load_state_dict(state["parts"][name])
        updater.load_state_dict(state["updater"])
        task.load_state_dict(state["task"])
        return int(state["step"])
    except (KeyError, RuntimeError, ValueError) as error:  # how torch tells a misfit
        found = shorten(f"{type(error).__name__}: {error}", 160, placeholder=" ...")
        raise WeightsError(
            f"{path}: of another task or another size ({found}); resume it with its own config, or "
            "train in another folder"
        ) from error
