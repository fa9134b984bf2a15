"""A config to weights: stage after stage within a number of minutes, resumable."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vidrestore.devices import resolve_device, resolve_precision
from vidrestore.toml_config import to_mapping
from vidrestore.training.engine.logger import Journal
from vidrestore.training.engine.loop import LAST
from vidrestore.training.engine.progress import ProgressCallback, TrainingProgress, silent
from vidrestore.training.engine.run_state import Moment
from vidrestore.training.on_device.clock import StageClock, share_of_time
from vidrestore.training.on_device.config import DeviceRunConfig, StageConfig
from vidrestore.training.on_device.data.bank import FaceBank
from vidrestore.training.on_device.data.batches import DegradedFaces
from vidrestore.training.on_device.data.cache import CachedFaces
from vidrestore.training.on_device.meter import Meter
from vidrestore.training.on_device.networks import network_of, starting_state
from vidrestore.training.on_device.outcome import Outcome, write_outcome
from vidrestore.training.on_device.place import Place, load_parts, resumed_place
from vidrestore.training.on_device.teacher import Teacher
from vidrestore.training.on_device.trainer import BatchSource, StageTrainer, judges_of
from vidrestore.training.on_device.update import DeviceUpdater
from vidrestore.training.validation import StillsValidation, wrap_restorer
from vidrestore.types import CROP_SIZE_PX

_RESERVE_SHARE, _RESERVE_SECONDS = 0.05, 30.0
"""Of the minutes, at most so many seconds, for weights, curves and the sheet at the end."""


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
        self._began = time.monotonic()
        self._updater = DeviceUpdater(
            device=device,
            dtype=resolve_precision(config.precision, device),
            clip_norm=config.clip_norm,
        )
        self._place = resumed_place(folder) or Place(state=starting_state(config.start))
        self._judges = judges_of(config, device)
        self._bank = FaceBank(
            config.data.faces,
            held_out=config.data.held_out,
            workers=config.data.workers,
            seed=config.seed,
            device=device,
        )

    def train(self, stop_after: int | None) -> Outcome | None:
        """Do all stages; None where ``stop_after`` ended the run early."""
        config, place = self._config, self._place
        with Journal(self._folder, steps=sum(each.steps or 0 for each in config.stages)) as journal:
            while place.stage < len(config.stages):
                stage = config.stages[place.stage]
                if not self._trained(stage, journal, stop_after):
                    return None
                self._save(parts=None)
                if stage.keeps and config.validation is not None:
                    self._validate(journal)
                more = place.stage < len(config.stages)
                if more and stop_after is not None and place.done >= stop_after:
                    return None
        return Outcome(config=config, ends=place.ends, steps=place.done, bank=self._bank)

    def _trained(self, stage: StageConfig, journal: Journal, stop_after: int | None) -> bool:
        """Do what is left of a stage; whether it is done."""
        place, config = self._place, self._config
        if not place.stage_seconds:
            place.stage_seconds = self._seconds_for(place.stage)
        clock = StageClock(
            seconds=place.stage_seconds,
            steps=stage.steps,
            spent_seconds=place.stage_spent_seconds,
        )
        trainer = self._trainer(stage, self._moment(clock))
        meter = Meter(journal, self._updater, done=place.done, batch=stage.batch, stage=place.stage)
        saved = time.monotonic()
        over = clock.is_over(place.step)
        while not over:
            meter.add(trainer.step(self._moment(clock)), updates=len(trainer.parts))
            place.step += 1
            place.done += 1
            over = clock.is_over(place.step)
            if place.step % config.log_every == 0 or over:
                self._tell(meter.write(place.done), clock)
            stop = stop_after is not None and place.done >= stop_after
            if not over and (stop or time.monotonic() - saved > 60 * config.save_minutes):
                place.stage_spent_seconds = clock.spent_seconds
                self._save(parts={name: each.state_dict() for name, each in trainer.parts.items()})
                saved = time.monotonic()
            if stop and not over:
                return False
        state = {name: each.detach().cpu().clone() for name, each in trainer.ema.state.items()}
        if stage.keeps:
            place.ends[stage.keeps] = state
        place.state, place.parts = state, None
        place.stage, place.step = place.stage + 1, 0
        place.stage_seconds = place.stage_spent_seconds = 0.0
        return True

    def _moment(self, clock: StageClock) -> Moment:
        place = self._place
        words = np.random.SeedSequence((self._config.seed, place.stage)).generate_state(1)
        return Moment(
            step=place.step,
            steps=clock.steps(place.step),
            seed=int(words[0]),
            rank=0,
            device=self._device,
        )

    def _trainer(self, stage: StageConfig, moment: Moment) -> StageTrainer:
        config, place = self._config, self._place
        cache = config.teacher.cache if stage.weights.teacher else None
        source: BatchSource
        if cache is not None:
            source = CachedFaces(
                cache, stage, device=self._device, in_memory=config.teacher.in_memory
            )
        else:
            source = DegradedFaces(self._bank, config.data, stage, moment=moment)
        torch.manual_seed(moment.seed)  # of a new adversary
        trainer = StageTrainer(
            config,
            stage,
            state=place.state,
            source=source,
            judges=self._judges,
            teacher=self._teacher(stage) if stage.weights.teacher and cache is None else None,
            updater=self._updater,
        )
        if place.parts is not None:
            load_parts(trainer.parts, place.parts, self._folder / LAST)
            place.parts = None
        return trainer

    def _teacher(self, stage: StageConfig) -> Teacher:
        ends = self._place.ends
        fidelity = ends.get("fidelity") or starting_state(self._config.start)
        return Teacher(
            network_of(fidelity),
            side_px=stage.side_px,
            good_from_db=self._config.teacher.good_from_db,
            device=self._device,
            dtype=self._updater.dtype,
        )

    def _seconds_for(self, stage: int) -> float:
        """Return a stage's part of the time that is left."""
        whole = 60 * self._config.minutes
        spent = self._place.spent_seconds + time.monotonic() - self._began
        left = whole - spent - min(_RESERVE_SECONDS, _RESERVE_SHARE * whole)
        return share_of_time(left, self._config.stages[stage:])

    def _tell(self, means: Mapping[str, float], clock: StageClock) -> None:
        place = self._place
        steps = place.done - place.step + clock.steps(place.step)
        self._on_progress(
            TrainingProgress(stage="training", step=place.done, steps=steps, terms=means)
        )

    def _validate(self, journal: Journal) -> None:
        assert self._config.validation is not None, "the caller has asked"
        restorer = wrap_restorer(
            network_of(self._place.state), side_px=CROP_SIZE_PX, device=self._device
        )
        scores, preview = StillsValidation(self._config.validation).measured(restorer)
        journal.validated(scores, step=self._place.done)
        journal.picture(preview.images, columns=preview.columns, step=self._place.done)
        done = self._place.done
        self._on_progress(
            TrainingProgress(stage="validating", step=done, steps=done, scores=scores)
        )

    def _save(self, parts: Mapping[str, Any] | None) -> None:
        spent = self._place.spent_seconds + time.monotonic() - self._began
        self._place.save(self._folder, parts, spent_seconds=spent, config=to_mapping(self._config))


def train_on_device(
    config: DeviceRunConfig,
    *,
    folder: Path,
    device: str = "auto",
    on_progress: ProgressCallback = silent,
    stop_after: int | None = None,
) -> list[Path]:
    """Run ``config`` in ``folder``, resuming from its checkpoint if there is one.

    Batches and draws are functions of seed, stage and step. A run whose stages have ``steps`` is
    thus the same however often it is cut off; one by the minute does what the minutes allow.

    Args:
        config: What to do.
        folder: Made where it does not exist; takes the checkpoint (``last.pt`` and its parts below
            15 MB), ``log.jsonl`` and what is written at the end.
        device: As ``resolve_device`` takes it.
        on_progress: Told how far the run is at every line of the log.
        stop_after: Steps of all stages after which to save and stop.

    Returns:
        What was written at the end: ``lite.safetensors`` (and the list of its parts),
        ``curves.png``, ``sheet.png``. Empty where ``stop_after`` came first.

    Raises:
        VidrestoreError: A file, setting or number is at fault; the message says which.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    where = resolve_device(device)
    torch.backends.cudnn.benchmark = where.type == "cuda"  # sizes stay the same within a stage
    run = _Run(config, folder, where, on_progress)
    outcome = run.train(stop_after)
    return [] if outcome is None else write_outcome(outcome, folder)
