"""Duration of a stage: a time, or a number of steps."""

import time
from collections.abc import Callable, Sequence

from vidrestore.training.on_device.config import StageConfig

_UNKNOWN_STEPS = 1_000_000
"""Assumed number of steps of a stage before its first step."""


def first_stage_seconds(remaining_seconds: float, stages: Sequence[StageConfig]) -> float:
    """Return the time of the first of the remaining stages.

    Args:
        remaining_seconds: Time for all remaining stages; below 0 counts as 0.
        stages: The remaining stages. A stage with a number of steps may use all the time.
    """
    seconds = max(0.0, remaining_seconds)
    first = stages[0]
    if first.steps is not None:
        return seconds
    return seconds * first.share / sum(stage.share for stage in stages if stage.steps is None)


class StageBudget:
    """Measures the time of a stage, without the pauses between processes.

    Args:
        seconds: Time of the whole stage.
        steps: Number of steps of the whole stage; None ends it by time.
        spent_seconds: Time that earlier processes spent on the stage.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        *,
        seconds: float,
        steps: int | None,
        spent_seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds = seconds
        self._steps = steps
        self._clock = clock
        self._start = clock() - spent_seconds

    @property
    def spent_seconds(self) -> float:
        """Time spent on the stage so far."""
        return self._clock() - self._start

    def is_over(self, step: int) -> bool:
        """Return whether the stage ends after ``step`` steps."""
        if self._steps is not None:
            return step >= self._steps
        return self.spent_seconds >= self.seconds

    def steps(self, step: int) -> int:
        """Return the number of steps of the stage, estimated from the time of ``step`` steps.

        Schedules use it to follow the time of the stage.
        """
        if self._steps is not None:
            return self._steps
        ratio = self.spent_seconds / max(self.seconds, 1e-9)
        return max(step + 1, round(step / ratio)) if step and ratio > 0 else _UNKNOWN_STEPS
