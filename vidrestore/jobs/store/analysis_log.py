"""The faces found in a film, kept so that no frame is searched twice: one line for each frame.

Numbers are written so that they are read back exactly. Each line holds a checksum of some rows of
the frame, which shows if decoding from another position gives other samples.
"""

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from vidrestore.errors import MediaError
from vidrestore.storage.file_errors import file_errors
from vidrestore.storage.sync import flush_and_sync
from vidrestore.types import FloatArray, Frame, TrackedFace, TrackedFrame

_CHECKED_ROWS = 16
"""Spacing of the rows in the checksum. Codecs damage whole blocks, so none is missed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameAnalysis:
    """The findings of ``analysed`` in one frame, without its samples."""

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
        """Return the notes of a frame."""
        frame = tracked.frame
        return FrameAnalysis(
            index=frame.index,
            ticks=_ticks_of_whole(frame),
            rows_crc32=rows_crc32(frame),
            shot=tracked.shot,
            is_monochrome=tracked.is_monochrome,
            key_frame=frame.key_frame,
            faces=tracked.faces,
        )

    def describes(self, frame: Frame) -> bool:
        """Return whether ``frame`` is the one that was analysed, sample for sample."""
        same = self.index == frame.index and self.ticks == _ticks_of_whole(frame)
        return same and self.rows_crc32 == rows_crc32(frame)

    def tracked(self, frame: Frame) -> TrackedFrame:
        """Return the frame with the faces found in it."""
        return TrackedFrame(
            frame=frame, shot=self.shot, faces=self.faces, is_monochrome=self.is_monochrome
        )

    def to_line(self) -> str:
        """Return the notes as one line of JSON."""
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
        """Return the notes of a line.

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
            raise ValueError(f"not a line of an analysis: {error}") from error


def rows_crc32(frame: Frame) -> int:
    """Return a checksum of every sixteenth row of every plane."""
    checksum = 0
    for plane in frame.planes:
        checksum = zlib.crc32(np.ascontiguousarray(plane[::_CHECKED_ROWS]).tobytes(), checksum)
    return checksum


def _ticks_of_whole(frame: Frame) -> int:
    whole = frame if frame.field_of is None else frame.field_of
    return whole.timestamp.ticks


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
    """Appends notes to a file, and keeps the checksum of its content."""

    def __init__(self, path: Path, *, keep_bytes: int = 0) -> None:
        """Open the log of a job.

        Args:
            path: Path of the file.
            keep_bytes: Size of the part that is known to be complete; the rest is cut off.

        Raises:
            MediaError: The disk is full or cannot be written.
        """
        self._path = path
        with file_errors(path, "write"):
            path.touch()
            crc32 = prefix_crc32(path, keep_bytes) or 0
            self._file: BinaryIO = path.open("r+b")
            self._file.truncate(keep_bytes)
            self._file.seek(keep_bytes)
        self._lock = Lock()
        self._state = LogState(size_bytes=keep_bytes, crc32=crc32)

    @property
    def size_bytes(self) -> int:
        """Size of the log so far."""
        return self._state.size_bytes

    @property
    def crc32(self) -> int:
        """Checksum of the log so far."""
        return self._state.crc32

    def append(self, notes: FrameAnalysis) -> None:
        """Add the notes of the next frame."""
        self.append_line(notes.to_line())

    def append_line(self, text: str) -> None:
        """Add the line of the next frame."""
        line = text.encode()
        with self._lock, file_errors(self._path, "write"):
            self._file.write(line)
            self._state = LogState(
                size_bytes=self._state.size_bytes + len(line),
                crc32=zlib.crc32(line, self._state.crc32),
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


def noted(tracked: Iterable[TrackedFrame], log: AnalysisLog, after: int) -> Iterator[TrackedFrame]:
    """Pass frames through, and add notes of those numbered above ``after`` to a log."""
    for each in tracked:
        if each.frame.index > after:
            log.append(FrameAnalysis.of(each))
        yield each


def read_notes(path: Path, size_bytes: int) -> Iterator[FrameAnalysis]:
    """Yield the notes in the first ``size_bytes`` of a log.

    Raises:
        MediaError: The log cannot be read, or holds something else.
    """
    with file_errors(path), path.open("rb") as file:
        left = size_bytes
        while left > 0:
            line = file.readline()
            left -= len(line)
            try:
                notes = FrameAnalysis.from_line(line.decode())
            except ValueError as error:
                raise MediaError(f"{path}: damaged; start over with --overwrite") from error
            yield notes


def prefix_crc32(path: Path, size_bytes: int) -> int | None:
    """Return the checksum of the first bytes of a file; None if it is shorter."""
    checksum, left = 0, size_bytes
    try:
        with path.open("rb") as file:
            while left > 0:
                block = file.read(min(left, 1 << 20))
                if not block:
                    return None
                checksum = zlib.crc32(block, checksum)
                left -= len(block)
    except OSError:
        return None
    return checksum
