"""Trains one stage after another within a number of minutes; can be resumed."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vidrestore.devices import resolve_device, resolve_precision
from vidrestore.toml_config import to_mapping
from vidrestore.training.engine.logger import TrainingLogger
from vidrestore.training.engine.loop import CHECKPOINT_NAME
from vidrestore.training.engine.progress import ProgressCallback, TrainingProgress, ignore_progress
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.on_device.config import DeviceRunConfig, StageConfig
from vidrestore.training.on_device.data.batches import DegradedFaces
from vidrestore.training.on_device.data.device_faces import DeviceFaces
from vidrestore.training.on_device.data.drawn_faces import DrawnFaces
from vidrestore.training.on_device.data.teacher_cache import CachedFaces
from vidrestore.training.on_device.device_logger import DeviceLogger
from vidrestore.training.on_device.lite_weights import build_lite_from, read_starting_state
from vidrestore.training.on_device.losses import load_loss_networks
from vidrestore.training.on_device.networks import PriorNetwork, build_frozen, device_network
from vidrestore.training.on_device.optimizer_step import DeviceOptimizerStep
from vidrestore.training.on_device.results import RunResults, write_results
from vidrestore.training.on_device.run_checkpoint import (
    RunCheckpoint,
    read_run_checkpoint,
    resume_stage,
)
from vidrestore.training.on_device.stage_budget import StageBudget, first_stage_seconds
from vidrestore.training.on_device.stage_trainer import BatchSource, StageTrainer
from vidrestore.training.on_device.teacher import Teacher
from vidrestore.training.validation import RestorerValidation, wrap_restorer
from vidrestore.types import CROP_SIZE_PX

_RESERVE_RATIO, _MAX_RESERVE_SECONDS = 0.05, 30.0
"""Part of the run's time that is reserved for writing the results, and its maximum."""


class _Run:
    def __init__(
        self,
        config: DeviceRunConfig,
        folder: Path,
        device: torch.device,
        on_progress: ProgressCallback,
    ) -> None:
        self._config, self._folder, self._device = config, folder, device
        self._on_progress = on_progress
        self._start = time.monotonic()
        self._optimizer_step = DeviceOptimizerStep(
            device=device,
            dtype=resolve_precision(config.precision, device),
            max_grad_norm=config.max_grad_norm,
        )
        self._network = device_network(config)
        self._checkpoint = read_run_checkpoint(folder, config.network) or RunCheckpoint(
            state=self._network.starting_state(config.pretrained)
        )
        self._loss_networks = load_loss_networks(config, device)
        self._faces = DeviceFaces(
            config.data.faces,
            held_out=config.data.held_out,
            num_workers=config.data.num_workers,
            seed=config.seed,
            device=device,
        )

    def train(self, stop_after: int | None) -> RunResults | None:
        """Train the remaining stages; return None if ``stop_after`` ends the run early."""
        config, checkpoint = self._config, self._checkpoint
        with TrainingLogger(
            self._folder, steps=sum(stage.steps or 0 for stage in config.stages)
        ) as logger:
            while checkpoint.stage < len(config.stages):
                stage = config.stages[checkpoint.stage]
                if not self._train_stage(stage, logger, stop_after):
                    return None
                self._save(networks=None)
                if stage.keeps and config.validation is not None:
                    self._validate(logger)
                is_last = checkpoint.stage == len(config.stages)
                if not is_last and stop_after is not None and checkpoint.done >= stop_after:
                    return None
        return RunResults(
            config=config, ends=checkpoint.ends, steps=checkpoint.done, faces=self._faces
        )

    def _train_stage(
        self, stage: StageConfig, logger: TrainingLogger, stop_after: int | None
    ) -> bool:
        """Train the remaining steps of a stage; return False if ``stop_after`` interrupts it."""
        checkpoint, config = self._checkpoint, self._config
        if not checkpoint.stage_seconds:
            checkpoint.stage_seconds = self._stage_seconds(checkpoint.stage)
        budget = StageBudget(
            seconds=checkpoint.stage_seconds,
            steps=stage.steps,
            spent_seconds=checkpoint.stage_spent_seconds,
        )
        trainer = self._trainer(stage, self._run_state(budget))
        device_logger = DeviceLogger(
            logger,
            self._optimizer_step,
            step=checkpoint.done,
            batch=stage.batch,
            stage=checkpoint.stage,
        )
        save_time = time.monotonic()
        is_over = budget.is_over(checkpoint.step)
        while not is_over:
            device_logger.add(
                trainer.step(self._run_state(budget)), updates=len(trainer.train_states)
            )
            checkpoint.step += 1
            checkpoint.done += 1
            is_over = budget.is_over(checkpoint.step)
            if checkpoint.step % config.log_every == 0 or is_over:
                self._report(device_logger.write(checkpoint.done), budget)
            stop = stop_after is not None and checkpoint.done >= stop_after
            if not is_over and (stop or time.monotonic() - save_time > 60 * config.save_minutes):
                checkpoint.stage_spent_seconds = budget.spent_seconds
                self._save(
                    networks={
                        name: state.state_dict() for name, state in trainer.train_states.items()
                    }
                )
                save_time = time.monotonic()
            if stop and not is_over:
                return False
        state = trainer.ema_state()
        if stage.keeps:
            checkpoint.ends[stage.keeps] = state
        checkpoint.state, checkpoint.networks = state, None
        checkpoint.stage, checkpoint.step = checkpoint.stage + 1, 0
        checkpoint.stage_seconds = checkpoint.stage_spent_seconds = 0.0
        return True

    def _run_state(self, budget: StageBudget) -> RunState:
        checkpoint = self._checkpoint
        words = np.random.SeedSequence((self._config.seed, checkpoint.stage)).generate_state(1)
        return RunState(
            step=checkpoint.step,
            steps=budget.steps(checkpoint.step),
            seed=int(words[0]),
            device=self._device,
        )

    def _trainer(self, stage: StageConfig, run_state: RunState) -> StageTrainer:
        config, checkpoint = self._config, self._checkpoint
        cache = config.teacher.cache if config.reads_cache(stage) else None
        source: BatchSource
        if cache is not None:
            source = CachedFaces(cache, stage, teacher=config.teacher, device=self._device)
        else:
            source = DegradedFaces(
                self._faces, config.data, stage, run_state=run_state, drawn=self._drawn_faces(stage)
            )
        torch.manual_seed(run_state.seed)  # initializes a new discriminator
        trainer = StageTrainer(
            config,
            stage,
            network=self._network,
            state=checkpoint.state,
            source=source,
            loss_networks=self._loss_networks,
            teacher=self._teacher(stage) if stage.loss_weights.teacher and cache is None else None,
            optimizer_step=self._optimizer_step,
        )
        if checkpoint.networks is not None:
            resume_stage(trainer.train_states, checkpoint.networks, self._folder / CHECKPOINT_NAME)
            checkpoint.networks = None
        return trainer

    def _drawn_faces(self, stage: StageConfig) -> DrawnFaces | None:
        if not stage.generated_count or not isinstance(self._network, PriorNetwork):
            return None
        return DrawnFaces(
            self._network.generator().to(self._device),
            truncation=stage.truncation,
            dtype=self._optimizer_step.dtype,
        )

    def _teacher(self, stage: StageConfig) -> Teacher:
        ends = self._checkpoint.ends
        fidelity = ends.get("fidelity") or read_starting_state(self._config.pretrained)
        return Teacher(
            build_lite_from(fidelity),
            side_px=stage.side_px,
            config=self._config.teacher,
            device=self._device,
            dtype=self._optimizer_step.dtype,
        )

    def _stage_seconds(self, stage: int) -> float:
        """Return the time of a stage: its share of the remaining time."""
        total = 60 * self._config.minutes
        reserve = min(_MAX_RESERVE_SECONDS, _RESERVE_RATIO * total)
        return first_stage_seconds(
            total - self._spent_seconds() - reserve, self._config.stages[stage:]
        )

    def _spent_seconds(self) -> float:
        return self._checkpoint.spent_seconds + time.monotonic() - self._start

    def _report(self, means: Mapping[str, float], budget: StageBudget) -> None:
        checkpoint = self._checkpoint
        steps = checkpoint.done - checkpoint.step + budget.steps(checkpoint.step)
        self._on_progress(
            TrainingProgress(stage="training", step=checkpoint.done, steps=steps, terms=means)
        )

    def _validate(self, logger: TrainingLogger) -> None:
        assert self._config.validation is not None, "the caller checks this"
        restorer = wrap_restorer(
            build_frozen(self._network, self._checkpoint.state),
            side_px=CROP_SIZE_PX,
            device=self._device,
        )
        scores, preview = RestorerValidation(self._config.validation).validate(restorer)
        step = self._checkpoint.done
        logger.log_scores(scores, step=step)
        logger.log_images(preview.images, columns=preview.columns, step=step)
        self._on_progress(
            TrainingProgress(stage="validating", step=step, steps=step, scores=scores)
        )

    def _save(self, networks: Mapping[str, Any] | None) -> None:
        self._checkpoint.save(
            self._folder,
            networks,
            spent_seconds=self._spent_seconds(),
            system=self._config.network,
            config=to_mapping(self._config),
        )


def train_on_device(
    config: DeviceRunConfig,
    *,
    folder: Path,
    device: str = "auto",
    on_progress: ProgressCallback = ignore_progress,
    stop_after: int | None = None,
) -> list[Path]:
    """Run ``config`` in ``folder``, resuming from its checkpoint if there is one.

    Batches and draws are functions of seed, stage and step. If all stages have ``steps``, an
    interrupted run therefore gives the result of an uninterrupted one. A run by minutes depends on
    the speed.

    Args:
        config: The run's settings.
        folder: Folder for the checkpoint (``last.pt``, and its parts below 15 MB), ``log.jsonl``
            and the results; created if it does not exist.
        device: See ``resolve_device``.
        on_progress: Called at every line of the log.
        stop_after: Number of steps of all stages after which to save and stop.

    Returns:
        Paths of the results: ``lite.safetensors`` or ``prior.safetensors`` (and the list of its
        parts), ``curves.png``, ``sheet.png``. Empty if ``stop_after`` ended the run.

    Raises:
        VidrestoreError: A file or a setting is invalid, or a loss is not finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    torch_device = resolve_device(device)
    # Sizes are constant within a stage.
    torch.backends.cudnn.benchmark = torch_device.type == "cuda"
    run = _Run(config, folder, torch_device, on_progress)
    results = run.train(stop_after)
    return [] if results is None else write_results(results, folder)
