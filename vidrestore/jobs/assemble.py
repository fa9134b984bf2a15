"""Opens the outputs of a job, and assembles its finished segments into them and into its record."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from vidrestore.errors import MediaError
from vidrestore.jobs.store.job_folder import consecutive
from vidrestore.jobs.store.journal import Job, JournalEntry, read_journal
from vidrestore.jobs.store.segment_files import COMPARISON, RECORD, VIDEO, SegmentContent
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.media.output.open_output import open_output
from vidrestore.media.output.outputs import Output
from vidrestore.pipeline.loading.model_facts import ModelFacts
from vidrestore.pipeline.record_lines import record_header
from vidrestore.pipeline.setup import Setup, comparison_geometry
from vidrestore.record import EndRecord, end_line, header_line
from vidrestore.settings import config_from
from vidrestore.storage.atomic_output import TempOutput, atomic_file, check_target
from vidrestore.storage.file_errors import file_errors
from vidrestore.storage.standard_streams import is_standard_stream
from vidrestore.types import DisplayGeometry


def journaled_entries(job: Job) -> list[JournalEntry]:
    """Return all segments of a job that is done, in order, as the journal on the disk has them.

    Raises:
        MediaError: Segments are missing.
    """
    entries = consecutive(read_journal(job.folder).entries)
    if not (entries and entries[-1].is_last):
        raise MediaError(f"{job.folder}: the journal has lost segments; run again with --resume")
    return entries


class JobOutputs:
    """The outputs of a job under temporary names: the video, the comparison, the record."""

    def __init__(
        self, setup: Setup, source_path: Path, output: Path, stack: ExitStack, *, overwrite: bool
    ) -> None:
        """Open nothing yet.

        Args:
            setup: The source and the settings.
            source_path: As the user named it; ``-`` for standard input.
            output: The video.
            stack: Closes the outputs, and publishes those that are complete.
            overwrite: Whether they may replace files.
        """
        self._setup = setup
        self._source_path = source_path
        self._output = output
        self._stack = stack
        self._overwrite = overwrite
        self._outputs: dict[str, Output] = {}
        self._record: TempOutput | None = None

    def open(self, scale: int) -> SegmentContent:
        """Open the outputs, ``scale`` times larger than the source.

        Raises:
            MediaError: A file exists or cannot be written, or the source does not fit into it.
        """
        settings, source = self._setup.settings, self._setup.shown_source(scale)
        if settings.record is not None:
            check_target(settings.record, source_path=self._source_path, overwrite=self._overwrite)
            opened = atomic_file(settings.record, overwrite=self._overwrite)
            self._record = self._stack.enter_context(opened)
        targets: dict[str, tuple[Path, DisplayGeometry | None]] = {VIDEO: (self._output, None)}
        if settings.compare is not None:
            targets[COMPARISON] = (settings.compare, comparison_geometry(source.info))
        is_pipe = is_standard_stream(self._source_path)
        for kind, (target, geometry) in targets.items():
            output = open_output(
                target,
                info=source.info,
                time_range=source.time_range,
                source_path=None if is_pipe else self._source_path,
                settings=config_from(settings, EncoderSettings),
                overwrite=self._overwrite,
                drop_unsupported=settings.drop_unsupported,
                geometry=geometry,
            )
            self._outputs[kind] = self._stack.enter_context(output)
        return SegmentContent(
            openers={kind: output.open_segment for kind, output in self._outputs.items()},
            with_record=self._record is not None,
        )

    @property
    def notes(self) -> list[str]:
        """Notes for the user about the video."""
        return self._outputs[VIDEO].notes

    def assemble(self, folder: Path, entries: Sequence[JournalEntry], facts: ModelFacts) -> None:
        """Join the segment files of every output, and write the record.

        Args:
            folder: Folder of the job.
            entries: All its segments, in order.
            facts: The networks that restored them.

        Raises:
            MediaError: A file cannot be read, or an output cannot be written.
        """
        for kind, output in self._outputs.items():
            output.assemble([list(_paths(folder, entry, kind)) for entry in entries])
        settings = self._setup.settings
        if self._record is None or settings.record is None:
            return
        header = record_header(
            settings,
            self._setup.source.info,
            self._output,
            detail=facts.detail,
            scale=facts.scale,
        )
        frames = faces = 0
        with (
            file_errors(settings.record, "write"),
            self._record.path.open("w", encoding="ascii", newline="\n") as file,
        ):
            file.write(header_line(header))
            for entry in entries:
                for line in _record_lines(folder, entry):
                    file.write(line)
                    frames += 1
                    faces += len(json.loads(line)["faces"])
            file.write(end_line(EndRecord(frames=frames, faces=faces)))
        self._record.complete = True


def _record_lines(folder: Path, entry: JournalEntry) -> Iterator[str]:
    for path in _paths(folder, entry, RECORD):
        with file_errors(path), path.open(encoding="ascii") as file:
            yield from file


def _paths(folder: Path, entry: JournalEntry, kind: str) -> Iterator[Path]:
    """Yield the files of a kind: ``000003.film.json``, ``000003.film/0001.png``."""
    for file in entry.files:
        if file.name.split("/")[0].split(".")[1] == kind:
            yield folder / file.name
