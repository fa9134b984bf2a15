"""The tasks of a worker, in steps: finding faces, and restoring a segment."""

import shutil
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

from vidrestore.errors import MediaError
from vidrestore.jobs.distributed.orders import (
    AnalysisBatch,
    AnalysisOrder,
    SegmentDone,
    SegmentProgress,
    SegmentSpec,
)
from vidrestore.jobs.distributed.workbench import OpenFilm
from vidrestore.jobs.plan import Moment
from vidrestore.jobs.store.analysis_log import FrameAnalysis, read_notes
from vidrestore.jobs.store.journal import SegmentFile
from vidrestore.jobs.store.resume import FrameMismatchError, ResumePoint, resume_point
from vidrestore.jobs.store.segment_files import RECORD, Damage, OpenSegment
from vidrestore.media import Source
from vidrestore.media.output.segment_writer import SegmentWriter
from vidrestore.pipeline.record_lines import frame_line
from vidrestore.pipeline.setup import compared
from vidrestore.prefetch import prefetched
from vidrestore.types import FinishedFrame, Frame, Timestamp, TrackedFrame

_READ_AHEAD_FRAMES = 4


def analysis_steps(
    film: OpenFilm, order: AnalysisOrder, step_seconds: float
) -> Generator[AnalysisBatch]:
    """Yield the findings in the frames after those in the log, in order.

    Args:
        film: The film.
        order: Where to start.
        step_seconds: Time to work before each answer.

    Raises:
        VidrestoreError: The film cannot be read.
    """
    lines: list[str] = []
    due = time.monotonic() + step_seconds
    with closing(_found(film, order)) as found:
        for notes in found:
            lines.append(notes.to_line())
            if time.monotonic() >= due:
                yield AnalysisBatch(lines=tuple(lines), damage=_damage(film.source), is_last=False)
                lines.clear()
                due = time.monotonic() + step_seconds
    yield AnalysisBatch(lines=tuple(lines), damage=_damage(film.source), is_last=True)


def _damage(source: Source) -> Damage:
    return Damage(
        damaged_packets=source.damaged_packets,
        repaired_timestamps=source.repaired_timestamps,
    )


def _found(film: OpenFilm, order: AnalysisOrder) -> Generator[FrameAnalysis]:
    step = film.stages.fields.index_step
    if not order.log_bytes:
        yield from _found_from(film, ResumePoint(), seek=False)
        return
    point = resume_point(
        partial(read_notes, order.log, order.log_bytes),
        start=order.last_noted + 1,
        reach=film.stages.reach_frames,
        step=step,
    )
    try:
        yield from _found_from(film, point, seek=True)
    except FrameMismatchError:
        # Nothing new was yielded yet: the known frames are compared first.
        yield from _found_from(film, point, seek=False)


def _found_from(film: OpenFilm, point: ResumePoint, *, seek: bool) -> Generator[FrameAnalysis]:
    stages = film.stages
    at = point.decode_from // stages.fields.index_step
    frames = _frames_from(film, at, point.decode_ticks, seek=seek)
    with closing(prefetched(frames, size=_READ_AHEAD_FRAMES)) as read:
        for each in point.tracked(stages.fields.split(read), stages.analysed):
            if each.frame.index > point.last_noted:
                yield FrameAnalysis.of(each)


def _frames_from(film: OpenFilm, index: int, ticks: int, *, seek: bool) -> Iterator[Frame]:
    """Yield the frames of a film from frame ``index`` on.

    Raises:
        FrameMismatchError: Seeking did not find the frame.
    """
    source = film.source
    if index == 0:
        yield from film.stages.stopwatch.timed("decode", source)
        return
    frames = source.frames_from(index, Timestamp(ticks, source.info.time_base), seek=seek)
    try:
        first = next(frames)
    except MediaError as error:
        if not seek:
            raise
        raise FrameMismatchError(str(error)) from error
    yield from film.stages.stopwatch.timed("decode", chain([first], frames))


def segment_steps(
    film: OpenFilm, order: SegmentSpec, step_seconds: float
) -> Generator[SegmentProgress | SegmentDone]:
    """Restore a segment; yield its progress, and its result at the end.

    Args:
        film: The film.
        order: The segment.
        step_seconds: Time to work before each answer.

    Raises:
        VidrestoreError: It cannot be restored.
    """
    try:
        yield from _restored(film, order, step_seconds, seek=order.seek)
    except FrameMismatchError:
        if not order.seek:
            raise
        # Frames after a key frame can depend on what precedes it: decode from the start.
        yield from _restored(film, order, step_seconds, seek=False)


def _restored(
    film: OpenFilm, order: SegmentSpec, step_seconds: float, *, seek: bool
) -> Generator[SegmentProgress | SegmentDone]:
    before = film.stages.stopwatch.seconds
    segment: OpenSegment | None = None
    due = time.monotonic() + step_seconds
    try:
        interlaced = 0
        with closing(_finished(film, order, seek=seek)) as finished:
            for each in finished:
                interlaced += each.source.interlaced
                now = Moment.of(each)
                if segment is None:
                    segment = _begun(film, order, now)
                with film.stages.stopwatch.stage("write"):
                    segment.write(each, now)
                if time.monotonic() >= due:
                    yield SegmentProgress(frames=segment.tally.frames, faces=segment.tally.faces)
                    due = time.monotonic() + step_seconds
        if segment is None or segment.tally.frames != order.end_frame - order.first_frame:
            raise MediaError(
                f"{order.film.source}: frames {order.first_frame} to {order.end_frame - 1} can no "
                "longer be read; if the film was changed, start over with --overwrite"
            )
        yield _done(film, order, segment, before, interlaced)
    except BaseException:
        if segment is not None:
            segment.abandon()
        raise


def _finished(film: OpenFilm, order: SegmentSpec, *, seek: bool) -> Generator[FinishedFrame]:
    """Yield the restored frames of a segment."""
    stages = film.stages
    notes = [FrameAnalysis.from_line(line) for line in order.lines]
    first, step = notes[0], stages.fields.index_step
    frames = _frames_from(film, first.index // step, first.ticks, seek=seek)
    with closing(prefetched(frames, size=_READ_AHEAD_FRAMES)) as read:
        known = _known(stages.fields.split(read), notes)
        # Closed before what it reads from: its threads may be reading.
        with closing(stages.finished(known)) as finished:
            for each in stages.fields.woven(finished):
                if each.source.index >= order.end_frame:
                    return
                if each.source.index >= order.first_frame:
                    yield each


def _known(frames: Iterable[Frame], notes: Sequence[FrameAnalysis]) -> Iterator[TrackedFrame]:
    """Yield the frames that are in the notes, with the faces noted.

    Raises:
        FrameMismatchError: A frame has other samples than when it was analysed.
    """
    expected = iter(notes)
    last = notes[-1].index
    for frame in frames:
        told = next(expected)
        if not told.describes(frame):
            raise FrameMismatchError(
                f"frame {frame.index} has other samples than when it was analysed; if the film was "
                "changed, start over with --overwrite"
            )
        yield told.tracked(frame)
        if frame.index >= last:
            return


def _begun(film: OpenFilm, order: SegmentSpec, first: Moment) -> OpenSegment:
    folder = order.film.folder
    sinks: list[SegmentWriter] = []
    try:
        for kind, maker in order.parts.items():
            path = folder / f"{order.stem}.{kind}"
            _remove(path)
            sinks.append(maker.open_segment(path))
        pictures = _pictures(film)
        return OpenSegment(
            first,
            [pictures[kind] for kind in order.parts],
            sinks,
            folder / f"{order.stem}.{RECORD}" if order.with_record else None,
            partial(frame_line, strength=film.order.settings.strength)
            if order.with_record
            else None,
        )
    except BaseException:
        for sink in sinks:
            sink.abort()
        raise


def _pictures(film: OpenFilm) -> Mapping[str, Callable[[FinishedFrame], Frame]]:
    """Return, for each kind of output, the function that picks its frame."""
    return {
        "film": lambda finished: finished.frame,
        "compare": lambda finished: compared(finished, film.stages),
    }


def _remove(path: Path) -> None:
    """Remove the file or folder of a failed attempt in this process."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _done(
    film: OpenFilm,
    order: SegmentSpec,
    segment: OpenSegment,
    before: Mapping[str, float],
    interlaced: int,
) -> SegmentDone:
    files = segment.finished()
    networks = film.facts()
    if networks.background is not None:
        # Frames outside the segment were enlarged, too, but do not count.
        background = replace(networks.background, interlaced_count=interlaced)
        networks = replace(networks, background=background)
    after = film.stages.stopwatch.seconds
    return SegmentDone(
        files=tuple(SegmentFile.of(path, order.film.folder) for path in files),
        tally=segment.tally.to_json(),
        networks=networks,
        notes=tuple(dict.fromkeys([*film.prepared.notes, *segment.notes])),
        seconds={name: spent - before.get(name, 0.0) for name, spent in after.items()},
        encode_seconds=segment.encode_seconds,
    )
