"""What runs the segments of a job: this process, or workers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from vidrestore.jobs.plan import SegmentRule
    from vidrestore.jobs.progress_reporter import ProgressReporter
    from vidrestore.jobs.store.fingerprint import Machine
    from vidrestore.jobs.store.job_folder import Job
    from vidrestore.jobs.store.journal import JobState
    from vidrestore.jobs.store.segment_files import SegmentContent
    from vidrestore.pipeline.background.upscale_frames import BackgroundCost
    from vidrestore.pipeline.loading.model_facts import ModelFacts
    from vidrestore.pipeline.setup import Setup
    from vidrestore.settings import RestoreSettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentsResult:
    """What a run reports after the last segment, beside the files of the segments."""

    facts: "ModelFacts"
    state: "JobState"
    """Of the job, with the damage that this run and those that it resumed found."""
    notes: tuple[str, ...]
    """Notes for the user."""
    timing: Mapping[str, float]
    """Seconds by stage, in this run; the sum over all workers."""


class PreparedVideo(Protocol):
    """A video whose outputs can be opened."""

    @property
    def scale(self) -> int:
        """How many times larger the outputs are than the source."""
        ...

    def background_cost(self, frames: int | None) -> "BackgroundCost | None":
        """Return the cost of the network for the whole picture; None if little or nothing.

        Args:
            frames: Number of frames of the video; None if unknown.
        """
        ...

    def restore(
        self, content: "SegmentContent", *, rule: "SegmentRule", reporter: "ProgressReporter"
    ) -> "SegmentsResult":
        """Restore and journal every segment that is not done yet.

        Args:
            content: The files that every segment consists of.
            rule: Where segments end.
            reporter: Reports the progress, and holds the statistics of all segments at the end.

        Raises:
            VidrestoreError: A segment cannot be restored.
        """
        ...


class Engine(Protocol):
    """Restores videos, in this process or on workers."""

    @property
    def finishes_out_of_order(self) -> bool:
        """Whether it finishes segments out of order."""
        ...

    def count_workers(self, settings: "RestoreSettings") -> int:
        """Return the most segments that it restores at once.

        Raises:
            WorkerError: No worker can be started.
        """
        ...

    def stop(self) -> None:
        """Stop all videos; may be called from any thread."""
        ...

    def environment(self, settings: "RestoreSettings") -> "Machine":
        """Return where the networks run, as far as results depend on it.

        Raises:
            VidrestoreError: The networks cannot run there.
        """
        ...

    def prepare(self, setup: "Setup", job: "Job", *, number: int) -> PreparedVideo:
        """Load what is needed before the outputs of a video can be opened.

        Args:
            setup: Source and settings of the video.
            job: The open job.
            number: Number of the video in a batch; earlier videos have priority.

        Raises:
            VidrestoreError: A network cannot be loaded.
        """
        ...


class LocalEngine:
    """Restores in this process, one segment after the other."""

    finishes_out_of_order = False

    def count_workers(self, settings: "RestoreSettings") -> int:
        """Return 1."""
        del settings
        return 1

    def stop(self) -> None:
        """Do nothing: a video stops with the thread that restores it."""

    def environment(self, settings: "RestoreSettings") -> "Machine":
        """Return where this process runs networks."""
        # Imported late, and so below: sources are opened, or refused, before torch is loaded.
        from vidrestore.jobs.store.fingerprint import this_machine

        return this_machine(settings)

    def prepare(self, setup: "Setup", job: "Job", *, number: int) -> PreparedVideo:
        """Load the network that decides the size of the output."""
        del number
        from vidrestore.jobs.local import LocalVideo

        return LocalVideo(setup, job)
