"""The whole of a job, made of what its segments left: outputs and the lines of a record."""

from collections.abc import Iterator, Mapping

from vidrestore.errors import MediaError
from vidrestore.jobs.folder import Job
from vidrestore.jobs.segments import RECORD
from vidrestore.media.outputs import WholeOutput
from vidrestore.media.translate import media_errors
from vidrestore.pipeline.prepared import Preparation


def assembled(job: Job, outputs: Mapping[str, WholeOutput]) -> None:
    """Put the parts of every output together.

    Args:
        job: All segments of it are journaled.
        outputs: By the kind of their parts.

    Raises:
        MediaError: Segments are missing, a part cannot be read, or an output not written.
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
                with media_errors(path), path.open(encoding="ascii") as file:
                    yield from file


def nothing_read(prepared: Preparation) -> MediaError:
    """Return what to say of a source that gave no frame."""
    settings, path = prepared.settings, prepared.source.info.path
    if settings.start_seconds or settings.end_seconds:
        return MediaError(f"{path}: no frame lies in the part asked for; check --start and --end")
    return MediaError(f"{path}: not a single frame could be read")


def _kind_of(name: str) -> str:
    """Return ``film`` of ``000003.film.json`` and of ``000003.film/0001.png``."""
    return name.split("/")[0].split(".")[1]
