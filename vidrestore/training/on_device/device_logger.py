"""Logs the means of loss terms, read from the device once per line of the log."""

import time
from collections.abc import Mapping

from torch import Tensor

from vidrestore.training.engine.logger import TrainingLogger
from vidrestore.training.on_device.optimizer_step import DeviceOptimizerStep


class DeviceLogger:
    """Sums loss terms on the device; only ``write`` synchronizes.

    Args:
        logger: Writes the lines.
        optimizer_step: Counts the skipped updates.
        step: Number of steps of the run so far.
        batch: Number of samples per step.
        stage: Number of the stage, for the log.
    """

    def __init__(
        self,
        logger: TrainingLogger,
        optimizer_step: DeviceOptimizerStep,
        *,
        step: int,
        batch: int,
        stage: int,
    ) -> None:
        self._logger, self._optimizer_step = logger, optimizer_step
        self._batch, self._stage = batch, stage
        self._sums: dict[str, Tensor] = {}
        self._steps = self._updates = 0
        self._start = time.monotonic()
        logger.add({}, step=step)  # starts its measurement of speed

    def add(self, terms: Mapping[str, Tensor], *, updates: int) -> None:
        """Add the terms of one step with ``updates`` updates."""
        for name, value in terms.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value.clone()
        self._steps += 1
        self._updates += updates

    def write(self, step: int) -> dict[str, float]:
        """Write and return the means since the last line; synchronizes.

        Raises:
            NonFiniteLossError: At least half of the updates were skipped.
        """
        skipped = self._optimizer_step.take_skipped(updates=self._updates, step=step)
        means = {name: float(total) / self._steps for name, total in self._sums.items()}
        seconds = max(1e-9, time.monotonic() - self._start)
        means["samples_per_second"] = self._steps * self._batch / seconds
        means["stage"] = float(self._stage)
        if skipped:
            means["left_out"] = float(skipped)
        self._logger.add(means, step=step - self._steps)
        self._logger.write(step=step)
        self._sums.clear()
        self._steps = self._updates = 0
        self._start = time.monotonic()
        return means
