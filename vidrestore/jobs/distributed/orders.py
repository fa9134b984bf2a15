"""Orders to workers and their answers: values that are sent between processes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from vidrestore.jobs.store.journal import SegmentFile
from vidrestore.jobs.store.segment_files import Damage
from vidrestore.media.output.open_output import SegmentWriterFactory
from vidrestore.pipeline.background.upscale_frames import BackgroundCost
from vidrestore.pipeline.loading.model_facts import ModelFacts
from vidrestore.settings import RestoreSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class GreetingOrder:
    """Report host and versions, and compute with these settings from now on."""

    device: str
    precision: str
    threads: int
    """Threads of a network on a CPU. Their number may change the rounding of results."""
    step_seconds: float
    """Time to work before each answer that is not final."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """Identity of a worker."""

    host: str
    process: int
    """Process ID."""
    device: str
    """Device in use, with ``auto`` resolved."""
    precision: str
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VideoSpec:
    """Description of a film for a worker."""

    source: Path
    """Absolute, and the same on every machine."""
    settings: RestoreSettings
    folder: Path
    """Folder of the job, on storage that all machines share."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FactsOrder:
    """Load the networks and report facts about them."""

    film: VideoSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Facts about the networks that the plan depends on."""

    networks: ModelFacts
    reach_frames: int
    """As in ``Stages``."""
    index_step: int
    """As in ``FieldMode``."""
    background_cost: BackgroundCost | None = None
    """Cost that the worker measured."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnalysisOrder:
    """Find the faces of a film, from its start or from where an earlier analysis ended."""

    film: VideoSpec
    log: Path
    log_bytes: int = 0
    """Size of the complete part of the log; 0 if there is no log."""
    last_noted: int = -1
    """Number of the last frame in the log."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnalysisBatch:
    """Faces found since the last answer."""

    lines: tuple[str, ...]
    """Lines for the log, one for each of the next frames."""
    damage: Damage
    """Damage found in the source since the order began."""
    is_last: bool
    """Whether the film has ended."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentSpec:
    """Restore one segment."""

    film: VideoSpec
    parts: Mapping[str, SegmentWriterFactory]
    """Function that opens the part, by kind."""
    with_record: bool
    segment: int
    stem: str
    """Start of its file names; unique, because another attempt may still be writing."""
    first_frame: int
    end_frame: int
    """The frame after its last."""
    lines: tuple[str, ...]
    """Lines of the log: these frames, and those to each side that they depend on."""
    seek: bool
    """Whether to seek in the source instead of decoding it from the start."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentDone:
    """A finished segment, on the disk."""

    files: tuple[SegmentFile, ...]
    tally: Mapping[str, Any]
    networks: ModelFacts
    notes: tuple[str, ...]
    """Notes for the user."""
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    """Time spent in each stage."""
    encode_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentProgress:
    """Progress of a segment."""

    frames: int
    """Frames finished so far."""
    faces: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Failure:
    """It cannot be done, by this worker or any other."""

    error: Exception


Order: TypeAlias = GreetingOrder | FactsOrder | AnalysisOrder | SegmentSpec
Answer: TypeAlias = Greeting | Facts | AnalysisBatch | SegmentDone | SegmentProgress | Failure


def is_final(answer: Answer) -> bool:
    """Return whether nothing more comes for the order."""
    if isinstance(answer, AnalysisBatch):
        return answer.is_last
    return not isinstance(answer, SegmentProgress)
