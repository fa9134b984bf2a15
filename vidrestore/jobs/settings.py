"""How a run is divided, and whether it resumes an earlier one."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from vidrestore.errors import ConfigError
from vidrestore.jobs.plan import SegmentRule

EngineName: TypeAlias = Literal["local", "ray"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """Settings of a run that do not change its output."""

    resume: bool = False
    """Continue after the finished segments of an interrupted run; without any, start a new run."""
    segment_seconds: float = 10.0
    """Shortest length of a segment, which ends at the next cut; see ``SegmentRule``."""

    engine: EngineName = "local"
    """Restore segments in this process, or on workers that Ray starts on one machine or many."""
    workers: int | None = None
    """Most workers to start; None means as many as fit."""

    def __post_init__(self) -> None:
        self.rule()
        if self.engine not in get_args(EngineName):
            known = ", ".join(get_args(EngineName))
            raise ConfigError(f"engine must be one of {known}, got {self.engine!r}")
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"workers must be at least 1, got {self.workers}")
        if self.workers is not None and self.engine == "local":
            raise ConfigError("workers need the engine ray; use --engine ray, or omit --workers")

    def rule(self) -> SegmentRule:
        """Return where segments end."""
        return SegmentRule(seconds=self.segment_seconds)
