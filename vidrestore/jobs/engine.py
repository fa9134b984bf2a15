"""Who restores the segments of a film: this process, or workers."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from vidrestore.jobs.folder import Job
from vidrestore.jobs.identity import Machine, this_machine
from vidrestore.jobs.local import LocalRun
from vidrestore.jobs.plan import SegmentRule
from vidrestore.jobs.segments import PartSpec
from vidrestore.jobs.teller import Teller
from vidrestore.media.outputs import WholeOutput
from vidrestore.pipeline.background import Background, BackgroundCost
from vidrestore.pipeline.facts import NetworkFacts
from vidrestore.pipeline.prepared import Preparation, compared
from vidrestore.pipeline.report import RestoreReport
from vidrestore.pipeline.settings import RestoreSettings
from vidrestore.types import FinishedFrame, Frame


class Run(Protocol):
    """A job on its way to being done."""

    @property
    def facts(self) -> NetworkFacts:
        """Of the networks."""
        ...

    def run(self) -> None:
        """Restore and journal every segment that is not done yet."""
        ...

    def assemble(self) -> None:
        """Put the parts of every output together."""
        ...

    def record_lines(self) -> Iterator[str]:
        """Yield the lines of the record of every frame, in order."""
        ...

    def report(self) -> RestoreReport:
        """Return what was done, by this run and those that it went on with."""
        ...


class ReadyFilm(Protocol):
    """A film that can be begun when its outputs are open."""

    @property
    def scale(self) -> int:
        """How many times larger the outputs are than the source."""
        ...

    def background_cost(self, frames: int | None) -> BackgroundCost | None:
        """Return what the network for the whole picture costs; None where little or nothing.

        Args:
            frames: Of the film; None where unknown.
        """
        ...

    def begun(
        self,
        outputs: Mapping[str, WholeOutput],
        *,
        rule: SegmentRule,
        teller: Teller,
        with_record: bool,
    ) -> Run:
        """Return a run that writes parts of ``outputs``, which are named by kind."""
        ...


class Engine(Protocol):
    """Restores films."""

    @property
    def keeps_ahead(self) -> bool:
        """Whether it finishes segments out of order."""
        ...

    def machine(self, settings: RestoreSettings) -> Machine:
        """Return where networks will run, as far as results depend on it.

        Raises:
            VidrestoreError: They cannot run there.
        """
        ...

    def ready(self, prepared: Preparation, job: Job, *, number: int) -> ReadyFilm:
        """Make a film ready, whose job is open.

        Args:
            prepared: Its source and settings.
            job: Its folder.
            number: Of the film in a batch: earlier ones go first.

        Raises:
            VidrestoreError: Networks do not load.
        """
        ...


class LocalEngine:
    """This process, one segment after the other."""

    keeps_ahead = False

    def machine(self, settings: RestoreSettings) -> Machine:
        """Return this machine."""
        return this_machine(settings)

    def ready(self, prepared: Preparation, job: Job, *, number: int) -> ReadyFilm:
        """Load what decides how large the output is."""
        del number
        return _LocalFilm(prepared, job)


class _LocalFilm:
    def __init__(self, prepared: Preparation, job: Job) -> None:
        self._prepared = prepared
        self._job = job
        self._background: Background | None = prepared.background()
        self.scale = 1 if self._background is None else self._background.scale

    def background_cost(self, frames: int | None) -> BackgroundCost | None:
        return None if self._background is None else self._background.cost(frames)

    def begun(
        self,
        outputs: Mapping[str, WholeOutput],
        *,
        rule: SegmentRule,
        teller: Teller,
        with_record: bool,
    ) -> Run:
        # Outputs are open before the other networks load: what cannot be written is refused soon.
        stages = self._prepared.stages(self._background)

        def as_written(finished: FinishedFrame) -> Frame:
            return finished.frame

        def side_by_side(finished: FinishedFrame) -> Frame:
            return compared(finished, stages)

        pictures = {"film": as_written, "compare": side_by_side}
        return LocalRun(
            self._job,
            self._prepared,
            stages,
            [
                PartSpec(kind=kind, output=output, picture=pictures[kind])
                for kind, output in outputs.items()
            ],
            rule=rule,
            teller=teller,
            with_record=with_record,
        )
