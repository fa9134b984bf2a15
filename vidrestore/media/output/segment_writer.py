"""Base class of the writers of one segment."""

from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path

from vidrestore.media.ffmpeg_errors import media_errors
from vidrestore.prefetch import BackgroundWriter
from vidrestore.types import Frame

_MAX_WAITING_FRAMES = 4


class SegmentWriter(ABC):
    """Writes the frames of one segment, in presentation order, on a background thread."""

    def __init__(self, target: Path, notes: list[str]) -> None:
        """Start the thread; subclasses call this last.

        Args:
            target: The output, as error messages name it.
            notes: What a user should know about this segment.
        """
        self.notes = notes
        self._target = target
        self._background_writer = BackgroundWriter(self._write_frame, size=_MAX_WAITING_FRAMES)

    @property
    def encode_seconds(self) -> float:
        """Time spent on encoding so far, on the background thread."""
        return self._background_writer.busy_seconds

    def write(self, frame: Frame) -> None:
        """Queue a frame.

        Raises:
            MediaError: Writing this frame or an earlier one failed.
        """
        self._background_writer.put(frame)

    def finish(self) -> tuple[Path, ...]:
        """Write the remaining frames; return the files of the segment, complete and synced.

        Raises:
            MediaError: Writing failed.
        """
        self._background_writer.finish()
        with media_errors(self._target, "write"):
            return self._finish_files()

    def abort(self) -> None:
        """Stop at once; the files are incomplete."""
        self._background_writer.abandon()
        # Closing writes buffers, which fails again if the disk is full.
        with suppress(OSError):
            self._close()

    @abstractmethod
    def _write_frame(self, frame: Frame) -> None:
        """Encode and write a frame, on the background thread."""

    @abstractmethod
    def _finish_files(self) -> tuple[Path, ...]:
        """Write the encoder's remaining packets, sync and close all files, and return them."""

    @abstractmethod
    def _close(self) -> None:
        """Close all files."""
