"""Settings that divide a run into segments, and say where they are restored."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from vidrestore.errors import ConfigError
from vidrestore.settings.option import check_options, option

EngineName: TypeAlias = Literal["local", "ray"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """Settings of a run that do not change its frames."""

    resume: bool = option(
        False,
        "Continue an interrupted run after its finished segments.",
        group="Long films",
        common=True,
        see="usage.md#long-films",
        affects="nothing",
        per_run=True,
    )
    segment_seconds: float = option(
        10.0,
        "Shortest length of a segment, which ends at the next shot change. Finished segments "
        "survive an interruption.",
        group="Long films",
        above=0,
        high=3600,
        unit="seconds",
        flag="segment",
        metavar="SECONDS",
        see="usage.md#long-films",
    )
    engine: EngineName = option(
        "local",
        "Restore in this process, or on workers that Ray starts on this machine or on the cluster "
        "at RAY_ADDRESS.",
        group="Long films",
        see="scaling.md",
        affects="nothing",
    )
    workers: int | None = option(
        None,
        "For --engine ray: the largest number of workers.",
        group="Long films",
        low=1,
        means="as many as fit",
        affects="nothing",
    )

    def __post_init__(self) -> None:
        check_options(self)
        if self.workers is not None and self.engine == "local":
            raise ConfigError(
                "workers requires the engine ray; use --engine ray, or leave out --workers"
            )
