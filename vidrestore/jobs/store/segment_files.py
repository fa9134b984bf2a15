"""The files of a segment: finished frames are encoded into them, and their checksums taken."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from vidrestore.jobs.plan import FrameTiming, SegmentRule
from vidrestore.jobs.store.journal import JournalEntry, SegmentFile
from vidrestore.media.output.outputs import SegmentOpener
from vidrestore.media.output.segment_writer import SegmentWriter
from vidrestore.pipeline.record_lines import frame_record
from vidrestore.pipeline.report import Tally
from vidrestore.pipeline.setup import side_by_side_frame
from vidrestore.pipeline.stages import Stages
from vidrestore.record import frame_line
from vidrestore.storage.file_errors import file_errors
from vidrestore.storage.sync import flush_and_sync
from vidrestore.types import FinishedFrame

VIDEO, COMPARISON, RECORD = "film", "compare", "record"
"""Kinds of segment files, as in their names."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentContent:
    """The files that every segment of a job consists of; can be sent to another process."""

    openers: Mapping[str, SegmentOpener]
    """Opens the writer of the frames, by kind."""
    with_record: bool
    """Whether the lines of a record are stored, too."""


class OpenSegment:
    """A segment that is being written; if the block raises, its files are of no use."""

    first: FrameTiming
    """Its first frame; set with the first ``write``, as is ``last``."""
    last: FrameTiming

    def __init__(
        self,
        number: int,
        content: SegmentContent,
        stages: Stages,
        folder: Path,
        *,
        suffix: str = "",
    ) -> None:
        """Open the files of a segment.

        Args:
            number: Number of the segment, from 0.
            content: The files to write.
            stages: The stages that restore its frames.
            folder: Folder of the job.
            suffix: Added to the number in the names of its files.

        Raises:
            MediaError: A file cannot be written.
        """
        self.tally = Tally()
        self._number = number
        self._stages = stages
        self._folder = folder
        stem = f"{number:06d}{suffix}"
        self._record = folder / f"{stem}.{RECORD}" if content.with_record else None
        self._lines: list[str] = []
        self._writers: dict[str, SegmentWriter] = {}
        try:
            for kind, open_segment in content.openers.items():
                self._writers[kind] = open_segment(folder / f"{stem}.{kind}")
        except BaseException:
            self._abort()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        if error is not None:
            self._abort()

    def continues_with(self, finished: FinishedFrame, rule: SegmentRule) -> bool:
        """Return whether the next frame belongs to this segment."""
        if not self.tally.frames:
            return True
        return not rule.starts_segment(self.first, self.last, FrameTiming.of(finished))

    def write(self, finished: FinishedFrame) -> None:
        """Take the next frame.

        Raises:
            MediaError: Encoding or writing this frame or an earlier one failed.
        """
        with self._stages.stopwatch.stage("write"):
            for kind, writer in self._writers.items():
                is_comparison = kind == COMPARISON
                writer.write(
                    side_by_side_frame(finished, self._stages) if is_comparison else finished.frame
                )
            if self._record is not None:
                self._lines.append(frame_line(frame_record(finished, self._stages.settings)))
        self.last = FrameTiming.of(finished)
        if not self.tally.frames:
            self.first = self.last
        self.tally.add(finished)

    def finish(self, *, is_last: bool) -> JournalEntry:
        """End the segment; return its entry for the journal: its files are on the disk.

        Args:
            is_last: Whether the film ends with it.

        Raises:
            MediaError: Encoding or writing failed.
        """
        with self._stages.stopwatch.stage("write"):
            paths = [path for writer in self._writers.values() for path in writer.finish()]
            if self._record is not None:
                with file_errors(self._record, "write"), self._record.open("wb") as file:
                    file.write("".join(self._lines).encode())
                    flush_and_sync(file)
                paths.append(self._record)
            files = tuple(SegmentFile.of(path, self._folder) for path in paths)
        return JournalEntry(
            segment=self._number,
            first_frame=self.first.index,
            end_frame=self.first.index + self.tally.frames,
            is_last=is_last,
            files=files,
            tally=self.tally.to_json(),
        )

    @property
    def notes(self) -> list[str]:
        """Notes for the user about its files."""
        return [note for writer in self._writers.values() for note in writer.notes]

    @property
    def encode_seconds(self) -> float:
        """Time spent on encoding its frames so far."""
        return sum(writer.encode_seconds for writer in self._writers.values())

    def _abort(self) -> None:
        for writer in self._writers.values():
            writer.abort()
