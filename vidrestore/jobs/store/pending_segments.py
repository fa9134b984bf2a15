"""Segments that are finished before an earlier one.

The journal stays in order. With several workers a segment may be finished before an earlier one. It
is noted in a second file until the earlier one is done, so that an interrupted run repeats nothing.
"""

from typing import TYPE_CHECKING

from vidrestore.jobs.store.journal import Journal, JournalEntry

if TYPE_CHECKING:
    from vidrestore.jobs.store.job_folder import Job

PENDING_FILE = "ahead"
"""Name in the job folder."""


class PendingSegments:
    """Takes segments in any order and writes them to the journal in order."""

    def __init__(self, job: "Job") -> None:
        """Continue with the finished segments of a job."""
        self.frames = 0
        """Number of finished frames."""
        self.faces = 0
        """Number of faces restored in them."""
        self._journal = job.journal
        self._pending_journal = Journal(job.folder / PENDING_FILE)
        self._journaled = {entry.segment: entry for entry in job.entries}
        self._pending = {entry.segment: entry for entry in job.pending}
        for entry in (*job.entries, *job.pending):
            self._count(entry)
        self._journal_in_order()

    def get(self, number: int) -> JournalEntry | None:
        """Return a finished segment; None if it is not finished."""
        return self._journaled.get(number) or self._pending.get(number)

    def journaled(self) -> tuple[JournalEntry, ...]:
        """Return the finished segments in order, up to the first gap."""
        return tuple(self._journaled.values())

    def add(self, entry: JournalEntry) -> None:
        """Add a finished segment; when this returns, it survives a power cut.

        Raises:
            MediaError: The disk is full or cannot be written.
        """
        if entry.segment != len(self._journaled):
            self._pending_journal.append(entry)
        self._pending[entry.segment] = entry
        self._count(entry)
        self._journal_in_order()

    def _count(self, entry: JournalEntry) -> None:
        self.frames += entry.tally["frames"]
        self.faces += entry.tally["faces"]

    def _journal_in_order(self) -> None:
        while (number := len(self._journaled)) in self._pending:
            # Added to the journal before it is removed here; being in both is harmless.
            self._journal.append(self._pending[number])
            self._journaled[number] = self._pending.pop(number)
