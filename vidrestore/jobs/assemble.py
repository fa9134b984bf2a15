"""Assembles the finished segments of a job into its outputs and its record."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from vidrestore.errors import MediaError
from vidrestore.jobs.store.job_folder import consecutive
from vidrestore.jobs.store.journal import Job, JournalEntry, read_journal
from vidrestore.jobs.store.segment_files import RECORD
from vidrestore.media.output.outputs import Output
from vidrestore.pipeline.record_lines import end_line, header_line
from vidrestore.record.schema import RecordHeader
from vidrestore.storage.atomic_output import TempOutput
from vidrestore.storage.file_errors import file_errors


def journaled_entries(job: Job) -> list[JournalEntry]:
    """Return all segments of a job that is done, in order, as the journal on the disk has them.

    Raises:
        MediaError: Segments are missing.
    """
    entries = consecutive(read_journal(job.folder).entries)
    if not (entries and entries[-1].is_last):
        raise MediaError(f"{job.folder}: the journal has lost segments; run again with --resume")
    return entries


def assemble(job: Job, entries: list[JournalEntry], outputs: Mapping[str, Output]) -> None:
    """Join the segment files of every output.

    Args:
        job: Has the folder of the files.
        entries: All its segments, in order.
        outputs: The outputs by kind of segment file.

    Raises:
        MediaError: A file cannot be read, or an output cannot be written.
    """
    for kind, output in outputs.items():
        output.assemble([[job.folder / name for name in _names(entry, kind)] for entry in entries])


def write_record(
    job: Job,
    entries: list[JournalEntry],
    header: RecordHeader,
    pending: TempOutput,
    target: Path,
) -> None:
    """Write the record of a run: its header, and the lines of its segments.

    Args:
        job: Has the folder of the segment files.
        entries: All its segments, in order.
        header: See ``record_header``.
        pending: The record under its temporary name.
        target: Its final name.

    Raises:
        MediaError: A segment file cannot be read, or the record cannot be written.
    """
    frames = faces = 0
    with (
        file_errors(target, "write"),
        pending.path.open("w", encoding="ascii", newline="\n") as file,
    ):
        file.write(header_line(header))
        for line in _record_lines(job, entries):
            file.write(line)
            frames += 1
            faces += len(json.loads(line)["faces"])
        file.write(end_line(frames, faces))
    pending.complete = True


def _record_lines(job: Job, entries: list[JournalEntry]) -> Iterator[str]:
    for entry in entries:
        for name in _names(entry, RECORD):
            path = job.folder / name
            with file_errors(path), path.open(encoding="ascii") as file:
                yield from file


def _names(entry: JournalEntry, kind: str) -> Iterator[str]:
    """Yield the files of a kind: ``000003.film.json``, ``000003.film/0001.png``."""
    for file in entry.files:
        if file.name.split("/")[0].split(".")[1] == kind:
            yield file.name
