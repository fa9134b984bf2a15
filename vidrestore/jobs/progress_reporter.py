"""Reports the progress of a run to its caller."""

from collections.abc import Iterable

from vidrestore.jobs.store.journal import JournalEntry
from vidrestore.pipeline.report import Tally
from vidrestore.progress import LatestFrame, Progress, ProgressCallback, Stage
from vidrestore.types import DisplayGeometry, FinishedFrame


class ProgressReporter:
    """Counts finished frames and faces, and reports the progress."""

    def __init__(self, on_progress: ProgressCallback) -> None:
        self.tally = Tally()
        self.frames_total: int | None = None
        self.geometry: DisplayGeometry | None = None
        """How restored frames appear on the screen; None until it is known."""
        self._on_progress = on_progress

    def start_after(self, entries: Iterable[JournalEntry]) -> None:
        """Restart the count with the content of these segments."""
        self.tally = Tally()
        for entry in entries:
            self.tally.merge(entry.tally)

    def count(self, finished: FinishedFrame) -> None:
        """Count a frame and report it."""
        self.tally.add(finished)
        latest = None
        if self.geometry is not None:
            latest = LatestFrame(frame=finished.frame, geometry=self.geometry)
        self.report("restoring", latest=latest)

    def report(
        self, stage: Stage, *, frame_share: float = 0.0, latest: LatestFrame | None = None
    ) -> None:
        """Report the progress."""
        self._on_progress(
            Progress(
                stage=stage,
                frames_done=self.tally.frames,
                frames_total=self.frames_total,
                faces_done=self.tally.faces,
                frame_share=frame_share,
                latest=latest,
            )
        )

    def report_workers(self, *, frames: int, faces: int, analyzed: int, workers: int) -> None:
        """Report the progress of a run whose frames are restored on workers, out of order."""
        self._on_progress(
            Progress(
                stage="restoring",
                frames_done=frames,
                frames_total=self.frames_total,
                faces_done=faces,
                frames_searched=analyzed,
                workers=workers,
            )
        )

    def report_share(self, frame_share: float) -> None:
        """Report which share of the next frame is done; a whole frame is reported when written."""
        if frame_share < 1.0:
            self.report("restoring", frame_share=frame_share)
