"""Progress of a training run, as its caller receives it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingProgress:
    """Progress, reported before the first step, after each step, and around each validation."""

    stage: Literal["training", "validating"]
    step: int
    """Steps done, including those before a resume."""
    steps: int
    """Steps of the whole run."""
    terms: Mapping[str, float] = field(default_factory=dict[str, float])
    """Loss terms of the last step."""
    scores: Mapping[str, float] = field(default_factory=dict[str, float])
    """Scores of the validation that has just ended."""


ProgressCallback: TypeAlias = Callable[[TrainingProgress], None]
"""Called by the main process; must return quickly. An exception stops the run."""


def ignore_progress(_progress: TrainingProgress) -> None:
    """Do nothing."""
