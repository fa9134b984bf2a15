"""Write a record line by line."""

import os
from pathlib import Path
from types import TracebackType
from typing import TextIO

from vidrestore.errors import RecordError
from vidrestore.record.encode import end_line, frame_line, header_line
from vidrestore.record.schema import EndRecord, FrameRecord, RecordHeader


class RecordWriter:
    """A record that grows; it has an end line only if ``finish`` was called.

    It writes into ``path`` itself: give it a temporary name where the record must appear whole
    or not at all, and rename that after ``finish``, when everything is on the disk.
    """

    def __init__(self, path: Path, header: RecordHeader) -> None:
        """Begin the file with ``header``; what was there is replaced.

        Raises:
            RecordError: The file cannot be written.
        """
        self._path = path
        self._frames = self._faces = 0
        try:
            self._file: TextIO = path.open("w", encoding="ascii", newline="\n")
        except OSError as error:
            raise self._error(error) from error
        self._write(header_line(header))

    def add(self, frame: FrameRecord) -> None:
        """Append one frame."""
        self._write(frame_line(frame))
        self._frames += 1
        self._faces += len(frame.faces)

    def finish(self) -> EndRecord:
        """Append the end and wait until the disk has it."""
        end = EndRecord(frames=self._frames, faces=self._faces)
        self._write(end_line(end))
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise self._error(error) from error
        return end

    def __enter__(self) -> "RecordWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def _write(self, line: str) -> None:
        try:
            self._file.write(line)
        except OSError as error:
            raise self._error(error) from error

    def _error(self, error: OSError) -> RecordError:
        return RecordError(f"{self._path}: cannot be written: {error.strerror}")
