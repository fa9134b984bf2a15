"""Writes finished frames in segments: encodes, checksums and journals one after the other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vidrestore.jobs.plan import FrameTiming, SegmentRule
from vidrestore.jobs.store.analysis_log import AnalysisLog
from vidrestore.jobs.store.job_folder import Job
from vidrestore.jobs.store.journal import JournalEntry, SegmentFile
from vidrestore.media.output.outputs import SegmentWriterFactory
from vidrestore.media.output.segment_writer import SegmentWriter
from vidrestore.pipeline.record_lines import frame_line
from vidrestore.pipeline.report import Tally
from vidrestore.pipeline.setup import side_by_side_frame
from vidrestore.pipeline.stages import Stages
from vidrestore.storage.file_errors import file_errors
from vidrestore.storage.sync import flush_and_sync
from vidrestore.types import FinishedFrame, Frame

VIDEO, COMPARISON, RECORD = "film", "compare", "record"
"""Kinds of segment files, as in their names."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentContent:
    """The files that every segment of a job consists of; can be sent to another process."""

    factories: Mapping[str, SegmentWriterFactory]
    """Opens the writer of the frames, by kind."""
    with_record: bool
    """Whether the lines of a record are stored, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDamage:
    """Damage found in the source so far."""

    damaged_packets: int
    repaired_timestamps: int


class OpenSegment:
    """A segment that is being written."""

    def __init__(
        self, first: FrameTiming, content: SegmentContent, stages: Stages, folder: Path, stem: str
    ) -> None:
        """Open the files of a segment.

        Args:
            first: Its first frame.
            content: The files to write.
            stages: The stages that restore its frames.
            folder: Folder of the job.
            stem: Start of the names of its files.

        Raises:
            MediaError: A file cannot be written.
        """
        self.first = self.last = first
        self.tally = Tally()
        self._stages = stages
        self._folder = folder
        self._record = folder / f"{stem}.{RECORD}" if content.with_record else None
        self._lines: list[str] = []
        self._writers: dict[str, SegmentWriter] = {}
        try:
            for kind, factory in content.factories.items():
                self._writers[kind] = factory.open_segment(folder / f"{stem}.{kind}")
        except BaseException:
            self.abort()
            raise

    def write(self, finished: FinishedFrame, timing: FrameTiming) -> None:
        """Take the next frame, and its timing."""
        for kind, writer in self._writers.items():
            writer.write(self._frame(kind, finished))
        if self._record is not None:
            self._lines.append(frame_line(finished, self._stages.settings))
        self.tally.add(finished)
        self.last = timing

    def _frame(self, kind: str, finished: FinishedFrame) -> Frame:
        return side_by_side_frame(finished, self._stages) if kind == COMPARISON else finished.frame

    def finish(self) -> tuple[SegmentFile, ...]:
        """End the segment; return its files, complete and on the disk."""
        paths = [path for writer in self._writers.values() for path in writer.finish()]
        if self._record is not None:
            with file_errors(self._record, "write"), self._record.open("wb") as file:
                file.write("".join(self._lines).encode())
                flush_and_sync(file)
            paths.append(self._record)
        return tuple(SegmentFile.of(path, self._folder) for path in paths)

    @property
    def notes(self) -> list[str]:
        """Notes for the user about its files."""
        return [note for writer in self._writers.values() for note in writer.notes]

    @property
    def encode_seconds(self) -> float:
        """Time spent on encoding its frames so far."""
        return sum(writer.encode_seconds for writer in self._writers.values())

    def abort(self) -> None:
        """Stop at once; its files are of no use."""
        for writer in self._writers.values():
            writer.abort()


class Segmenter:
    """Takes finished frames in order and divides them into segments."""

    def __init__(
        self,
        job: Job,
        content: SegmentContent,
        stages: Stages,
        *,
        rule: SegmentRule,
        log: AnalysisLog,
        damage: Callable[[], SourceDamage],
    ) -> None:
        """Continue after the finished segments of the job.

        Args:
            job: Holds the segment files and the journal.
            content: The files that every segment consists of.
            stages: The stages that restore the frames.
            rule: Where segments end.
            log: The analysis log, synced to the disk before a segment is journaled.
            damage: Returns the damage found in the source so far.
        """
        self.encode_seconds = 0.0
        self.notes: dict[str, None] = {}
        """Notes for the user about the files, each once."""
        self._job = job
        self._content = content
        self._stages = stages
        self._rule = rule
        self._log = log
        self._damage = damage
        self._number = len(job.entries)
        self._next_frame = job.entries[-1].end_frame if job.entries else 0
        self._open: OpenSegment | None = None

    def write(self, finished: FinishedFrame) -> None:
        """Write the next frame.

        Raises:
            MediaError: Encoding or writing this frame or an earlier one failed.
        """
        timing = FrameTiming.of(finished)
        segment = self._open
        if segment is not None and self._rule.starts_segment(segment.first, segment.last, timing):
            self._close(segment, is_last=False)
        if self._open is None:
            self._open = OpenSegment(
                timing, self._content, self._stages, self._job.folder, f"{self._number:06d}"
            )
        self._open.write(finished, timing)

    def finish(self) -> None:
        """End the last segment, if it has a frame."""
        if self._open is not None:
            self._close(self._open, is_last=True)

    def abort(self) -> None:
        """Stop at once and drop the unfinished segment."""
        if self._open is not None:
            self._open.abort()

    def _close(self, segment: OpenSegment, *, is_last: bool) -> None:
        files = segment.finish()
        self.encode_seconds += segment.encode_seconds
        self.notes |= dict.fromkeys(segment.notes)
        log = self._log.sync()
        damage = self._damage()
        end_frame = self._next_frame + segment.tally.frames
        self._job.journal.append(
            JournalEntry(
                segment=self._number,
                first_frame=self._next_frame,
                end_frame=end_frame,
                is_last=is_last,
                files=files,
                analysis_bytes=log.size_bytes,
                analysis_crc32=log.crc32,
                tally=segment.tally.to_json(),
                damaged_packets=damage.damaged_packets,
                repaired_timestamps=damage.repaired_timestamps,
            )
        )
        self._open = None
        self._number += 1
        self._next_frame = end_frame
