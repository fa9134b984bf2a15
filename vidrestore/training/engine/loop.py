"""The training loop; a task defines one step."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from textwrap import shorten
from typing import Any, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor

from vidrestore.errors import WeightsError
from vidrestore.training.engine.checkpoint import VERSION, read_checkpoint, save_checkpoint
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.engine.kept_checkpoints import KeepConfig, KeptCheckpoints
from vidrestore.training.engine.logger import TrainingLogger, fetched
from vidrestore.training.engine.optimizer_step import LoggedTerms, OptimizerStep
from vidrestore.training.engine.progress import ProgressCallback, TrainingProgress, ignore_progress
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.engine.train_state import TrainState

CHECKPOINT_NAME = "last.pt"

Validator: TypeAlias = Callable[[], "tuple[Mapping[str, float], Preview]"]
"""Validates the trained network in addition to its task; returns scores and images."""


class Preview(NamedTuple):
    """Images of a validation."""

    images: Tensor
    """``(N, 3, H, W)`` RGB in [-1, 1], row by row."""
    columns: int
    """Images per row."""


class Task(Protocol):
    """The networks to train, their batches, and one step."""

    train_states: Mapping[str, TrainState]
    """The trained networks by name; saved and resumed."""

    def batches(self, *, first_step: int, context: DistributedContext) -> Iterator[Sequence[Any]]:
        """Yield the micro-batches of every step from ``first_step`` on, on the CPU."""
        ...

    def step(
        self, batches: Sequence[Any], run_state: RunState, optimizer_step: OptimizerStep
    ) -> LoggedTerms:
        """Update every network once; return the loss terms to log."""
        ...

    def validate(self, run_state: RunState) -> tuple[dict[str, float], Preview | None]:
        """Return scores and images of the moving averages."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return the task's own state, without the networks."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that ``state_dict`` returned."""
        ...


def run_task(
    task: Task,
    *,
    folder: Path,
    steps: int,
    seed: int,
    optimizer_step: OptimizerStep,
    device: torch.device,
    context: DistributedContext,
    log_every: int,
    save_every: int,
    validate_every: int,
    keep: KeepConfig | None = None,
    wandb_project: str | None = None,
    validator: Validator | None = None,
    run_metadata: Mapping[str, Any] | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> Path:
    """Train until ``steps``, resuming from the checkpoint in ``folder`` if there is one.

    Writes the log and ``last.pt``, with everything needed to resume. Batches and random draws are
    functions of seed, step and position in the batch, so a resumed run equals an uninterrupted one,
    and several processes do what one does.

    Args:
        task: The task to train.
        folder: The run's folder; must exist.
        steps: Number of steps of the whole run.
        seed: Seed of all random draws.
        optimizer_step: Applies updates.
        device: The task's device.
        context: The processes of the run.
        log_every: Steps between lines of the log.
        save_every: Steps between checkpoints.
        validate_every: Steps between validations.
        keep: Which checkpoints are kept beside the last one.
        wandb_project: Project of Weights & Biases to log to, too.
        validator: Called by the main process at every validation; its images replace the task's.
        run_metadata: Plain values about the run, saved in its checkpoints.
        on_progress: Called by the main process.

    Returns:
        Path of the last checkpoint.

    Raises:
        NonFiniteLossError: A loss term or a gradient is not finite; nothing of that step is saved.
        WeightsError: The checkpoint in ``folder`` does not match the task.
    """
    path = folder / CHECKPOINT_NAME
    system = (run_metadata or {}).get("system")
    kept = KeptCheckpoints(folder, keep or KeepConfig())
    step = _resume(path, task, optimizer_step, kept, system) if path.exists() else 0

    def run_state() -> RunState:
        return RunState(step=step, steps=steps, seed=seed, device=device)

    # Only the main process writes.
    with (
        TrainingLogger(folder, steps=steps, wandb_project=wandb_project)
        if context.is_main
        else nullcontext()
    ) as logger:
        if logger is not None:
            on_progress(TrainingProgress(stage="training", step=step, steps=steps))
        for micro_batches in task.batches(first_step=step, context=context):
            if step >= steps:
                break
            terms = task.step(micro_batches, run_state(), optimizer_step)
            step += 1
            logs, validates, saves = (
                step % interval == 0 or step == steps
                for interval in (log_every, validate_every, save_every)
            )
            if logs or validates or saves:
                optimizer_step.check(step)
            if logger is not None:
                logger.add(terms, step=step)
                # On a GPU the terms are fetched once a line: until then they would be waited for.
                fetched_terms = fetched(terms) if logs or not optimizer_step.defers_checks else {}
                on_progress(
                    TrainingProgress(stage="training", step=step, steps=steps, terms=fetched_terms)
                )
                if logs:
                    logger.write(step=step)
                is_best = False
                if validates:
                    scores = _validate(task, run_state(), logger, validator, on_progress)
                    is_best = kept.is_best(scores)
                if saves or is_best:
                    state = _checkpoint(step, task, optimizer_step, kept)
                    save_checkpoint(path, {**(run_metadata or {}), **state})
                    kept.keep(path, step=step, is_best=is_best)
            if validates or saves:
                context.wait()
    return path


def _validate(
    task: Task,
    run_state: RunState,
    logger: TrainingLogger,
    validator: Validator | None,
    on_progress: ProgressCallback,
) -> Mapping[str, float]:
    """Validate, log and report; return the scores."""
    progress = TrainingProgress(stage="validating", step=run_state.step, steps=run_state.steps)
    on_progress(progress)
    scores, preview = task.validate(run_state)
    if validator is not None:
        more_scores, preview = validator()
        scores = {**scores, **more_scores}
    logger.log_scores(scores, step=run_state.step)
    if preview is not None:
        logger.log_images(preview.images, columns=preview.columns, step=run_state.step)
    on_progress(replace(progress, stage="training", scores=scores))
    return scores


def _checkpoint(
    step: int, task: Task, optimizer_step: OptimizerStep, kept: KeptCheckpoints
) -> dict[str, Any]:
    return {
        "version": VERSION,
        "step": step,
        "networks": {name: state.state_dict() for name, state in task.train_states.items()},
        "scalers": optimizer_step.state_dict(),
        "task": task.state_dict(),
        "kept": kept.state_dict(),
    }


def _resume(
    path: Path,
    task: Task,
    optimizer_step: OptimizerStep,
    kept: KeptCheckpoints,
    system: str | None,
) -> int:
    """Load a checkpoint into the task; return its step."""
    checkpoint = read_checkpoint(path)
    saved_system = checkpoint.get("system", system)
    if saved_system != system:
        raise WeightsError(
            f"{path}: is of a run of {saved_system}, but this config trains {system}; train in "
            "another folder"
        )
    try:
        load_train_states(task.train_states, checkpoint["networks"])
        optimizer_step.load_state_dict(checkpoint["scalers"])
        task.load_state_dict(checkpoint["task"])
        kept.load_state_dict(checkpoint.get("kept", {"best": None}))
        return int(checkpoint["step"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise mismatch_error(path, error) from error


def load_train_states(train_states: Mapping[str, TrainState], saved: Mapping[str, Any]) -> None:
    """Load the networks of a checkpoint; a mismatch raises the exceptions of ``torch``."""
    for name, train_state in train_states.items():
        train_state.load_state_dict(saved[name])


def mismatch_error(path: Path, error: Exception) -> WeightsError:
    """Return the error for a checkpoint that does not match the networks of a config."""
    mismatch = shorten(f"{type(error).__name__}: {error}", 160, placeholder=" ...")
    return WeightsError(
        f"{path}: does not match this config ({mismatch}); resume it with its config, or train in "
        "another folder"
    )
