"""How far a film is analyzed: a checked line in the job folder, replaced after every batch."""

from dataclasses import asdict, dataclass
from pathlib import Path

from vidrestore.jobs.store.checked_lines import from_checked_line, to_checked_line
from vidrestore.jobs.store.journal import JournalEntry
from vidrestore.storage.file_errors import file_errors
from vidrestore.storage.sync import flush_and_sync

STATE_FILE = "analysed"
"""Name in the job folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisState:
    """How far a film is analyzed."""

    size_bytes: int = 0
    """Size of the intact part of the log."""
    crc32: int = 0
    """Checksum of that part."""
    damaged_packets: int = 0
    """Damaged packets in the source up to there."""
    repaired_timestamps: int = 0
    is_whole: bool = False
    """Whether the film ends there."""

    @staticmethod
    def after(entry: JournalEntry) -> "AnalysisState":
        """Return the state when a segment was journaled."""
        return AnalysisState(
            size_bytes=entry.analysis_bytes,
            crc32=entry.analysis_crc32,
            damaged_packets=entry.damaged_packets,
            repaired_timestamps=entry.repaired_timestamps,
        )

    def write(self, folder: Path) -> None:
        """Write the state into a job folder; when this returns, it survives a power cut.

        Raises:
            MediaError: The disk is full or cannot be written.
        """
        path = folder / STATE_FILE
        temporary = path.with_suffix(".new")
        with file_errors(path, "write"):
            with temporary.open("wb") as file:
                file.write(to_checked_line(asdict(self)))
                flush_and_sync(file)
            temporary.replace(path)

    @staticmethod
    def read(folder: Path) -> "AnalysisState":
        """Return the state in a job folder; that of a new analysis if it is missing or damaged."""
        try:
            return AnalysisState(**from_checked_line((folder / STATE_FILE).read_bytes()))
        except (OSError, ValueError, TypeError):
            return AnalysisState()
