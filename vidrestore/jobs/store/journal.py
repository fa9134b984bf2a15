"""The journal of a job: one file with everything that an interrupted run keeps, but its segments.

Every line is JSON with a checksum in front: ``1a2b3c4d {"frame":{...}}``. The first one is the
fingerprint of the job. Then follows a line for each frame that is analyzed, and one for each
finished segment or batch of the analysis, with the state of the job. Lines are only added. What
comes after a damaged one is not trusted, so a line that a killed run has truncated does no harm.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Self

import numpy as np

from vidrestore.errors import MediaError
from vidrestore.jobs.store.frame_analysis import FrameAnalysis
from vidrestore.media.input.source import Source
from vidrestore.storage.checksums import file_sha256
from vidrestore.storage.file_errors import file_errors
from vidrestore.storage.sync import flush_and_sync
from vidrestore.storage.temp_files import temporary_paths
from vidrestore.types import FloatArray

JOURNAL_FILE = "journal"
"""Name in the job folder."""
_FRAME = b'{"frame":'
"""Start of the JSON of a frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFile:
    """A complete file of a segment, on the disk."""

    name: str
    """Path relative to the job's folder."""
    size_bytes: int
    sha256: str

    @staticmethod
    def of(path: Path, folder: Path) -> "SegmentFile":
        """Return the entry of a file in a job's folder."""
        name = path.relative_to(folder).as_posix()
        return SegmentFile(name=name, size_bytes=path.stat().st_size, sha256=file_sha256(path))

    def is_intact(self, folder: Path, *, read: bool = True) -> bool:
        """Return whether the file has the size of what was written and, if read, the checksum."""
        path = folder / self.name
        try:
            is_complete = path.stat().st_size == self.size_bytes
            return is_complete and (not read or file_sha256(path) == self.sha256)
        except OSError:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """How far a job is."""

    damaged_packets: int = 0
    """Damaged packets in the source, from its start to where the analysis is."""
    repaired_timestamps: int = 0
    is_analyzed: bool = False
    """Whether the analysis has come to the end of the film."""
    journal_bytes: int = 0
    """Size of the journal; everything in it up to there is synced to the disk."""

    def after(self, source: Source, *, is_analyzed: bool) -> "JobState":
        """Return the state of a run that began with this one and has read some of ``source``."""
        return JobState(
            damaged_packets=self.damaged_packets + source.damaged_packets,
            repaired_timestamps=self.repaired_timestamps + source.repaired_timestamps,
            is_analyzed=is_analyzed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One finished segment."""

    segment: int
    """Number of the segment, from 0."""
    first_frame: int
    end_frame: int
    """The frame after its last."""
    is_last: bool
    """Whether the film ends with it."""
    files: tuple[SegmentFile, ...]
    tally: Mapping[str, Any]
    """Statistics of its frames; see ``pipeline.report.Tally``."""
    state: JobState = field(default_factory=JobState)
    """State of the job when the segment was journaled; set when it is read."""

    def is_intact(self, folder: Path, *, read: bool = True) -> bool:
        """Return whether all its files in the job's folder are intact; see ``SegmentFile``."""
        return all(file.is_intact(folder, read=read) for file in self.files)


@dataclass(slots=True, kw_only=True)
class JournalContent:
    """The intact content of a journal."""

    fingerprint: Mapping[str, str] | None = None
    """None if there is no journal."""
    entries: dict[int, JournalEntry] = field(default_factory=dict[int, JournalEntry])
    """The latest entry of each segment, by number."""
    state: JobState = field(default_factory=JobState)
    published: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    """Device and inode of each output that was about to be renamed."""


def read_journal(folder: Path) -> JournalContent:
    """Return the intact content of the journal in a job folder; nothing if there is none."""
    content = JournalContent()
    with suppress(OSError):
        for line, end_byte in _intact_lines(folder / JOURNAL_FILE, 0):
            if content.fingerprint is None:
                content.fingerprint = json.loads(line).get("fingerprint")
                if content.fingerprint is None:  # of an earlier version
                    break
            elif not line.startswith(_FRAME):
                _read_state(json.loads(line), end_byte, content)
    return content


def _read_state(line: Mapping[str, Any], end_byte: int, content: JournalContent) -> None:
    content.state = JobState(**line["state"], journal_bytes=end_byte)
    content.published |= {(device, inode) for device, inode in line["published"]}
    if line["segment"] is not None:
        values: dict[str, Any] = {**line["segment"], "state": content.state}
        values["files"] = tuple(SegmentFile(**fields) for fields in values["files"])
        content.entries[values["segment"]] = JournalEntry(**values)


def read_frames(
    folder: Path, first_byte: int, end_byte: int
) -> Iterator[tuple[FrameAnalysis, int]]:
    """Yield the analysis of the frames in a range of bytes of a journal, each with its end.

    Raises:
        MediaError: The journal cannot be read, or is damaged there.
    """
    path, position = folder / JOURNAL_FILE, first_byte
    with file_errors(path):
        for line, position in _intact_lines(path, first_byte):
            if position <= end_byte and line.startswith(_FRAME):
                yield FrameAnalysis.from_json(json.loads(line)["frame"]), position
            if position >= end_byte:
                return
    if position < end_byte:
        raise MediaError(f"{path}: is damaged; start over with --overwrite")


def _intact_lines(path: Path, first_byte: int) -> Iterator[tuple[bytes, int]]:
    """Yield the JSON of each line and its end in the file, up to the first damaged line."""
    with path.open("rb") as file:
        file.seek(first_byte)
        for line in file:
            first_byte += len(line)
            checksum, _, text = line.removesuffix(b"\n").partition(b" ")
            if not line.endswith(b"\n") or checksum != _checksum(text):
                return
            yield text, first_byte


def _checksum(text: bytes) -> bytes:
    return b"%08x" % zlib.crc32(text)


def _plain(value: np.generic | FloatArray) -> object:
    return value.tolist()


class Job:
    """A job in progress: what is finished, and its journal, to which several threads may add."""

    def __init__(self, folder: Path, content: JournalContent) -> None:
        """Open the journal, and cut off what was added after the last synced state.

        It goes on with ``content``; without a state it starts over.

        Raises:
            MediaError: The disk is full or cannot be written; so below.
        """
        self.folder = folder
        self.entries = content.entries
        """Finished segments by number, whose files are intact."""
        self.state = content.state
        """The last state in the journal."""
        self._path = folder / JOURNAL_FILE
        self._lock = Lock()
        self._size_bytes = content.state.journal_bytes
        with file_errors(self._path, "write"):
            self._file: BinaryIO = self._path.open("ab")
            self._file.truncate(self._size_bytes)
        try:
            if not self._size_bytes:
                self._add({"fingerprint": content.fingerprint})
            self.add_state(content.state, published=content.published)
        except BaseException:
            with suppress(OSError):
                self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        with file_errors(self._path, "write"):
            self._file.close()

    def add_frame(self, analysis: FrameAnalysis) -> int:
        """Add the analysis of the next frame; return where it ends in the journal."""
        return self._add({"frame": analysis.to_json()})

    def add_state(
        self,
        state: JobState,
        entry: JournalEntry | None = None,
        *,
        published: Iterable[tuple[int, int]] = (),
    ) -> None:
        """Add the state of the job, and a finished segment; then all lines survive a power cut."""
        values = asdict(state)
        del values["journal_bytes"]
        segment = None if entry is None else asdict(entry)
        if segment is not None:
            del segment["state"]
        end_byte = self._add({"state": values, "segment": segment, "published": sorted(published)})
        with self._lock, file_errors(self._path, "write"):
            flush_and_sync(self._file)
        self.state = replace(state, journal_bytes=end_byte)
        if entry is not None:
            self.entries[entry.segment] = entry

    def note_outputs(self, outputs: Iterable[Path]) -> None:
        """Note which temporary files are about to be renamed, for ``owns_existing_outputs``.

        ``outputs`` are the real paths of all outputs of the job.
        """
        with file_errors(self._path, "write"):
            temporary = [temporary_paths(output, output.suffix) for output in outputs]
            inodes = {device_inode(path) for paths in temporary for path in paths}
        self.add_state(self.state, published=inodes)

    def _add(self, line: object) -> int:
        text = json.dumps(line, separators=(",", ":"), default=_plain).encode()
        data = b"%s %s\n" % (_checksum(text), text)
        with self._lock, file_errors(self._path, "write"):
            self._file.write(data)
            self._size_bytes += len(data)
            return self._size_bytes


def device_inode(path: Path) -> tuple[int, int]:
    """Return what a file keeps when it is renamed."""
    status = path.stat()
    return status.st_dev, status.st_ino
