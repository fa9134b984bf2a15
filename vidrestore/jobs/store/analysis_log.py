"""The analysis log: one line for each frame with its shot and faces.

It is kept so that no frame is analyzed twice. Numbers are written so that they are read back
exactly. Each line holds a checksum of some rows of the frame, which shows whether decoding from
another position gives other samples.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from vidrestore.errors import MediaError
from vidrestore.storage.file_errors import file_errors
from vidrestore.storage.sync import flush_and_sync
from vidrestore.types import FloatArray, Frame, TrackedFace, TrackedFrame

LOG_FILE = "analysis"
"""Name in the job folder."""
_CHECKED_ROWS = 16
"""Spacing of the rows in the checksum. Codecs damage whole blocks, so none is missed."""


class FrameMismatchError(MediaError):
    """A frame has other samples than when it was analyzed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameAnalysis:
    """What ``Stages.analyze`` found in one frame, without its samples."""

    index: int
    ticks: int
    """Presentation time of the frame; for a field, of its frame."""
    rows_crc32: int
    shot: int
    is_monochrome: bool
    key_frame: bool
    faces: tuple[TrackedFace, ...]

    @staticmethod
    def of(tracked: TrackedFrame) -> "FrameAnalysis":
        """Return the analysis of a frame."""
        frame = tracked.frame
        return FrameAnalysis(
            index=frame.index,
            ticks=_frame_ticks(frame),
            rows_crc32=rows_crc32(frame),
            shot=tracked.shot,
            is_monochrome=tracked.is_monochrome,
            key_frame=frame.key_frame,
            faces=tracked.faces,
        )

    def matches(self, frame: Frame) -> bool:
        """Return whether ``frame`` is the one that was analyzed, sample for sample."""
        same = self.index == frame.index and self.ticks == _frame_ticks(frame)
        return same and self.rows_crc32 == rows_crc32(frame)

    def check(self, frame: Frame, when: str) -> None:
        """Check that ``frame`` is the one that was analyzed.

        Args:
            frame: The decoded frame.
            when: When it was analyzed, for the message.

        Raises:
            FrameMismatchError: It has other samples.
        """
        if not self.matches(frame):
            raise FrameMismatchError(
                f"frame {frame.index} has other samples than {when}; if the film was changed, "
                "start over with --overwrite"
            )

    def tracked(self, frame: Frame) -> TrackedFrame:
        """Return the frame with the faces found in it."""
        return TrackedFrame(
            frame=frame, shot=self.shot, faces=self.faces, is_monochrome=self.is_monochrome
        )

    def to_line(self) -> str:
        """Return one line of JSON, with its line feed."""
        fields = [
            self.index,
            self.ticks,
            self.rows_crc32,
            self.shot,
            int(self.is_monochrome),
            int(self.key_frame),
            [_face_fields(face) for face in self.faces],
        ]
        return json.dumps(fields, separators=(",", ":")) + "\n"

    @staticmethod
    def from_line(line: str) -> "FrameAnalysis":
        """Return the analysis that ``to_line`` wrote.

        Raises:
            ValueError: The text is not such a line.
        """
        try:
            index, ticks, checksum, shot, is_monochrome, key_frame, faces = json.loads(line)
            return FrameAnalysis(
                index=int(index),
                ticks=int(ticks),
                rows_crc32=int(checksum),
                shot=int(shot),
                is_monochrome=bool(is_monochrome),
                key_frame=bool(key_frame),
                faces=tuple(_face_of(fields) for fields in faces),
            )
        except TypeError as error:
            raise ValueError(f"not a line of an analysis log: {error}") from error


def rows_crc32(frame: Frame) -> int:
    """Return a checksum of every sixteenth row of every plane."""
    checksum = 0
    for plane in frame.planes:
        checksum = zlib.crc32(np.ascontiguousarray(plane[::_CHECKED_ROWS]).tobytes(), checksum)
    return checksum


def _frame_ticks(frame: Frame) -> int:
    return (frame.field_of or frame).timestamp.ticks


def _face_fields(face: TrackedFace) -> list[Any]:
    return [
        face.track_id,
        [float(side) for side in face.box_xyxy],
        float(face.score),
        [float(each) for each in face.raw_landmarks_xy.ravel()],
        int(face.interpolated),
        face.skip_reason,
        float(face.source_quality),
    ]


def _face_of(fields: list[Any]) -> TrackedFace:
    track, (left, top, right, bottom), score, numbers, interpolated, skip_reason, good = fields
    points: FloatArray = np.array(numbers, dtype=np.float32).reshape(5, 2)
    return TrackedFace(
        track_id=int(track),
        box_xyxy=(left, top, right, bottom),
        score=score,
        landmarks_xy=points,
        raw_landmarks_xy=points,
        interpolated=bool(interpolated),
        skip_reason=skip_reason,
        source_quality=good,
    )


class LogState(NamedTuple):
    """How much a log holds."""

    size_bytes: int
    crc32: int


class AnalysisLog:
    """Appends lines to a file, and keeps the checksum of its content."""

    def __init__(self, path: Path, *, keep_bytes: int = 0) -> None:
        """Open the log of a job.

        Args:
            path: Path of the file.
            keep_bytes: Number of bytes that are known to be intact; the rest is cut off.

        Raises:
            MediaError: The disk is full or cannot be written.
        """
        self._path = path
        with file_errors(path, "write"):
            path.touch()
            crc32 = prefix_checksums(path, [keep_bytes]).get(keep_bytes, 0)
            self._file: BinaryIO = path.open("r+b")
            self._file.truncate(keep_bytes)
            self._file.seek(keep_bytes)
        self._lock = Lock()
        self._state = LogState(size_bytes=keep_bytes, crc32=crc32)

    def append(self, line: str) -> None:
        """Add the line of the next frame."""
        data = line.encode()
        with self._lock, file_errors(self._path, "write"):
            self._file.write(data)
            self._state = LogState(
                size_bytes=self._state.size_bytes + len(data),
                crc32=zlib.crc32(data, self._state.crc32),
            )

    def sync(self) -> LogState:
        """Sync to the disk, so that added lines survive a power cut; return what is synced.

        Another thread may be adding lines.
        """
        with self._lock, file_errors(self._path, "write"):
            flush_and_sync(self._file)
            return self._state

    def close(self) -> None:
        """Close the file; safe to call twice."""
        with file_errors(self._path, "write"):
            self._file.close()


def log_analysis(
    tracked: Iterable[TrackedFrame], log: AnalysisLog, *, after: int
) -> Iterator[TrackedFrame]:
    """Pass frames through, and log the analysis of those numbered above ``after``."""
    for frame in tracked:
        if frame.frame.index > after:
            log.append(FrameAnalysis.of(frame).to_line())
        yield frame


def read_lines(path: Path, first_byte: int, end_byte: int) -> Iterator[str]:
    """Yield the lines of a range of bytes of a log.

    Raises:
        MediaError: The log cannot be read, or is shorter.
    """
    with file_errors(path), path.open("rb") as file:
        file.seek(first_byte)
        while first_byte < end_byte:
            line = file.readline()
            if not line:
                raise _damaged(path)
            first_byte += len(line)
            yield line.decode("ascii", errors="replace")


def read_analysis(path: Path, first_byte: int, end_byte: int) -> Iterator[FrameAnalysis]:
    """Yield the analysis of the frames in a range of bytes of a log.

    Raises:
        MediaError: The log cannot be read, or holds something else.
    """
    for line in read_lines(path, first_byte, end_byte):
        try:
            analysis = FrameAnalysis.from_line(line)
        except ValueError as error:
            raise _damaged(path) from error
        yield analysis


def _damaged(path: Path) -> MediaError:
    return MediaError(f"{path}: is damaged; start over with --overwrite")


def prefix_checksums(path: Path, sizes: Iterable[int]) -> Mapping[int, int]:
    """Return the checksum of the first ``n`` bytes of a file, for each ``n`` that it holds."""
    checksums: dict[int, int] = {}
    checksum = position = 0
    try:
        with path.open("rb") as file:
            for size in sorted(set(sizes)):
                block = file.read(size - position)
                if len(block) < size - position:
                    break
                checksum, position = zlib.crc32(block, checksum), size
                checksums[size] = checksum
    except OSError:
        return checksums
    return checksums
