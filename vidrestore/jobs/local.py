"""Runs a job in this process, one segment after the other."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from functools import partial

from vidrestore.jobs.assemble import assembled, nothing_read, record_lines
from vidrestore.jobs.plan import SegmentRule
from vidrestore.jobs.progress_reporter import ProgressReporter
from vidrestore.jobs.store.analysis_log import AnalysisLog, noted, read_notes
from vidrestore.jobs.store.job_folder import Job
from vidrestore.jobs.store.resume import FrameMismatchError, ResumePoint, resume_point
from vidrestore.jobs.store.segment_files import Damage, Segmenter, SegmentOutput
from vidrestore.pipeline.loading.model_facts import ModelFacts
from vidrestore.pipeline.record_lines import frame_line
from vidrestore.pipeline.report import RestoreReport
from vidrestore.pipeline.setup import Setup
from vidrestore.pipeline.stages import Stages
from vidrestore.prefetch import prefetched
from vidrestore.types import FinishedFrame, Frame

_READ_AHEAD_FRAMES = 4


class LocalRun:
    """Restores the remaining segments of a job in this process, decoding straight through."""

    def __init__(
        self,
        job: Job,
        prepared: Setup,
        stages: Stages,
        specs: Sequence[SegmentOutput],
        *,
        rule: SegmentRule,
        teller: ProgressReporter,
        with_record: bool,
    ) -> None:
        """Prepare a job whose folder is open.

        Args:
            job: The job, with the segments that are done.
            prepared: The source and the settings.
            stages: The networks.
            specs: The outputs.
            rule: Where segments end.
            teller: Reports the progress, frame by frame.
            with_record: Whether segments store the lines of a record.
        """
        self._job = job
        self._prepared = prepared
        self._stages = stages
        self._specs = specs
        self._rule = rule
        self._teller = teller
        self._with_record = with_record
        self._encode_seconds = 0.0
        teller.begin_after(job.entries)

    def run(self) -> None:
        """Restore and journal every segment that is not done yet.

        Raises:
            VidrestoreError: A segment cannot be restored.
        """
        entries = self._job.entries
        if not (entries and entries[-1].is_last):
            point = self._resume_point()
            exact = not (entries and entries[-1].repaired_timestamps)
            try:
                self._run_from(point, seek=exact)
            except FrameMismatchError:
                if not exact:
                    raise
                # Frames after a key frame can depend on what precedes it: decode from the start.
                self._job.journal.rewrite(entries)
                self._teller.begin_after(entries)
                self._run_from(point, seek=False)
        if not self._teller.tally.frames:
            raise nothing_read(self._prepared)

    def _resume_point(self) -> ResumePoint:
        job = self._job
        if not job.entries:
            return ResumePoint()
        step = self._stages.fields.index_step
        return resume_point(
            partial(read_notes, job.analysis_path, job.analysis_bytes),
            start=job.entries[-1].end_frame * step,
            reach=self._stages.reach_frames,
            step=step,
        )

    def _run_from(self, point: ResumePoint, *, seek: bool) -> None:
        job, entries = self._job, self._job.entries
        done = entries[-1].end_frame if entries else 0
        log = AnalysisLog(job.analysis_path, keep_bytes=job.analysis_bytes)
        writer = Segmenter(
            job,
            self._specs,
            rule=self._rule,
            log=log,
            record_line=self._record_line if self._with_record else None,
            damage=self._damage,
        )
        finished = self._finished(point, log, seek=seek)
        with closing(log), closing(finished):
            try:
                for each in finished:
                    if each.source.index < done:
                        continue
                    with self._stages.stopwatch.stage("write"):
                        writer.write(each)
                    self._teller.count(each)
                with self._stages.stopwatch.stage("write"):
                    writer.finish()
            except BaseException:
                writer.abandon()
                raise
        self._encode_seconds += writer.encode_seconds

    def _finished(
        self, point: ResumePoint, log: AnalysisLog, *, seek: bool
    ) -> Generator[FinishedFrame]:
        stages = self._stages
        decoded = stages.stopwatch.timed("decode", self._frames(point, seek=seek))
        with closing(prefetched(decoded, size=_READ_AHEAD_FRAMES)) as frames:
            tracked = point.tracked(stages.fields.split(frames), stages.analysed)
            # Closed before what it reads from: its threads may be reading.
            with closing(stages.finished(noted(tracked, log, point.last_noted))) as finished:
                yield from stages.fields.woven(finished)

    def _frames(self, point: ResumePoint, *, seek: bool) -> Iterator[Frame]:
        source = self._prepared.source
        if point.analysed == 0:
            return iter(source)
        index = point.decode_from // self._stages.fields.index_step
        return source.frames_from(index, point.timestamp(source.info.time_base), seek=seek)

    def _record_line(self, finished: FinishedFrame) -> str:
        return frame_line(finished, strength=self._prepared.settings.strength)

    def _damage(self) -> Damage:
        entries, source = self._job.entries, self._prepared.source
        before = entries[-1] if entries else None
        return Damage(
            damaged_packets=source.damaged_packets + (before.damaged_packets if before else 0),
            repaired_timestamps=source.repaired_timestamps
            + (before.repaired_timestamps if before else 0),
        )

    @property
    def facts(self) -> ModelFacts:
        """Facts about the networks, for the report."""
        return ModelFacts.of(self._stages)

    def assemble(self) -> None:
        """Put the parts of every output together.

        Raises:
            MediaError: A part cannot be read, or an output not written.
        """
        assembled(self._job, {spec.kind: spec.output for spec in self._specs})

    def record_lines(self) -> Iterator[str]:
        """Yield the lines of the record of every frame, in order.

        Raises:
            MediaError: A part cannot be read.
        """
        return record_lines(self._job)

    def report(self) -> RestoreReport:
        """Return the report of this run and of the runs that it resumed."""
        damage = self._damage()
        return self._prepared.report(
            self.facts,
            self._teller.tally,
            notes=self._specs[0].output.notes,
            encode_seconds=self._encode_seconds,
            damaged_packets=damage.damaged_packets,
            repaired_timestamps=damage.repaired_timestamps,
        )
