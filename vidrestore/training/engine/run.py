"""A config to a run: the only place that builds everything."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from vidrestore.devices import resolve_device, resolve_precision
from vidrestore.errors import ConfigError
from vidrestore.toml_config import to_mapping
from vidrestore.training.engine.distributed import init_distributed
from vidrestore.training.engine.loop import Measure, Task, run_task
from vidrestore.training.engine.optimizer_step import Updater
from vidrestore.training.engine.progress import ProgressCallback, silent
from vidrestore.training.tasks.parser import ParserConfig, ParserTask
from vidrestore.training.tasks.psfrgan import PsfrganConfig, PsfrganTask
from vidrestore.training.tasks.restorer import RestorerTask
from vidrestore.training.tasks.restorer_config import RestorerConfig
from vidrestore.training.tasks.stylegan2 import StyleGan2Config, StyleGan2Task
from vidrestore.training.validation import StillsValidation, ValidationConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """A whole run: how long, how, and one task."""

    steps: int
    seed: int = 0
    precision: str = "auto"
    """Of forward passes; weights are float32."""
    clip_norm: float | None = None
    """Longest gradient of a network; longer ones are shortened to it."""
    log_every: int = 50
    save_every: int = 500
    validate_every: int = 1000
    stylegan2: StyleGan2Config | None = None
    parser: ParserConfig | None = None
    psfrgan: PsfrganConfig | None = None
    restorer: RestorerConfig | None = None
    validation: ValidationConfig | None = None
    """Of restorers, every ``validate_every`` steps, beside what their tasks measure."""

    def __post_init__(self) -> None:
        if min(self.steps, self.log_every, self.save_every, self.validate_every) < 1:
            raise ConfigError("steps, log_every, save_every and validate_every must be >= 1")
        if self.clip_norm is not None and self.clip_norm <= 0:
            raise ConfigError(f"clip_norm must be > 0, got {self.clip_norm}")
        given = self._given()
        if len(given) != 1:
            raise ConfigError(
                f"a run has one task of {', '.join(TASKS)}; "
                + (f"found {' and '.join(given)}" if given else "found none")
            )

        if self.validation is not None and self.psfrgan is None and self.restorer is None:
            raise ConfigError(f"[validation] is for restorers; {given[0]} measures by itself")

    def _given(self) -> list[str]:
        return [name for name in TASKS if getattr(self, name) is not None]

    @property
    def task_name(self) -> str:
        """The table of the task: a key of ``TASKS``."""
        return self._given()[0]

    @property
    def system(self) -> str:
        """What is trained, by the name that its papers and configs have."""
        return self.task_name if self.restorer is None else self.restorer.network

    def task(self, *, device: torch.device) -> Task:
        """Build the task."""
        name = self.task_name
        return TASKS[name](getattr(self, name), seed=self.seed, device=device)


TASKS: dict[str, Callable[..., Task]] = {
    "stylegan2": StyleGan2Task,
    "parser": ParserTask,
    "psfrgan": PsfrganTask,
    "restorer": RestorerTask,
}


def train(
    config: RunConfig,
    *,
    folder: Path,
    device: str = "auto",
    on_progress: ProgressCallback = silent,
) -> Path:
    """Run ``config`` in ``folder``, resuming from its checkpoint if there is one.

    Under torchrun every process calls this; each takes its share of every batch.

    Args:
        config: What to do.
        folder: Exists; takes checkpoint, log and pictures.
        device: As ``resolve_device`` takes it; under torchrun each process has its own GPU.
        on_progress: Told by the first process how far the run is.

    Returns:
        Path of the last checkpoint.

    Raises:
        VidrestoreError: A file, setting or number is at fault; the message says which.
    """
    if device == "auto" and torch.cuda.is_available():
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    where = resolve_device(device)
    with init_distributed(where) as world:
        # One seed for all processes: they begin with the same weights.
        torch.manual_seed(config.seed)
        task = config.task(device=where)
        return run_task(
            task,
            folder=folder,
            steps=config.steps,
            seed=config.seed,
            updater=Updater(
                device=where,
                dtype=resolve_precision(config.precision, where),
                clip_norm=float("inf") if config.clip_norm is None else config.clip_norm,
                world=world,
            ),
            device=where,
            world=world,
            log_every=config.log_every,
            save_every=config.save_every,
            validate_every=config.validate_every,
            measure=_measure(config, task) if world.is_first else None,
            origin={"system": config.system, "config": to_mapping(config)},
            on_progress=on_progress,
        )


def _measure(config: RunConfig, task: Task) -> Measure | None:
    if config.validation is None or not isinstance(task, PsfrganTask | RestorerTask):
        return None
    stills = StillsValidation(config.validation)
    return lambda: stills.measured(task.restorer())
