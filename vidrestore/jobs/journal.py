"""What is done of a job: a checked line for each finished segment, on the disk before the next."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vidrestore.media.segment import sha256_of, to_disk
from vidrestore.media.translate import media_errors


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFile:
    """A file of a segment, whole and on the disk."""

    name: str
    """Within the job's folder."""
    size_bytes: int
    sha256: str

    @staticmethod
    def of(path: Path, folder: Path) -> "PartFile":
        """Return the entry of a file in a job's folder."""
        name = path.relative_to(folder).as_posix()
        return PartFile(name=name, size_bytes=path.stat().st_size, sha256=sha256_of(path))

    def is_whole(self, folder: Path) -> bool:
        """Return whether the file is there and is what was written."""
        path = folder / self.name
        try:
            return path.stat().st_size == self.size_bytes and sha256_of(path) == self.sha256
        except OSError:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One finished segment."""

    segment: int
    """From 0, in order."""
    first_frame: int
    end_frame: int
    """The frame after its last."""
    is_last: bool
    """Whether the film ends with it."""
    files: tuple[PartFile, ...]
    analysis_bytes: int
    """How long the log of the analysis was then; ``analysis_crc32`` is of so many bytes."""
    analysis_crc32: int
    tally: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What was counted in it; see ``pipeline.report.Tally``."""
    damaged_packets: int = 0
    """In the source, from its start to here."""
    repaired_timestamps: int = 0
    encode_seconds: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.first_frame < self.end_frame or self.segment < 0:
            raise ValueError(f"impossible segment: {self.segment}, {self.first_frame}")


class Journal:
    """Appends entries to a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, entry: JournalEntry) -> None:
        """Write an entry; when this returns, it outlives a power cut.

        Raises:
            MediaError: The disk is full or cannot be written.
        """
        text = json.dumps(asdict(entry), separators=(",", ":"), sort_keys=True)
        with media_errors(self._path, "write"), self._path.open("ab") as file:
            file.write(f"{_checksum(text)} {text}\n".encode())
            to_disk(file)

    def rewrite(self, entries: tuple[JournalEntry, ...]) -> None:
        """Keep these entries only."""
        with media_errors(self._path, "write"):
            fresh = self._path.with_suffix(".new")
            fresh.unlink(missing_ok=True)
            beside = Journal(fresh)
            fresh.touch()
            for entry in entries:
                beside.append(entry)
            fresh.replace(self._path)

    def entries_in_any_order(self) -> tuple[JournalEntry, ...]:
        """Return the entries that are whole, of each segment the last, up to the first damaged."""
        kept: dict[int, JournalEntry] = {}
        for line in self._lines():
            entry = _parsed(line)
            if entry is None:
                break
            kept[entry.segment] = entry
        return tuple(kept.values())

    def _lines(self) -> list[bytes]:
        try:
            return self._path.read_bytes().split(b"\n")
        except OSError:
            return []

    def entries(self) -> tuple[JournalEntry, ...]:
        """Return the entries that are whole and follow each other, up to the first that is not.

        A run that was killed may leave half a line; what comes after a damaged line is not trusted.
        """
        kept: list[JournalEntry] = []
        for line in self._lines():
            entry = _parsed(line)
            follows = kept[-1].end_frame if kept else 0
            if entry is None or entry.segment != len(kept) or entry.first_frame != follows:
                break
            kept.append(entry)
        return tuple(kept)


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


def _parsed(line: bytes) -> JournalEntry | None:
    """Return the entry of a line; None where it is not one."""
    try:
        checksum, _, text = line.decode().partition(" ")
        if checksum != _checksum(text):
            return None
        fields = json.loads(text)
        files = tuple(PartFile(**each) for each in fields.pop("files"))
        return JournalEntry(files=files, **fields)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
