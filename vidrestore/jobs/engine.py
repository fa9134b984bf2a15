"""What runs the segments of a job: this process, or workers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidrestore.jobs.distributed.coordinator import DistributedVideo
    from vidrestore.jobs.local import LocalVideo
    from vidrestore.jobs.store.fingerprint import Machine
    from vidrestore.jobs.store.journal import Job, JobState
    from vidrestore.pipeline.loading.model_facts import ModelFacts
    from vidrestore.pipeline.setup import Setup
    from vidrestore.settings import RestoreSettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentsResult:
    """What a run reports after the last segment, beside the files of the segments."""

    facts: "ModelFacts"
    state: "JobState"
    """State of the job, with the damage that this run and those that it resumed found."""
    notes: tuple[str, ...]
    """Notes for the user."""
    timing: Mapping[str, float]
    """Seconds by stage, in this run; the sum over all workers."""


class Engine:
    """Restores videos in this process, one segment after the other."""

    out_of_order = False
    """Whether segments may be finished before an earlier one."""

    def count_workers(self, settings: "RestoreSettings") -> int:
        """Return the most segments that are restored at once.

        Raises:
            WorkerError: No worker can be started.
        """
        del settings
        return 1

    def stop(self) -> None:
        """Stop all videos; may be called from any thread. One in this process stops with it."""

    def environment(self, settings: "RestoreSettings") -> "Machine":
        """Return where the networks run, as far as results depend on it.

        Raises:
            VidrestoreError: The networks cannot run there.
        """
        # Imported late, and so below: sources are opened, or refused, before torch is loaded.
        from vidrestore.jobs.store.fingerprint import this_machine

        return this_machine(settings.device, settings.precision)

    def prepare(
        self, setup: "Setup", job: "Job", *, number: int
    ) -> "LocalVideo | DistributedVideo":
        """Load what is needed before the outputs of a video can be opened.

        Args:
            setup: Source and settings of the video.
            job: The open job.
            number: Number of the video in a batch; earlier videos have priority.

        Raises:
            VidrestoreError: A network cannot be loaded.
        """
        del number
        from vidrestore.jobs.local import LocalVideo

        return LocalVideo(setup, job)
