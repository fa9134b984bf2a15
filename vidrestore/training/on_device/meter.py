"""Means of what steps give, read from the device once a line of the log."""

import time
from collections.abc import Mapping

from torch import Tensor

from vidrestore.training.engine.logger import Journal
from vidrestore.training.on_device.update import DeviceUpdater


class Meter:
    """Sums terms on the device.

    Args:
        journal: Takes the lines.
        updater: Counts the updates that were left out.
        done: Steps of the run so far.
        batch: Samples of a step.
        stage: Number of the stage, which goes into the lines.
    """

    """Sums terms on the device, and reads them when a line is written."""

    def __init__(
        self, journal: Journal, updater: DeviceUpdater, *, done: int, batch: int, stage: int
    ) -> None:
        self._journal, self._updater = journal, updater
        self._batch, self._stage = batch, stage
        self._sums: dict[str, Tensor] = {}
        self._steps = self._updates = 0
        self._since = time.monotonic()
        journal.add({}, step=done)  # its steps per second begin here

    def add(self, terms: Mapping[str, Tensor], *, updates: int) -> None:
        """Take in the terms of one step, in which so many updates were tried."""
        for name, value in terms.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value.clone()
        self._steps += 1
        self._updates += updates

    def write(self, done: int) -> dict[str, float]:
        """Write and return means; waits for the device.

        Raises:
            NonFiniteLossError: Half of the updates were left out.
        """
        left_out = self._updater.take_left_out(of=self._updates, step=done)
        means = {name: float(each) / self._steps for name, each in self._sums.items()}
        seconds = max(1e-9, time.monotonic() - self._since)
        means["samples_per_second"] = self._steps * self._batch / seconds
        means["stage"] = float(self._stage)
        if left_out:
            means["left_out"] = float(left_out)
        self._journal.add(means, step=done - self._steps)
        self._journal.write(step=done)
        self._sums.clear()
        self._steps = self._updates = 0
        self._since = time.monotonic()
        return means
