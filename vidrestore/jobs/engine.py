"""What runs the segments of a job: this process, or workers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from vidrestore.jobs.plan import SegmentRule
    from vidrestore.jobs.progress_reporter import ProgressReporter
    from vidrestore.jobs.store.fingerprint import Machine
    from vidrestore.jobs.store.journal import Job, JobState
    from vidrestore.jobs.store.segment_files import SegmentContent
    from vidrestore.pipeline.background.upscale_frames import BackgroundCost
    from vidrestore.pipeline.loading.model_facts import ModelFacts
    from vidrestore.pipeline.setup import Setup
    from vidrestore.settings import RestoreSettings

OpenContent: TypeAlias = (
    "Callable[[int, Callable[[int | None], BackgroundCost | None]], SegmentContent]"
)
"""Opens the outputs, and returns the files that every segment consists of. Takes how many times
larger the outputs are than the source, and what measures the cost of a number of frames."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VideoRun:
    """A video whose segments are restored."""

    setup: "Setup"
    job: "Job"
    """With the segments that are done."""
    rule: "SegmentRule"
    reporter: "ProgressReporter"
    """Holds the statistics of all segments at the end."""
    number: int = 0
    """Number of the video in a batch; earlier videos have priority."""


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

    def restore(self, video: VideoRun, open_content: OpenContent) -> SegmentsResult:
        """Restore and journal every segment that is not done yet.

        Args:
            video: The video.
            open_content: Called when the network that decides the size of the outputs is loaded.

        Raises:
            VidrestoreError: A network cannot be loaded, or a segment cannot be restored.
        """
        from vidrestore.jobs.local import restore_in_this_process

        return restore_in_this_process(video, open_content)
