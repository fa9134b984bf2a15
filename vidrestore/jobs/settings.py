"""How a run is divided, and whether it goes on."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from vidrestore.errors import ConfigError
from vidrestore.jobs.plan import SegmentRule

EngineName: TypeAlias = Literal["local", "ray"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """Settings of a run that do not change what it makes."""

    resume: bool = False
    """Go on with what a run that was cut off has finished; where there is nothing, begin."""
    segment_seconds: float = 10.0
    """From how many seconds on a segment ends at the next cut; see ``SegmentRule``."""

    engine: EngineName = "local"
    """Who restores segments: this process, or workers that Ray starts, on one machine or many."""
    workers: int | None = None
    """At most so many of them; None: as many as fit."""

    def __post_init__(self) -> None:
        self.rule()
        if self.engine not in get_args(EngineName):
            known = ", ".join(get_args(EngineName))
            raise ConfigError(f"engine must be one of {known}, got {self.engine!r}")
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"workers must be at least 1, got {self.workers}")
        if self.workers is not None and self.engine == "local":
            raise ConfigError("workers are for the engine ray; leave them out, or use --engine ray")

    def rule(self) -> SegmentRule:
        """Return where segments end."""
        return SegmentRule(seconds=self.segment_seconds)
