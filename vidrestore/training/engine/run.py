"""Builds and runs a training config."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from vidrestore.devices import resolve_device, resolve_precision
from vidrestore.errors import ConfigError
from vidrestore.toml_config import to_mapping
from vidrestore.training.engine.distributed import DistributedContext, init_distributed
from vidrestore.training.engine.kept_checkpoints import KeepConfig
from vidrestore.training.engine.loop import Task, Validator, run_task
from vidrestore.training.engine.optimizer_step import OptimizerStep
from vidrestore.training.engine.progress import ProgressCallback, ignore_progress
from vidrestore.training.tasks.parser import ParserConfig, ParserTask
from vidrestore.training.tasks.psfrgan import PsfrganConfig, PsfrganTask
from vidrestore.training.tasks.restorer import RestorerTask
from vidrestore.training.tasks.restorer_config import RestorerConfig
from vidrestore.training.tasks.stylegan2 import StyleGan2Config, StyleGan2Task
from vidrestore.training.validation import RestorerValidation, ValidationConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Settings of a run, with exactly one task."""

    steps: int
    seed: int = 0
    precision: str = "auto"
    """Precision of forward passes; weights are float32."""
    max_grad_norm: float | None = field(default=None, metadata={"alias": "clip_norm"})
    """Gradients of a network with a larger norm are scaled down to it."""
    log_every: int = 50
    save_every: int = 500
    validate_every: int = 1000
    keep: KeepConfig = field(default_factory=KeepConfig)
    """Checkpoints beside the last one."""
    compile_backend: str | None = None
    """Backend of ``torch.compile`` for the restorer or parser in training: "inductor". None does
    not compile. Not for discriminators and priors, whose penalties differentiate twice."""
    wandb_project: str | None = None
    """Project of Weights & Biases that the run is logged to, too."""
    stylegan2: StyleGan2Config | None = None
    parser: ParserConfig | None = None
    psfrgan: PsfrganConfig | None = None
    restorer: RestorerConfig | None = None
    validation: ValidationConfig | None = None
    """Validation of restorers every ``validate_every`` steps, besides that of their tasks."""

    def __post_init__(self) -> None:
        if min(self.steps, self.log_every, self.save_every, self.validate_every) < 1:
            raise ConfigError("steps, log_every, save_every and validate_every must be >= 1")
        if self.max_grad_norm is not None and self.max_grad_norm <= 0:
            raise ConfigError(f"max_grad_norm must be > 0, got {self.max_grad_norm}")
        tasks = self._tasks()
        if len(tasks) != 1:
            raise ConfigError(
                f"the config needs exactly one of the tables {', '.join(TASKS)}; "
                f"found {' and '.join(tasks) or 'none'}"
            )
        if self.compile_backend is not None and self.stylegan2 is not None:
            raise ConfigError("compile_backend: [stylegan2] differentiates twice; leave it out")
        if self.validation is not None and self.psfrgan is None and self.restorer is None:
            raise ConfigError(
                f"[validation] applies to restorers; [{tasks[0]}] validates itself: remove "
                "[validation]"
            )

    def _tasks(self) -> list[str]:
        return [name for name in TASKS if getattr(self, name) is not None]

    @property
    def task_name(self) -> str:
        """Name of the task's table, a key of ``TASKS``."""
        return self._tasks()[0]

    @property
    def system(self) -> str:
        """Name of the trained system: a restorer's network, otherwise the task."""
        return self.task_name if self.restorer is None else self.restorer.network

    def build_task(self, *, device: torch.device) -> Task:
        """Return the task, on ``device``."""
        name = self.task_name
        return TASKS[name](getattr(self, name), seed=self.seed, device=device)

    def compile(self, task: Task) -> None:
        """Compile the network of a task that ``compile_backend`` is for."""
        if self.compile_backend is not None:
            network = task.train_states[_COMPILED[self.task_name]].network
            network.compile(backend=self.compile_backend)

    def optimizer_step(
        self, device: torch.device, context: DistributedContext | None = None
    ) -> OptimizerStep:
        """Return what applies the updates of a run."""
        return OptimizerStep(
            device=device,
            dtype=resolve_precision(self.precision, device),
            max_grad_norm=float("inf") if self.max_grad_norm is None else self.max_grad_norm,
            context=context,
        )


TASKS: dict[str, Callable[..., Task]] = {
    "stylegan2": StyleGan2Task,
    "parser": ParserTask,
    "psfrgan": PsfrganTask,
    "restorer": RestorerTask,
}


_COMPILED = {"parser": "parser", "psfrgan": "generator", "restorer": "generator"}
"""Task -> the network that ``compile_backend`` compiles."""


def train(
    config: RunConfig,
    *,
    folder: Path,
    device: str = "auto",
    on_progress: ProgressCallback = ignore_progress,
) -> Path:
    """Run ``config`` in ``folder``, resuming from its checkpoint if there is one.

    Under torchrun every process calls this; each trains on a slice of every batch.

    Args:
        config: The run's settings.
        folder: Folder of checkpoint, log and images; must exist.
        device: See ``resolve_device``; under torchrun every process has its GPU.
        on_progress: Called by the main process.

    Returns:
        Path of the last checkpoint.

    Raises:
        VidrestoreError: A file or a setting is invalid, or a loss is not finite.
    """
    torch_device = own_device(device)
    with init_distributed(torch_device) as context:
        # All processes use one seed, so that they start with the same weights.
        torch.manual_seed(config.seed)
        task = config.build_task(device=torch_device)
        config.compile(task)
        return run_task(
            task,
            folder=folder,
            steps=config.steps,
            seed=config.seed,
            optimizer_step=config.optimizer_step(torch_device, context),
            device=torch_device,
            context=context,
            log_every=config.log_every,
            save_every=config.save_every,
            validate_every=config.validate_every,
            keep=config.keep,
            wandb_project=config.wandb_project,
            validator=_validator(config, task) if context.is_main else None,
            run_metadata={"system": config.system, "config": to_mapping(config)},
            on_progress=on_progress,
        )


def own_device(device: str) -> torch.device:
    """Return the device of this process, and make it torch's current one.

    Each process of torchrun has the GPU of its number on its machine. It must be current before the
    group of processes starts, or all of them would use the first.

    Raises:
        ConfigError: One GPU is named for several processes, or a machine has fewer than processes.
    """
    local = int(os.environ.get("LOCAL_RANK", "0"))
    is_shared = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) > 1
    if is_shared and device.startswith("cuda:"):
        raise ConfigError(
            f"--device {device}: several processes cannot train on one GPU; leave --device out"
        )
    if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        if local >= torch.cuda.device_count():
            raise ConfigError(
                f"process {local + 1} on this machine has no GPU: there are "
                f"{torch.cuda.device_count()}; start fewer by --nproc-per-node"
            )
        device = f"cuda:{local}"
    resolved = resolve_device(device)
    if resolved.type == "cuda":
        torch.cuda.set_device(resolved)
    return resolved


def _validator(config: RunConfig, task: Task) -> Validator | None:
    if config.validation is None or not isinstance(task, PsfrganTask | RestorerTask):
        return None
    validation = RestorerValidation(config.validation)
    return lambda: validation.validate(task.restorer())
