"""What runs the segments of a job: this process, or workers."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidrestore.jobs.assemble import JobOutputs
    from vidrestore.jobs.plan import SegmentRule
    from vidrestore.jobs.progress_reporter import ProgressReporter
    from vidrestore.jobs.store.fingerprint import Machine
    from vidrestore.jobs.store.journal import Job
    from vidrestore.jobs.store.segment_files import SegmentContent
    from vidrestore.pipeline.background.upscale_frames import BackgroundCost
    from vidrestore.pipeline.loading.model_facts import ModelFacts
    from vidrestore.pipeline.setup import Setup
    from vidrestore.settings import RestoreSettings

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VideoRun:
    """A video whose segments are restored."""

    setup: "Setup"
    job: "Job"
    """With the segments that are done."""
    rule: "SegmentRule"
    reporter: "ProgressReporter"
    """Holds the statistics of all segments at the end."""
    outputs: "JobOutputs"
    number: int = 0
    """Number of the video in a batch; earlier videos have priority."""
    tell_cost: bool = True
    """Whether to log the cost of a background before the first frame."""

    def open_outputs(
        self, scale: int, cost_of: "Callable[[int | None], BackgroundCost | None]"
    ) -> "SegmentContent":
        """Open the outputs; return the files that every segment consists of.

        Args:
            scale: How many times larger the outputs are than the source.
            cost_of: Measures the cost of a number of frames; called only if it is logged.
        """
        content = self.outputs.open(scale)
        if self.tell_cost and _LOG.isEnabledFor(logging.WARNING):
            frames = self.reporter.frames_total
            cost = cost_of(frames)
            if cost is not None:
                _LOG.warning("%s", cost.line(frames))
        return content


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentsResult:
    """What a run reports after the last segment, beside the files of the segments."""

    facts: "ModelFacts"
    notes: tuple[str, ...]
    """Notes for the user."""
    timing: Mapping[str, float]
    """Seconds by stage, on encoding and on workers; what the setup measured is not repeated."""


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

    def environment(self, settings: "RestoreSettings") -> "Machine":
        """Return where the networks run, as far as results depend on it.

        Raises:
            VidrestoreError: The networks cannot run there.
        """
        # Imported late, and so below: sources are opened, or refused, before torch is loaded.
        from vidrestore.jobs.store.fingerprint import this_machine

        return this_machine(settings.device, settings.precision)

    def restore(self, video: VideoRun) -> SegmentsResult:
        """Restore and journal every segment that is not done yet.

        The outputs are opened when the network that decides their size is loaded.

        Raises:
            VidrestoreError: A network cannot be loaded, or a segment cannot be restored.
        """
        from vidrestore.jobs.local import restore_in_this_process

        return restore_in_this_process(video)
