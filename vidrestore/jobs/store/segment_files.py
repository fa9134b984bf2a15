"""Writes finished frames in segments: encodes, checksums and journals one after the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidrestore.jobs.plan import Moment, SegmentRule
from vidrestore.jobs.store.analysis_log import AnalysisLog
from vidrestore.jobs.store.job_folder import Job
from vidrestore.jobs.store.journal import JournalEntry, SegmentFile
from vidrestore.media.output.open_output import Output
from vidrestore.media.output.segment_writer import SegmentWriter
from vidrestore.pipeline.report import Tally
from vidrestore.storage.file_errors import file_errors
from vidrestore.storage.sync import flush_and_sync
from vidrestore.types import FinishedFrame, Frame

RECORD = "record"
"""Kind of the parts that hold the lines of a record."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentOutput:
    """One of the outputs; every segment has a part of it."""

    kind: str
    """Kind of its parts, in their file names."""
    output: Output
    picture: Callable[[FinishedFrame], Frame]
    """Picks its frame from a finished frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Damage found in the source so far."""

    damaged_packets: int
    repaired_timestamps: int


class Segmenter:
    """Takes finished frames in order and cuts them into segments."""

    def __init__(
        self,
        job: Job,
        specs: Sequence[SegmentOutput],
        *,
        rule: SegmentRule,
        log: AnalysisLog,
        record_line: Callable[[FinishedFrame], str] | None,
        damage: Callable[[], Damage],
    ) -> None:
        """Continue after the finished segments of the job.

        Args:
            job: Holds the parts and the journal.
            specs: The outputs.
            rule: Where segments end.
            log: Log of the analysis, synced to the disk before a segment is journaled.
            record_line: Returns the record's line of a frame; None if no record is written.
            damage: Returns the damage found in the source so far.
        """
        self.encode_seconds = 0.0
        self._job = job
        self._specs = specs
        self._rule = rule
        self._log = log
        self._record_line = record_line
        self._damage = damage
        self._number = len(job.entries)
        self._next_frame = job.entries[-1].end_frame if job.entries else 0
        self._open: OpenSegment | None = None

    def write(self, finished: FinishedFrame) -> None:
        """Write the next frame.

        Raises:
            MediaError: Encoding or writing this frame or an earlier one failed.
        """
        now = Moment.of(finished)
        if self._open is not None and self._rule.begins(self._open.first, self._open.last, now):
            self._close(is_last=False)
        if self._open is None:
            self._open = self._begun(now)
        self._open.write(finished, now)

    def finish(self) -> None:
        """End the last segment, if it has a frame."""
        if self._open is not None:
            self._close(is_last=True)

    def abandon(self) -> None:
        """Stop at once and drop the unfinished segment."""
        if self._open is not None:
            self._open.abandon()

    def _begun(self, first: Moment) -> "OpenSegment":
        sinks: list[SegmentWriter] = []
        try:
            for spec in self._specs:
                sinks.append(spec.output.open_segment(self._job.part(self._number, spec.kind)))
            record = None if self._record_line is None else self._job.part(self._number, RECORD)
            pictures = [spec.picture for spec in self._specs]
            return OpenSegment(first, pictures, sinks, record, self._record_line)
        except BaseException:
            for sink in sinks:
                sink.abort()
            raise

    def _close(self, *, is_last: bool) -> None:
        segment = self._open
        if segment is None:
            return
        files = segment.finished()
        self.encode_seconds += segment.encode_seconds
        log = self._log.sync()
        damage = self._damage()
        end = self._next_frame + segment.tally.frames
        self._job.journal.append(
            JournalEntry(
                segment=self._number,
                first_frame=self._next_frame,
                end_frame=end,
                is_last=is_last,
                files=tuple(SegmentFile.of(path, self._job.folder) for path in files),
                analysis_bytes=log.size_bytes,
                analysis_crc32=log.crc32,
                tally=segment.tally.to_json(),
                damaged_packets=damage.damaged_packets,
                repaired_timestamps=damage.repaired_timestamps,
            )
        )
        self._open = None
        self._number += 1
        self._next_frame = end


class OpenSegment:
    """A segment that is being written."""

    def __init__(
        self,
        first: Moment,
        pictures: Sequence[Callable[[FinishedFrame], Frame]],
        sinks: Sequence[SegmentWriter],
        record: Path | None,
        record_line: Callable[[FinishedFrame], str] | None,
    ) -> None:
        """Begin a segment.

        Args:
            first: Of its frames.
            pictures: What of a finished frame goes into each part.
            sinks: The parts.
            record: Where the lines of a record go.
            record_line: Gives the line of a frame; None where no record is wanted.
        """
        self.first = self.last = first
        self.tally = Tally()
        self._outputs = tuple(zip(pictures, sinks, strict=True))
        self._record = record
        self._record_line = record_line
        self._lines: list[str] = []

    def write(self, finished: FinishedFrame, now: Moment) -> None:
        """Take the next frame, and its moment."""
        for picture, sink in self._outputs:
            sink.write(picture(finished))
        if self._record_line is not None:
            self._lines.append(self._record_line(finished))
        self.tally.add(finished)
        self.last = now

    def finished(self) -> tuple[Path, ...]:
        """End it; return all files of it, whole and on the disk."""
        files = [path for _, sink in self._outputs for path in sink.finish()]
        if self._record is not None:
            with file_errors(self._record, "write"), self._record.open("wb") as file:
                file.write("".join(self._lines).encode())
                flush_and_sync(file)
            files.append(self._record)
        return tuple(files)

    @property
    def notes(self) -> list[str]:
        """What a user should know of its parts."""
        return [note for _, sink in self._outputs for note in sink.notes]

    @property
    def encode_seconds(self) -> float:
        """How long its frames were encoded so far."""
        return sum(sink.encode_seconds for _, sink in self._outputs)

    def abandon(self) -> None:
        """Stop at once; what is written is of no use."""
        for _, sink in self._outputs:
            sink.abort()
