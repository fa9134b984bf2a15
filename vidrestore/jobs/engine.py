"""Runs segments in this process or on workers."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from vidrestore.jobs.plan import SegmentRule
    from vidrestore.jobs.progress_reporter import ProgressReporter
    from vidrestore.jobs.store.fingerprint import Machine
    from vidrestore.jobs.store.job_folder import Job
    from vidrestore.media.output.open_output import Output
    from vidrestore.pipeline.background.upscale_frames import BackgroundCost
    from vidrestore.pipeline.loading.model_facts import ModelFacts
    from vidrestore.pipeline.report import RestoreReport
    from vidrestore.pipeline.setup import Setup
    from vidrestore.settings import RestoreSettings


class Run(Protocol):
    """A job in progress."""

    @property
    def facts(self) -> "ModelFacts":
        """Facts about the networks, for the report."""
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

    def report(self) -> "RestoreReport":
        """Return the report of this run and of the runs that it resumed."""
        ...


class ReadyFilm(Protocol):
    """A film that is ready to run once its outputs are open."""

    @property
    def scale(self) -> int:
        """How many times larger the outputs are than the source."""
        ...

    def background_cost(self, frames: int | None) -> "BackgroundCost | None":
        """Return the cost of the network for the whole picture; None if little or nothing.

        Args:
            frames: Number of frames of the film; None if unknown.
        """
        ...

    def begun(
        self,
        outputs: "Mapping[str, Output]",
        *,
        rule: "SegmentRule",
        teller: "ProgressReporter",
        with_record: bool,
    ) -> Run:
        """Return a run that writes the parts of ``outputs``, which are given by kind."""
        ...


class Engine(Protocol):
    """Restores films, in this process or on workers."""

    @property
    def finishes_out_of_order(self) -> bool:
        """Whether it finishes segments out of order."""
        ...

    def machine(self, settings: "RestoreSettings") -> "Machine":
        """Return where the networks run, as far as results depend on it.

        Raises:
            VidrestoreError: The networks cannot run there.
        """
        ...

    def ready(self, prepared: "Setup", job: "Job", *, number: int) -> ReadyFilm:
        """Load what is needed before the outputs of a film can be opened.

        Args:
            prepared: Source and settings of the film.
            job: The open job.
            number: Number of the film in a batch; earlier films have priority.

        Raises:
            VidrestoreError: A network cannot be loaded.
        """
        ...


class LocalEngine:
    """Restores in this process, one segment after the other."""

    finishes_out_of_order = False

    def machine(self, settings: "RestoreSettings") -> "Machine":
        """Return this machine."""
        # Imported late, and so below: sources are opened, or refused, before torch is loaded.
        from vidrestore.jobs.store.fingerprint import this_machine

        return this_machine(settings)

    def ready(self, prepared: "Setup", job: "Job", *, number: int) -> ReadyFilm:
        """Load the network that decides the size of the output."""
        del number
        from vidrestore.jobs.local_film import LocalFilm

        return LocalFilm(prepared, job)
