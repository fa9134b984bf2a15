"""Read and check a record line by line; memory does not grow with its length."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from vidrestore.errors import RecordError
from vidrestore.record.decode import parse_line
from vidrestore.record.schema import EndRecord, FrameRecord, RecordHeader
from vidrestore.text import printable_text

_MAX_LINE_BYTES = 16 << 20


class RecordReader:
    """An open record: its header, then its frames in order, once.

    ``with RecordReader(path) as record: ... for frame in record: ...``
    """

    def __init__(self, path: Path) -> None:
        """Open ``path`` and read its header.

        Raises:
            RecordError: The file cannot be read, or its first line is not a header.
        """
        self._path = path
        self._line_number = 0
        self.end: EndRecord | None = None
        """The last line; None until all frames are read."""
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as error:
            raise RecordError(f"{path}: cannot be opened: {error.strerror}") from error
        try:
            first = self._next()
            if not isinstance(first, RecordHeader):
                raise self._error("expected the header of a record")
        except BaseException:
            self._file.close()
            raise
        self.header = first

    def __iter__(self) -> Iterator[FrameRecord]:
        """Yield the frames in order.

        Raises:
            RecordError: A line is invalid, or contradicts the lines before; the message
                names the file, the line and the field.
        """
        frames = faces = 0
        before: FrameRecord | None = None
        while isinstance(line := self._next(), FrameRecord):
            self._check_order(before, line)
            try:
                line.check_size(self.header.output_hw)
            except ValueError as error:
                raise self._error(str(error)) from error
            frames, faces, before = frames + 1, faces + len(line.faces), line
            yield line
        if isinstance(line, RecordHeader):
            raise self._error("a second header")
        if (line.frames, line.faces) != (frames, faces):
            raise self._error(
                f"frames, faces: expected {frames} and {faces} as the lines above have, "
                f"got {line.frames} and {line.faces}"
            )
        if self._read_line():
            raise self._error("text after the end of the record")
        self.end = line

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> "RecordReader":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _check_order(self, before: FrameRecord | None, frame: FrameRecord) -> None:
        if before is None:
            return
        if frame.index != before.index + 1:
            raise self._error(f"index: expected {before.index + 1}, got {frame.index}")
        if frame.pts <= before.pts:
            raise self._error(f"pts: expected more than {before.pts}, got {frame.pts}")
        if frame.shot < before.shot:
            raise self._error(f"shot: expected {before.shot} or more, got {frame.shot}")

    def _next(self) -> RecordHeader | FrameRecord | EndRecord:
        raw = self._read_line()
        if not raw.endswith(b"\n"):
            raise self._error("the record is truncated: its end line is missing")
        try:
            return parse_line(raw.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise self._error(f"not UTF-8 text at byte {error.start}") from error
        except ValueError as error:
            raise self._error(str(error)) from error

    def _read_line(self) -> bytes:
        self._line_number += 1
        try:
            raw = self._file.readline(_MAX_LINE_BYTES + 1)
        except OSError as error:
            raise self._error(f"cannot be read: {error.strerror}") from error
        if len(raw) > _MAX_LINE_BYTES:
            raise self._error(f"longer than {_MAX_LINE_BYTES >> 20} MiB: not a line of a record")
        return raw

    def _error(self, reason: str) -> RecordError:
        return RecordError(f"{self._path}: line {self._line_number}: {printable_text(reason)}")
