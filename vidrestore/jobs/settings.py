"""How a run is divided, and whether it goes on."""

from dataclasses import dataclass

from vidrestore.jobs.plan import SegmentRule


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """Settings of a run that do not change what it makes."""

    resume: bool = False
    """Go on with what a run that was cut off has finished; where there is nothing, begin."""
    segment_seconds: float = 10.0
    """From how many seconds on a segment ends at the next cut; see ``SegmentRule``."""

    def __post_init__(self) -> None:
        self.rule()

    def rule(self) -> SegmentRule:
        """Return where segments end."""
        return SegmentRule(seconds=self.segment_seconds)
