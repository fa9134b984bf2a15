"""The record of a run, assembled from the lines of its segments."""

import json
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vidrestore.pipeline.loading.model_facts import ModelFacts
from vidrestore.pipeline.record_lines import checkpoint_sha256, end_line, header_line, record_header
from vidrestore.pipeline.setup import Setup
from vidrestore.settings import RestoreSettings
from vidrestore.storage.atomic_output import TempOutput, atomic_file, check_target
from vidrestore.storage.file_errors import file_errors


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordOutput:
    """A record under its temporary name."""

    pending: TempOutput
    target: Path
    output: Path

    def write(self, prepared: Setup, facts: ModelFacts, lines: Iterable[str]) -> None:
        """Write the whole record.

        Args:
            prepared: Source and settings of the run.
            facts: Facts about its networks.
            lines: Lines of all frames, in order.

        Raises:
            MediaError: The disk is full or cannot be written.
        """
        header = record_header(
            prepared.settings,
            prepared.source.info,
            self.output,
            checkpoint_sha256=checkpoint_sha256(prepared.settings.model),
            detail=facts.detail,
            scale=facts.scale,
        )
        frames = faces = 0
        with (
            file_errors(self.target, "write"),
            self.pending.path.open("w", encoding="ascii", newline="\n") as file,
        ):
            file.write(header_line(header))
            for line in lines:
                file.write(line)
                frames += 1
                faces += len(json.loads(line)["faces"])
            file.write(end_line(frames, faces))
        self.pending.complete = True


@contextmanager
def open_record(
    settings: RestoreSettings, source_path: Path, output: Path
) -> Generator[RecordOutput | None]:
    """Open the record of a run, which appears when the block ends; None if none is requested.

    Raises:
        MediaError: The record cannot be written there.
    """
    target = settings.record
    if target is None:
        yield None
        return
    check_target(target, source_path=source_path, overwrite=settings.overwrite)
    with atomic_file(target, overwrite=settings.overwrite) as pending:
        yield RecordOutput(pending=pending, target=target, output=output)
