"""Assembles the finished segments of a job into its outputs and its record."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from vidrestore.errors import MediaError
from vidrestore.jobs.store.job_folder import Job, consecutive
from vidrestore.jobs.store.journal import JournalEntry, read_journal
from vidrestore.jobs.store.segment_files import RECORD
from vidrestore.media.output.outputs import Output
from vidrestore.storage.file_errors import file_errors


def journaled_entries(job: Job) -> list[JournalEntry]:
    """Return all segments of a job that is done, in order, as the journal on the disk has them.

    Raises:
        MediaError: Segments are missing.
    """
    entries = consecutive(read_journal(job.folder).entries)
    if not (entries and entries[-1].is_last):
        raise MediaError(f"{job.target}: the journal has lost segments; run again with --resume")
    return entries


def assemble(job: Job, entries: Iterable[JournalEntry], outputs: Mapping[str, Output]) -> None:
    """Join the segment files of every output.

    Args:
        job: Has the folder of the files.
        entries: All its segments, in order.
        outputs: The outputs by kind of segment file.

    Raises:
        MediaError: A file cannot be read, or an output cannot be written.
    """
    for kind, output in outputs.items():
        output.assemble([[*_paths(job, entry, kind)] for entry in entries])


def record_lines(job: Job, entries: Iterable[JournalEntry]) -> Iterator[str]:
    """Yield the lines of the record of every frame, in order.

    Raises:
        MediaError: A segment file cannot be read.
    """
    for entry in entries:
        for path in _paths(job, entry, RECORD):
            with file_errors(path), path.open(encoding="ascii") as file:
                yield from file


def _paths(job: Job, entry: JournalEntry, kind: str) -> Iterator[Path]:
    """Yield the files of a kind: ``000003.film.json``, ``000003.film/0001.png``."""
    for file in entry.files:
        if file.name.split("/")[0].split(".")[1] == kind:
            yield job.folder / file.name
