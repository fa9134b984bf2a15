"""How long a stage goes on: for a time, or for a number of steps."""

import time
from collections.abc import Callable, Sequence

from vidrestore.training.on_device.config import StageConfig

_UNKNOWN = 1_000_000
"""Steps of a stage of which none has been done."""


def share_of_time(left_seconds: float, stages: Sequence[StageConfig]) -> float:
    """Return the seconds of the first of ``stages`` by its share; the rest share what is left.

    Args:
        left_seconds: For all of them; below 0 counts as 0.
        stages: Those not done. One with a number of steps takes no share, and has all the time.
    """
    left = max(0.0, left_seconds)
    first = stages[0]
    if first.steps is not None:
        return left
    return left * first.share / sum(each.share for each in stages if each.steps is None)


class StageClock:
    """Measures a stage, pauses between two runs left out.

    Args:
        seconds: Of the whole stage.
        steps: In place of a time; None lets the time decide.
        spent_seconds: Before this run.
        now: Seconds of any clock.
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
        self._from = now() - spent_seconds

    @property
    def spent_seconds(self) -> float:
        """Seconds of the stage so far."""
        return self._now() - self._from

    def is_over(self, step: int) -> bool:
        """Whether ``step`` steps are all."""
        if self._steps is not None:
            return step >= self._steps
        return self.spent_seconds >= self.seconds

    def steps(self, step: int) -> int:
        """Return how many steps the stage will have, as far as ``step`` of them tell.

        Schedules that depend on the part of the steps that are done thus follow the time.
        """
        if self._steps is not None:
            return self._steps
        part = self.spent_seconds / max(self.seconds, 1e-9)
        return max(step + 1, round(step / part)) if step and part > 0 else _UNKNOWN
