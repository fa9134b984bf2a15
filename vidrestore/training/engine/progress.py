"""Progress of a training run, as its caller receives it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingProgress:
    """Sent before the first step, after every step, and before and after validations."""

    stage: Literal["training", "validating"]
    step: int
    """Steps done, including those before a resume."""
    steps: int
    """Of the whole run."""
    terms: Mapping[str, float] = field(default_factory=dict[str, float])
    """Loss terms of the step just done."""
    scores: Mapping[str, float] = field(default_factory=dict[str, float])
    """Of the validation just done."""


ProgressCallback: TypeAlias = Callable[[TrainingProgress], None]
"""Called by the main process; must return quickly. An exception stops the run."""


def silent(_progress: TrainingProgress) -> None:
    """Ignore the progress."""
