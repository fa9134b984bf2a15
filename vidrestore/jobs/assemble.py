"""Assembles the finished segments of a job into its outputs and its record."""

from collections.abc import Iterator, Mapping

from vidrestore.errors import MediaError
from vidrestore.jobs.store.job_folder import Job
from vidrestore.jobs.store.segment_files import RECORD
from vidrestore.media.output.outputs import Output
from vidrestore.storage.file_errors import file_errors


def assemble(job: Job, outputs: Mapping[str, Output]) -> None:
    """Join the segment files of every output.

    Args:
        job: A job whose segments are all in the journal.
        outputs: The outputs by kind of segment file.

    Raises:
        MediaError: Segments are missing, a file cannot be read, or an output cannot be written.
    """
    entries = job.journal.entries()
    if not (entries and entries[-1].is_last):
        raise MediaError(f"{job.target}: the journal has lost segments; run again with --resume")
    for kind, output in outputs.items():
        output.assemble(
            [
                [job.folder / file.name for file in entry.files if _kind_of(file.name) == kind]
                for entry in entries
            ]
        )


def record_lines(job: Job) -> Iterator[str]:
    """Yield the lines of the record of every frame, in order.

    Raises:
        MediaError: A segment file cannot be read.
    """
    for entry in job.journal.entries():
        for segment_file in entry.files:
            if _kind_of(segment_file.name) == RECORD:
                path = job.folder / segment_file.name
                with file_errors(path), path.open(encoding="ascii") as file:
                    yield from file


def _kind_of(name: str) -> str:
    """Return ``film`` of ``000003.film.json`` and of ``000003.film/0001.png``."""
    return name.split("/")[0].split(".")[1]
