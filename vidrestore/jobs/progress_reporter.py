"""Reports the progress of a run to its caller."""

from collections.abc import Iterable
from typing import Any

from vidrestore.jobs.store.journal import JournalEntry
from vidrestore.pipeline.report import Tally
from vidrestore.progress import LatestFrame, Progress, ProgressCallback, Stage
from vidrestore.types import DisplayGeometry, FinishedFrame


class ProgressReporter:
    """Counts finished frames and faces, and reports the progress."""

    def __init__(self, on_progress: ProgressCallback) -> None:
        self.tally = Tally()
        self.frames_total: int | None = None
        self._on_progress = on_progress
        self._frame_share = 0.0

    def start_after(self, entries: Iterable[JournalEntry]) -> None:
        """Restart the count with the content of these segments."""
        self.tally = Tally()
        for entry in entries:
            self.tally.merge(entry.tally)

    def count(self, finished: FinishedFrame, geometry: DisplayGeometry) -> None:
        """Count a frame, which appears on the screen with ``geometry``, and report it."""
        self.tally.add(finished)
        self._frame_share = 0.0
        self.report("restoring", latest=LatestFrame(frame=finished.frame, geometry=geometry))

    def report(self, stage: Stage, **more: Any) -> None:
        """Report the progress; ``more`` are other fields of ``Progress``."""
        counts: dict[str, Any] = {
            "frames_done": self.tally.frames,
            "frames_total": self.frames_total,
            "faces_done": self.tally.faces,
        }
        self._on_progress(Progress(stage=stage, **{**counts, **more}))

    def report_share(self, frame_share: float) -> None:
        """Report which share of the next frame is done; a whole frame is reported when written.

        Several frames are worked on before the first is written, so the share may start again.
        """
        if self._frame_share < frame_share < 1.0:
            self._frame_share = frame_share
            self.report("restoring", frame_share=frame_share)
