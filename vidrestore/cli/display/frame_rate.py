"""Frames per second of a run, and the time left."""

from collections.abc import Callable
from dataclasses import dataclass

from vidrestore.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast a run is."""

    frames_per_second: float
    seconds_left: float | None = None
    """None where the number of frames is not known, or all are done."""


class FrameRateMeter:
    """Measures the speed of a run from its first finished frame, after the networks are loaded."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start the measurement.

        Args:
            clock: Returns monotonic seconds.
        """
        self._clock = clock
        self._start_seconds: float | None = None
        self._first_frames = 0

    def speed(self, progress: Progress) -> Speed | None:
        """Return the speed so far; None until there are two frames."""
        now, done, total = self._clock(), progress.frames_done, progress.frames_total
        if self._start_seconds is None:
            if done:
                # A resumed run starts with many frames done.
                self._start_seconds, self._first_frames = now, done
            return None
        if now <= self._start_seconds or done <= self._first_frames:
            return None
        rate = (done - self._first_frames) / (now - self._start_seconds)
        left = (total - done) / rate if total is not None and total > done else None
        return Speed(frames_per_second=rate, seconds_left=left)
