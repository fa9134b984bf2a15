"""Runs a job on many workers: one finds the faces, the others restore segments behind it."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue

from vidrestore.errors import MediaError
from vidrestore.jobs.assemble import assembled, nothing_read, record_lines
from vidrestore.jobs.distributed.foreman import Foreman, Work
from vidrestore.jobs.distributed.orders import (
    AnalysisBatch,
    AnalysisOrder,
    Answer,
    Facts,
    Failure,
    SegmentDone,
    SegmentProgress,
    SegmentSpec,
    VideoSpec,
)
from vidrestore.jobs.plan import SegmentRule
from vidrestore.jobs.planner import PlannedSegment, Planner
from vidrestore.jobs.progress_reporter import ProgressReporter
from vidrestore.jobs.store.analysis_log import AnalysisLog, FrameAnalysis
from vidrestore.jobs.store.job_folder import Job
from vidrestore.jobs.store.journal import JournalEntry
from vidrestore.jobs.store.pending_segments import AnalysisState, PendingSegments, write_mark
from vidrestore.jobs.store.segment_files import Damage
from vidrestore.media.output.open_output import Output
from vidrestore.pipeline.loading.model_facts import ModelFacts
from vidrestore.pipeline.report import RestoreReport
from vidrestore.pipeline.setup import Setup
from vidrestore.storage.file_errors import file_errors

_ANALYSIS = -1
"""Priority of the analysis; that of a segment is its number."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpreadFilm:
    """A film whose tasks run on workers."""

    foreman: Foreman
    order: VideoSpec
    facts: Facts
    number: int
    """Number of the film; earlier films have priority."""
    run_name: str
    """Part of its file names; distinguishes them from files of an earlier run that may not have
    ended yet."""


class SpreadRun:
    """Restores the remaining segments of a job on workers; plans, journals and assembles here."""

    def __init__(
        self,
        job: Job,
        prepared: Setup,
        film: SpreadFilm,
        outputs: Mapping[str, Output],
        *,
        rule: SegmentRule,
        teller: ProgressReporter,
        with_record: bool,
    ) -> None:
        """Prepare a job whose folder is open.

        Args:
            job: The job, with the segments that are done, also those out of order.
            prepared: The source and the settings; its networks are not loaded here.
            film: The film and its workers.
            outputs: The outputs by kind of part.
            rule: Where segments end.
            teller: Reports the progress of all workers.
            with_record: Whether segments store the lines of a record.
        """
        self.facts: ModelFacts = film.facts.networks
        self._job = job
        self._prepared = prepared
        self._film = film
        self._outputs = outputs
        self._teller = teller
        self._with_record = with_record
        self._planner = Planner(
            rule,
            reach=film.facts.reach_frames,
            step=film.facts.index_step,
            time_base=prepared.source.info.time_base,
        )
        self._finished = PendingSegments(job.folder, job.journal, job.entries, job.ahead)
        self._mark = job.mark
        self._noted = (0, -1)
        """Size of the log on the disk in bytes, and number of the last frame in it."""
        self._base = Damage(damaged_packets=0, repaired_timestamps=0)
        self._told: SimpleQueue[tuple[Work, Answer]] = SimpleQueue()
        self._works: dict[int, Work] = {}
        self._planned: dict[int, PlannedSegment] = {}
        """Segments that are not done, by number."""
        self._underway: dict[int, SegmentProgress] = {}
        self._notes: dict[str, None] = {}
        self._seconds: dict[str, float] = {}

    def run(self) -> None:
        """Restore and journal every segment that is not done yet.

        Raises:
            VidrestoreError: A segment cannot be restored.
        """
        log = AnalysisLog(self._job.analysis_path, keep_bytes=self._mark.size_bytes)
        with closing(log):
            try:
                self._plan_again(log)
                self._tell()
                if not self._mark.is_whole:
                    self._give_analysis()
                while self._works:
                    work, answer = self._told.get()
                    self._take(work, answer, log)
                    self._tell()
            finally:
                self._film.foreman.cancel(self._works)
        if not self._planner.frames:
            raise nothing_read(self._prepared)
        for entry in self._finished.in_order():
            self._teller.tally.merge(entry.tally)

    def _plan_again(self, log: AnalysisLog) -> None:
        """Plan the segments of the frames in the log."""
        for line in self._lines(0, self._mark.size_bytes):
            self._plan(line, log)
        if self._mark.is_whole:
            self._plan_end(log)
        self._noted = (self._mark.size_bytes, self._planner.last_noted)

    def _plan(self, line: str, log: AnalysisLog) -> None:
        try:
            notes = FrameAnalysis.from_line(line)
        except ValueError as error:
            path = self._job.analysis_path
            raise MediaError(f"{path}: is damaged; start over with --overwrite") from error
        for planned in self._planner.add(notes, len(line)):
            self._give_segment(planned, log)

    def _plan_end(self, log: AnalysisLog) -> None:
        for planned in self._planner.finish():
            self._give_segment(planned, log)

    def _give_analysis(self) -> None:
        name = self._prepared.source.info.path
        self._give(
            _ANALYSIS,
            Work(
                what=f"finding the faces of {name}",
                priority=(self._film.number, _ANALYSIS),
                order=self._analysis_order,
                told=self._told,
            ),
        )

    def _analysis_order(self, attempt: int) -> AnalysisOrder:
        del attempt
        size, last = self._noted
        mark = self._mark
        self._base = Damage(
            damaged_packets=mark.damaged_packets, repaired_timestamps=mark.repaired_timestamps
        )
        return AnalysisOrder(
            film=self._film.order,
            log=self._job.analysis_path.absolute(),
            log_bytes=size,
            last_noted=last,
        )

    def _give_segment(self, planned: PlannedSegment, log: AnalysisLog) -> None:
        done = self._finished.get(planned.number)
        if done is not None:
            if (done.first_frame, done.end_frame) != (planned.first_frame, planned.end_frame):
                folder = self._job.folder
                raise MediaError(
                    f"{folder}: holds segments of another plan; start over with --overwrite"
                )
            return
        self._planned[planned.number] = planned
        seek = not self._mark.repaired_timestamps

        def order(attempt: int) -> SegmentSpec:
            return SegmentSpec(
                film=self._film.order,
                parts={kind: output.segment_factory for kind, output in self._outputs.items()},
                with_record=self._with_record,
                segment=planned.number,
                stem=f"{planned.number:06d}-{self._film.run_name}-{attempt}",
                first_frame=planned.first_frame,
                end_frame=planned.end_frame,
                lines=tuple(self._lines(planned.begin_byte, planned.end_byte)),
                seek=seek,
            )

        name = self._prepared.source.info.path
        self._give(
            planned.number,
            Work(
                what=f"frames {planned.first_frame} to {planned.end_frame - 1} of {name}",
                priority=(self._film.number, planned.number),
                order=order,
                told=self._told,
            ),
        )

    def _give(self, number: int, work: Work) -> None:
        self._works[number] = work
        self._film.foreman.give(work)

    def _take(self, work: Work, answer: Answer, log: AnalysisLog) -> None:
        number = work.priority[1]
        match answer:
            case Failure():
                raise answer.error
            case AnalysisBatch():
                self._note(answer, log)
            case SegmentProgress():
                self._underway[number] = answer
            case SegmentDone():
                self._keep(number, answer, log)
            case _:
                raise TypeError(f"unexpected answer: {answer}")
        if not isinstance(answer, SegmentProgress) and not (
            isinstance(answer, AnalysisBatch) and not answer.is_last
        ):
            self._underway.pop(number, None)
            del self._works[number]

    def _note(self, found: AnalysisBatch, log: AnalysisLog) -> None:
        """Log the findings, and plan the segments that they complete."""
        lines = [line for line in found.lines if _number_of(line) > self._planner.last_noted]
        for line in lines:
            log.append_line(line)
        log.sync()
        damaged = self._base.damaged_packets + found.damage.damaged_packets
        repaired = self._base.repaired_timestamps + found.damage.repaired_timestamps
        self._mark = AnalysisState(
            size_bytes=log.size_bytes,
            crc32=log.crc32,
            damaged_packets=damaged,
            repaired_timestamps=repaired,
            is_whole=found.is_last,
        )
        write_mark(self._job.folder, self._mark)
        for line in lines:
            self._plan(line, log)
        self._noted = (log.size_bytes, self._planner.last_noted)
        if found.is_last:
            self._plan_end(log)

    def _keep(self, number: int, done: SegmentDone, log: AnalysisLog) -> None:
        planned = self._planned.pop(number)
        self._finished.add(
            JournalEntry(
                segment=number,
                first_frame=planned.first_frame,
                end_frame=planned.end_frame,
                is_last=planned.is_last,
                files=done.files,
                analysis_bytes=self._mark.size_bytes,
                analysis_crc32=self._mark.crc32,
                tally=done.tally,
                damaged_packets=self._mark.damaged_packets,
                repaired_timestamps=self._mark.repaired_timestamps,
                encode_seconds=done.encode_seconds,
            )
        )
        self.facts = self.facts.joined(done.networks)
        self._notes |= dict.fromkeys(done.notes)
        for name, seconds in {**done.seconds, "encode": done.encode_seconds}.items():
            self._seconds[name] = self._seconds.get(name, 0.0) + seconds

    def _lines(self, begin_byte: int, end_byte: int) -> Iterator[str]:
        """Yield the lines of a range of bytes of the log."""
        path = self._job.analysis_path
        with file_errors(path), path.open("rb") as file:
            file.seek(begin_byte)
            while begin_byte < end_byte:
                line = file.readline()
                begin_byte += len(line)
                yield line.decode("ascii")

    def _tell(self) -> None:
        underway = self._underway.values()
        self._teller.tell_of_workers(
            frames=self._finished.frames + sum(each.frames for each in underway),
            faces=self._finished.faces + sum(each.faces for each in underway),
            searched=self._planner.frames,
            workers=self._film.foreman.at_work,
        )

    def assemble(self) -> None:
        """Put the parts of every output together.

        Raises:
            MediaError: A part cannot be read, or an output not written.
        """
        assembled(self._job, self._outputs)

    def record_lines(self) -> Iterator[str]:
        """Yield the lines of the record of every frame, in order.

        Raises:
            MediaError: A part cannot be read.
        """
        return record_lines(self._job)

    def report(self) -> RestoreReport:
        """Return the report of this run and of the runs that it resumed."""
        report = self._prepared.report(
            self.facts,
            self._teller.tally,
            notes=dict.fromkeys([*self._outputs["film"].notes, *self._new_notes()]),
            encode_seconds=0.0,
            damaged_packets=self._mark.damaged_packets,
            repaired_timestamps=self._mark.repaired_timestamps,
        )
        # The sum over all workers, which is more than the elapsed time.
        return replace(report, timing={**report.timing, **self._seconds})

    def _new_notes(self) -> list[str]:
        return [note for note in self._notes if note not in self._prepared.notes]


def _number_of(line: str) -> int:
    return FrameAnalysis.from_line(line).index


def film_order(prepared: Setup, folder: Path) -> VideoSpec:
    """Return the description of a film for workers, with absolute paths."""
    settings = prepared.settings
    model, background = Path(settings.model).expanduser(), settings.background
    return VideoSpec(
        source=prepared.source.info.path.absolute(),
        settings=replace(
            settings,
            model=str(model.absolute()) if model.is_file() else settings.model,
            background=background.absolute() if isinstance(background, Path) else background,
        ),
        folder=folder.absolute(),
    )
