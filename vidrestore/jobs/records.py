"""The record of a run, assembled from the lines of its segments."""

import json
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vidrestore.media.publish import Pending, check_target, pending_file
from vidrestore.media.translate import media_errors
from vidrestore.pipeline.facts import NetworkFacts
from vidrestore.pipeline.prepared import Preparation
from vidrestore.pipeline.record import checkpoint_sha256, end_line, header_line, record_header
from vidrestore.pipeline.settings import RestoreSettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenRecord:
    """A record under its temporary name."""

    pending: Pending
    target: Path
    output: Path

    def write(self, prepared: Preparation, facts: NetworkFacts, lines: Iterable[str]) -> None:
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
            media_errors(self.target, "write"),
            self.pending.path.open("w", encoding="ascii", newline="\n") as file,
        ):
            file.write(header_line(header))
            for line in lines:
                file.write(line)
                frames += 1
                faces += len(json.loads(line)["faces"])
            file.write(end_line(frames, faces))
        self.pending.whole = True


@contextmanager
def open_record(
    settings: RestoreSettings, source_path: Path, output: Path
) -> Generator[OpenRecord | None]:
    """Open the record of a run, which appears when the block ends; None if none is requested.

    Raises:
        MediaError: The record cannot be written there.
    """
    target = settings.record
    if target is None:
        yield None
        return
    check_target(target, source_path=source_path, overwrite=settings.overwrite)
    with pending_file(target, overwrite=settings.overwrite) as pending:
        yield OpenRecord(pending=pending, target=target, output=output)
