"""The masks of a record, frame by frame beside the source."""

from collections.abc import Iterator
from types import TracebackType

from vidrestore.record import FrameRecord, RecordReader
from vidrestore.types import Box, Frame
from vidrestore.verify.run_files import Evidence


class MaskReader:
    """Gives the masks of one source frame after the other, as long as the record fits the film."""

    def __init__(self, evidence: Evidence) -> None:
        path = evidence.record_path
        self._reader = None if path is None else RecordReader(path)
        self._lines: Iterator[FrameRecord] = iter(self._reader or ())
        self.faces = 0
        self.mismatch: str | None = None
        """Where the record and the film first disagree."""

    def __enter__(self) -> "MaskReader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._reader is not None:
            self._reader.close()

    def of(self, frame: Frame) -> tuple[Box, ...] | None:
        """Return what may differ in a frame; None where the record does not tell.

        Args:
            frame: The next one of the source.

        Raises:
            RecordError: The record is cut off, or says what cannot be.
        """
        if self._reader is None or self.mismatch is not None:
            return None
        line = next(self._lines, None)
        header = self._reader.header
        if line is None:
            self.mismatch = f"the record ends before frame {frame.index} of the source"
            return None
        seconds = line.pts * header.time_base
        if seconds != frame.timestamp.seconds:
            self.mismatch = (
                f"frame {frame.index} of the source is shown at "
                f"{float(frame.timestamp.seconds):.6f} s, in the record at {float(seconds):.6f} s"
            )
            return None
        self.faces += len(line.faces)
        return tuple(face.mask_xyxy for face in line.faces if face.mask_xyxy is not None)

    def finish(self) -> None:
        """Look for frames that only the record has; reads it to its end.

        Raises:
            RecordError: As ``of``.
        """
        count = sum(1 for _ in self._lines)
        if count and self.mismatch is None:
            self.mismatch = f"the record has {count} frames more than the source"
