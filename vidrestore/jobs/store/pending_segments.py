"""State of a run with many workers beside the journal: segments out of order, and the analysis.

The journal itself stays in order. A segment that is finished before an earlier one waits here until
that one is done, so that an interrupted run repeats nothing.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from vidrestore.jobs.store.journal import Journal, JournalEntry
from vidrestore.storage.file_errors import file_errors
from vidrestore.storage.sync import flush_and_sync

AHEAD, MARK = "ahead", "analysed"
"""Names in the folder of a job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisState:
    """State of the analysis of a film."""

    size_bytes: int = 0
    """Size of the complete part of the log."""
    crc32: int = 0
    """Checksum of that part."""
    damaged_packets: int = 0
    """Damaged packets in the source up to there."""
    repaired_timestamps: int = 0
    is_whole: bool = False
    """Whether the film ends there."""


def write_mark(folder: Path, mark: AnalysisState) -> None:
    """Write a mark; when this returns, it survives a power cut.

    Raises:
        MediaError: The disk is full or cannot be written.
    """
    path = folder / MARK
    fresh = path.with_suffix(".new")
    text = json.dumps(asdict(mark), separators=(",", ":"), sort_keys=True)
    with file_errors(path, "write"):
        with fresh.open("wb") as file:
            file.write(f"{zlib.crc32(text.encode()):08x} {text}\n".encode())
            flush_and_sync(file)
        fresh.replace(path)


def read_mark(folder: Path) -> AnalysisState | None:
    """Return the mark of a job; None if it is missing or damaged."""
    try:
        checksum, _, text = (folder / MARK).read_text(encoding="ascii").rstrip().partition(" ")
        if checksum != f"{zlib.crc32(text.encode()):08x}":
            return None
        return AnalysisState(**json.loads(text))
    except (OSError, ValueError, TypeError):
        return None


def prefix_checksums(log: Path, sizes: Iterable[int]) -> Mapping[int, int]:
    """Return the checksum of the first ``n`` bytes of a log, for each ``n`` that it holds."""
    found: dict[int, int] = {}
    checksum = at = 0
    try:
        with log.open("rb") as file:
            for size in sorted(set(sizes)):
                block = file.read(size - at)
                if len(block) < size - at:
                    break
                checksum, at = zlib.crc32(block, checksum), size
                found[size] = checksum
    except OSError:
        return found
    return found


class PendingSegments:
    """Takes segments in any order and writes them to the journal in order."""

    def __init__(
        self,
        folder: Path,
        journal: Journal,
        entries: Iterable[JournalEntry],
        ahead: Iterable[JournalEntry],
    ) -> None:
        """Continue with the finished segments of a job.

        Args:
            folder: Folder of the job.
            journal: Journal of the job, in order.
            entries: All entries of the journal.
            ahead: Finished and checked segments that wait for an earlier one.
        """
        self._journal = journal
        self._ahead = Journal(folder / AHEAD)
        self._done = {entry.segment: entry for entry in entries}
        self._waiting = {entry.segment: entry for entry in ahead}
        self._frames = self._faces = 0
        for entry in (*self._done.values(), *self._waiting.values()):
            self._count(entry)
        self._promote()

    @property
    def frames(self) -> int:
        """Number of finished frames."""
        return self._frames

    @property
    def faces(self) -> int:
        """Number of faces restored in them."""
        return self._faces

    def get(self, number: int) -> JournalEntry | None:
        """Return a finished segment; None if it is not finished."""
        return self._done.get(number) or self._waiting.get(number)

    def in_order(self) -> Iterator[JournalEntry]:
        """Yield the finished segments in order, up to the first gap."""
        for number in range(len(self._done)):
            yield self._done[number]

    def add(self, entry: JournalEntry) -> None:
        """Add a finished segment; when this returns, it survives a power cut.

        Raises:
            MediaError: The disk is full or cannot be written.
        """
        if entry.segment != len(self._done):
            self._ahead.append(entry)
        self._waiting[entry.segment] = entry
        self._count(entry)
        self._promote()

    def _count(self, entry: JournalEntry) -> None:
        self._frames += entry.tally["frames"]
        self._faces += entry.tally["faces"]

    def _promote(self) -> None:
        while (number := len(self._done)) in self._waiting:
            # Added to the journal before it is removed here; being in both is harmless.
            self._journal.append(self._waiting[number])
            self._done[number] = self._waiting.pop(number)
