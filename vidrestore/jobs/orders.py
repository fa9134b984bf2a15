"""What is asked of a worker, and what it answers: values that go from process to process."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from vidrestore.jobs.journal import PartFile
from vidrestore.jobs.segments import Damage
from vidrestore.media.outputs import PartMaker
from vidrestore.pipeline.background import BackgroundCost
from vidrestore.pipeline.facts import NetworkFacts
from vidrestore.pipeline.settings import RestoreSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class GreetingOrder:
    """Tell who you are, and compute from now on as is said here."""

    device: str
    precision: str
    threads: int
    """Threads of a network on a CPU: results may differ in rounding with their number."""
    step_seconds: float
    """How long to work before an answer that is not final."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """Who a worker is."""

    host: str
    process: int
    """Its number on that machine."""
    device: str
    """What ``auto`` is there."""
    precision: str
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilmOrder:
    """A film, as a worker needs to know it."""

    source: Path
    """Absolute, and the same on every machine."""
    settings: RestoreSettings
    folder: Path
    """Of the job, on storage that all machines share."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FactsOrder:
    """Load the networks, and tell of them."""

    film: FilmOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Of the networks, as far as the plan depends on them."""

    networks: NetworkFacts
    reach_frames: int
    """As of ``Stages``."""
    index_step: int
    """As of ``FieldMode``."""
    background_cost: BackgroundCost | None = None
    """As the worker measured it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnalysisOrder:
    """Find the faces of a film, from its start or from where an earlier analysis ended."""

    film: FilmOrder
    log: Path
    log_bytes: int = 0
    """So much of the log is whole; nothing where this is 0."""
    last_noted: int = -1
    """The number of the last frame in it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """What was found since the last answer."""

    lines: tuple[str, ...]
    """Of the frames that follow, for the log."""
    damage: Damage
    """Of the source, since the order was given."""
    is_last: bool
    """Whether the film has ended."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentOrder:
    """Restore one segment."""

    film: FilmOrder
    parts: Mapping[str, PartMaker]
    """What begins the part of each kind."""
    with_record: bool
    segment: int
    stem: str
    """What its files are named after: of no other attempt, which may still be writing."""
    first_frame: int
    end_frame: int
    """The frame after its last."""
    lines: tuple[str, ...]
    """Of the log: these frames, and those to each side that matter."""
    seek: bool
    """Whether the source may be entered close by."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentDone:
    """A segment, whole and on the disk."""

    files: tuple[PartFile, ...]
    tally: Mapping[str, Any]
    networks: NetworkFacts
    notes: tuple[str, ...]
    """What a user should know."""
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    """By stage."""
    encode_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Underway:
    """A segment is not done yet."""

    frames: int
    """Finished so far."""
    faces: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Failure:
    """It cannot be done, by this worker or any other."""

    error: Exception


Order: TypeAlias = GreetingOrder | FactsOrder | AnalysisOrder | SegmentOrder
Answer: TypeAlias = Greeting | Facts | Findings | SegmentDone | Underway | Failure


def is_final(answer: Answer) -> bool:
    """Return whether nothing more comes for the order."""
    if isinstance(answer, Findings):
        return answer.is_last
    return not isinstance(answer, Underway)
