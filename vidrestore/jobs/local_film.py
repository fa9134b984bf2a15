"""A film that this process restores: its networks, and what goes into each output."""

from collections.abc import Mapping

from vidrestore.jobs.engine import Run
from vidrestore.jobs.local import LocalRun
from vidrestore.jobs.plan import SegmentRule
from vidrestore.jobs.progress_reporter import ProgressReporter
from vidrestore.jobs.store.job_folder import Job
from vidrestore.jobs.store.segment_files import SegmentOutput
from vidrestore.media.output.open_output import Output
from vidrestore.pipeline.background.upscale_frames import Background, BackgroundCost
from vidrestore.pipeline.setup import Setup, compared
from vidrestore.types import FinishedFrame, Frame


class LocalFilm:
    """A film whose segments are restored here, one after the other."""

    def __init__(self, prepared: Setup, job: Job) -> None:
        """Load the network that decides the size of the output.

        Args:
            prepared: Source and settings of the film.
            job: The open job.

        Raises:
            VidrestoreError: The network cannot be loaded.
        """
        self._prepared = prepared
        self._job = job
        self._background: Background | None = prepared.background()
        self.scale = 1 if self._background is None else self._background.scale

    def background_cost(self, frames: int | None) -> BackgroundCost | None:
        """Return what the network for the whole picture costs; None without one."""
        return None if self._background is None else self._background.cost(frames)

    def begun(
        self,
        outputs: Mapping[str, Output],
        *,
        rule: SegmentRule,
        teller: ProgressReporter,
        with_record: bool,
    ) -> Run:
        """Return a run that writes the parts of ``outputs``, which are given by kind."""
        # Outputs are opened before the other networks load, to refuse unwritable ones early.
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
                SegmentOutput(kind=kind, output=output, picture=pictures[kind])
                for kind, output in outputs.items()
            ],
            rule=rule,
            teller=teller,
            with_record=with_record,
        )
