"""Assembles the finished segments of a job into its outputs and its record."""

from collections.abc import Iterator, Mapping

from vidrestore.errors import MediaError
from vidrestore.jobs.store.job_folder import Job
from vidrestore.jobs.store.segment_files import RECORD
from vidrestore.media.output.open_output import Output
from vidrestore.pipeline.setup import Setup
from vidrestore.storage.file_errors import file_errors


def assembled(job: Job, outputs: Mapping[str, Output]) -> None:
    """Put the parts of every output together.

    Args:
        job: A job whose segments are all in the journal.
        outputs: The outputs by kind of part.

    Raises:
        MediaError: Segments are missing, a part cannot be read, or an output cannot be written.
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
        MediaError: A part cannot be read.
    """
    for entry in job.journal.entries():
        for each in entry.files:
            if _kind_of(each.name) == RECORD:
                path = job.folder / each.name
                with file_errors(path), path.open(encoding="ascii") as file:
                    yield from file


def nothing_read(prepared: Setup) -> MediaError:
    """Return the error for a source without a single frame."""
    settings, path = prepared.settings, prepared.source.info.path
    if settings.start_seconds or settings.end_seconds:
        return MediaError(f"{path}: no frame between --start and --end; check these times")
    return MediaError(f"{path}: not a single frame can be decoded; get another copy")


def _kind_of(name: str) -> str:
    """Return ``film`` of ``000003.film.json`` and of ``000003.film/0001.png``."""
    return name.split("/")[0].split(".")[1]
