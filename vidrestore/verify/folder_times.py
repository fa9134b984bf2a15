"""Compare the times of a film's frames with a folder's times file, or with a constant rate."""

from fractions import Fraction
from pathlib import Path

from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.streams.frame_times import (
    ROUNDING_SECONDS,
    TIMES_FILE,
    even_tolerance_seconds,
    read_times,
)
from vidrestore.verify.checks import Check, changed, kept, seconds_text
from vidrestore.verify.frame_pairing import Pairing
from vidrestore.verify.time_offset import OffsetEstimator

_NAME = "timestamps"


class FolderTimes:
    """Checks the times of a film that was restored to a folder of images."""

    def __init__(self, source: VideoInfo, folder: Path, offset: OffsetEstimator) -> None:
        """Open the times file, if there is one.

        Args:
            source: The film.
            folder: The folder of the result.
            offset: Narrowed down by every frame whose time matches.
        """
        path = folder / TIMES_FILE
        self._times = read_times(path) if path.is_file() else None
        self._rate = source.average_rate
        self._rounding_seconds = (
            even_tolerance_seconds(source.time_base) if self._times is None else ROUNDING_SECONDS
        )
        self._offset = offset
        self._index = 0
        self._difference: str | None = None

    def add(self, pairing: Pairing) -> None:
        """Compare the time of the next frame.

        Raises:
            MediaError: The times file cannot be read.
        """
        frame, index = pairing.source, self._index
        self._index += 1
        if frame is None or self._difference is not None:
            return
        stated = self._stated_seconds(index)
        if stated is None:
            self._difference = f"{TIMES_FILE} has no time of frame {index}"
            if self._times is None:
                self._difference = f"the source has no constant rate, and {TIMES_FILE} is missing"
            return
        seconds = frame.timestamp.seconds
        if not self._offset.explains(seconds, stated, rounding_seconds=self._rounding_seconds):
            where = (
                f"in {TIMES_FILE}" if self._times else f"at a constant rate, without {TIMES_FILE}"
            )
            self._difference = (
                f"frame {index} at {seconds_text(seconds)} in the source is at "
                f"{seconds_text(stated)} {where}"
            )

    def _stated_seconds(self, index: int) -> Fraction | None:
        if self._times is not None:
            return next(self._times, None)
        return None if self._rate is None else index / self._rate

    def check(self) -> Check:
        """Return the result, after the last frame."""
        if self._difference is not None:
            return changed(_NAME, self._difference)
        if self._times is not None:
            if next(self._times, None) is not None:
                return changed(_NAME, f"{TIMES_FILE} has more times than there are frames")
            return kept(_NAME, f"exact, in {TIMES_FILE}")
        return kept(_NAME, f"at a constant rate of {float(self._rate or 0):.3f} fps")
