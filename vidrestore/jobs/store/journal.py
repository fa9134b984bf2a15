"""The journal of a job: a line with a checksum for each finished segment, synced to the disk."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vidrestore.jobs.store.checked_lines import from_checked_line, to_checked_line
from vidrestore.storage.checksums import file_sha256
from vidrestore.storage.file_errors import file_errors
from vidrestore.storage.sync import flush_and_sync


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

    def is_intact(self, folder: Path) -> bool:
        """Return whether the file exists with the size and checksum of what was written."""
        path = folder / self.name
        try:
            return path.stat().st_size == self.size_bytes and file_sha256(path) == self.sha256
        except OSError:
            return False


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
    analysis_bytes: int
    """Size of the analysis log at that time; ``analysis_crc32`` is the checksum of these bytes."""
    analysis_crc32: int
    tally: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Statistics of its frames; see ``pipeline.report.Tally``."""
    damaged_packets: int = 0
    """Damaged packets in the source, from its start to the end of this segment."""
    repaired_timestamps: int = 0
    encode_seconds: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.first_frame < self.end_frame or self.segment < 0:
            raise ValueError(f"impossible segment: {self.segment}, {self.first_frame}")

    def is_intact(self, folder: Path) -> bool:
        """Return whether all its files in the job's folder are intact."""
        return all(file.is_intact(folder) for file in self.files)


class Journal:
    """Appends entries to a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, entry: JournalEntry) -> None:
        """Write an entry; when this returns, it survives a power cut.

        Raises:
            MediaError: The disk is full or cannot be written.
        """
        with file_errors(self._path, "write"), self._path.open("ab") as file:
            file.write(to_checked_line(asdict(entry)))
            flush_and_sync(file)

    def rewrite(self, entries: tuple[JournalEntry, ...]) -> None:
        """Keep only these entries."""
        with file_errors(self._path, "write"):
            temporary = self._path.with_suffix(".new")
            temporary.write_bytes(b"")
            for entry in entries:
                Journal(temporary).append(entry)
            temporary.replace(self._path)

    def all_entries(self) -> tuple[JournalEntry, ...]:
        """Return the latest entry of each segment, up to the first damaged line."""
        return tuple({entry.segment: entry for entry in self._intact_lines()}.values())

    def entries(self) -> tuple[JournalEntry, ...]:
        """Return the consecutive entries, up to the first damaged line or gap.

        A killed run may leave a truncated line. Lines after a damaged one are not trusted.
        """
        entries: list[JournalEntry] = []
        end_frame = 0
        for entry in self._intact_lines():
            if entry.segment != len(entries) or entry.first_frame != end_frame:
                break
            entries.append(entry)
            end_frame = entry.end_frame
        return tuple(entries)

    def _intact_lines(self) -> Iterator[JournalEntry]:
        try:
            lines = self._path.read_bytes().split(b"\n")
        except OSError:
            return
        for line in lines:
            entry = _parse(line)
            if entry is None:
                return
            yield entry


def _parse(line: bytes) -> JournalEntry | None:
    """Return the entry of a line; None if the line is damaged."""
    try:
        fields = from_checked_line(line)
        files = tuple(SegmentFile(**each) for each in fields.pop("files"))
        return JournalEntry(files=files, **fields)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
