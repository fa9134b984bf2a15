"""How a run of training tells its caller where it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingProgress:
    """Where a run is: sent before its first step, after every step, and around validations."""

    stage: Literal["training", "validating"]
    step: int
    """Steps done, those before a resume included."""
    steps: int
    """Of the whole run."""
    terms: Mapping[str, float] = field(default_factory=dict[str, float])
    """Loss terms of the step just done."""
    scores: Mapping[str, float] = field(default_factory=dict[str, float])
    """Of the validation just done."""


ProgressCallback: TypeAlias = Callable[[TrainingProgress], None]
"""Called by the first process, and must return quickly; what it raises stops the run."""


def silent(_progress: TrainingProgress) -> None:
    """Tell nobody."""
