"""Length of a stage: a time, or a number of steps."""

import time
from collections.abc import Callable, Sequence

from vidrestore.training.on_device.config import StageConfig

_UNKNOWN_STEPS = 1_000_000
"""Length of a stage before its first step."""


def stage_seconds_by_share(left_seconds: float, stages: Sequence[StageConfig]) -> float:
    """Return the time of the first of ``stages`` by its share.

    Args:
        left_seconds: Time for all of them; below 0 counts as 0.
        stages: The remaining stages. One with a number of steps has no share, and all the time.
    """
    left = max(0.0, left_seconds)
    first = stages[0]
    if first.steps is not None:
        return left
    return left * first.share / sum(stage.share for stage in stages if stage.steps is None)


class StageBudget:
    """Measures the time of a stage, without pauses between processes.

    Args:
        seconds: Of the whole stage.
        steps: Of the whole stage; None ends it by time.
        spent_seconds: Before this process.
        now: Clock in seconds.
    """

    def __init__(
        self,
        *,
        seconds: float,
        steps: int | None,
        spent_seconds: float = 0.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds = seconds
        self._steps = steps
        self._now = now
        self._start = now() - spent_seconds

    @property
    def spent_seconds(self) -> float:
        """Seconds of the stage so far."""
        return self._now() - self._start

    def is_over(self, step: int) -> bool:
        """Return whether the stage ends after ``step`` steps."""
        if self._steps is not None:
            return step >= self._steps
        return self.spent_seconds >= self.seconds

    def steps(self, step: int) -> int:
        """Return the number of steps of the stage, estimated from the time of ``step`` steps.

        So schedules that depend on the number of steps follow the time.
        """
        if self._steps is not None:
            return self._steps
        ratio = self.spent_seconds / max(self.seconds, 1e-9)
        return max(step + 1, round(step / ratio)) if step and ratio > 0 else _UNKNOWN_STEPS
