"""``restore_video``: open, connect, write in segments, assemble, report."""

import logging
from collections.abc import Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from vidrestore.errors import ConfigError
from vidrestore.jobs.engine import Engine, LocalEngine
from vidrestore.jobs.plan import SegmentRule
from vidrestore.jobs.progress_reporter import ProgressReporter
from vidrestore.jobs.store.fingerprint import job_fingerprint
from vidrestore.jobs.store.job_folder import open_job, owns_existing_outputs
from vidrestore.media import EncoderSettings, Source, VideoInfo, open_source
from vidrestore.media.input.folder import missing_numbers
from vidrestore.media.input.format_changes import check_constant_format
from vidrestore.media.input.raw_streams import check_rate_is_needed
from vidrestore.media.output.framemd5 import check_framemd5, write_framemd5
from vidrestore.media.output.open_output import Output, open_output
from vidrestore.pipeline.field_plan import plan_fields
from vidrestore.pipeline.report import RestoreReport
from vidrestore.progress import DownloadCallback, ProgressCallback, not_shown, silent
from vidrestore.settings import JobSettings, RestoreSettings, config_from
from vidrestore.storage.atomic_output import check_target, resolved_output_path
from vidrestore.types import DisplayGeometry

if TYPE_CHECKING:
    from vidrestore.pipeline.setup import Setup

_LOG = logging.getLogger(__name__)

_SHOWN_NUMBERS = 5


def restore_video(
    source: str | PathLike[str],
    output: str | PathLike[str],
    *,
    settings: RestoreSettings | None = None,
    job: JobSettings | None = None,
    on_progress: ProgressCallback = silent,
    on_download: DownloadCallback = not_shown,
) -> RestoreReport:
    """Restore the faces of a film, a folder of frames or a picture.

    Everything but the faces is kept: samples, time stamps, sound, subtitles, chapters and metadata.
    ``output`` appears when it is complete, and not at all if this raises. Finished segments of a
    film or folder are then kept beside it, for ``JobSettings.resume``.

    Args:
        source: Film, folder of frames or picture to restore.
        output: The file to write; its suffix chooses the container. Without a suffix, a folder.
        settings: Settings of the restoration; the defaults if None.
        job: How the work is divided, and whether to resume an interrupted run.
        on_progress: Called after every frame, on this thread; an exception from it stops the run.
        on_download: Called during downloads with the checkpoint's name, the bytes so far and the
            bytes in total.

    Raises:
        VidrestoreError: With a message that names the file or setting and says what to do.
    """
    job = job or JobSettings()
    with open_engine(job) as engine:
        return restore_with_engine(
            engine,
            Path(source),
            Path(output),
            settings=settings or RestoreSettings(),
            job=job,
            on_progress=on_progress,
            on_download=on_download,
        )


@contextmanager
def open_engine(job: JobSettings) -> Generator[Engine]:
    """Open the engine that restores films; workers are started when the first film needs them."""
    if job.engine == "local":
        yield LocalEngine()
        return
    # Imported late: only runs with workers pay for these imports.
    from vidrestore.jobs.distributed.ray_cluster import open_ray_crew
    from vidrestore.jobs.distributed.spread_engine import SpreadEngine

    with SpreadEngine(partial(open_ray_crew, workers=job.workers)) as engine:
        yield engine


def restore_with_engine(
    engine: Engine,
    source: Path,
    output: Path,
    *,
    settings: RestoreSettings,
    job: JobSettings,
    number: int = 0,
    on_progress: ProgressCallback = silent,
    on_download: DownloadCallback = not_shown,
    tell_cost: bool = True,
) -> RestoreReport:
    """Do what ``restore_video`` does, with an open engine.

    Args:
        engine: Restores the segments.
        source: As for ``restore_video``.
        output: As for ``restore_video``.
        settings: As for ``restore_video``.
        job: As for ``restore_video``.
        number: Number of the film in a batch; earlier films have priority.
        on_progress: As for ``restore_video``.
        on_download: As for ``restore_video``.
        tell_cost: Whether to log the cost of a background before the first frame.

    Raises:
        VidrestoreError: As for ``restore_video``.
    """
    _check_outputs_differ(output, settings)
    if settings.framemd5 is not None:
        check_framemd5(settings.framemd5, output, source, overwrite=settings.overwrite)
    teller = ProgressReporter(on_progress)
    teller.tell("starting")
    with open_source(
        source,
        start_seconds=settings.start_seconds,
        end_seconds=settings.end_seconds,
        fps=settings.fps,
    ) as opened:
        check_rate_is_needed(opened.info, settings.fps)
        check_constant_format(opened.info, opened.time_range)
        # Imported late: a source that cannot be read is refused before torch is loaded.
        from vidrestore.pipeline.setup import Setup, frames_expected

        plan = plan_fields(opened, deinterlace=settings.deinterlace, pulldown=settings.pulldown)
        teller.frames_total = frames_expected(plan.source.info, settings)
        prepared = Setup(
            source=plan.source,
            fields=plan.mode,
            is_interlaced=plan.is_interlaced,
            settings=settings,
            notes=[*plan.notes, *_notes_on_folder(opened.info)],
            on_download=on_download,
            on_share=teller.report_share,
        )
        run = _run(engine, prepared, source, output, job, number, teller, tell_cost=tell_cost)
    if settings.framemd5 is not None:
        # The checksums are of the file on the disk, decoded again.
        write_framemd5(output, settings.framemd5, overwrite=settings.overwrite)
    return run


def _notes_on_folder(info: VideoInfo) -> list[str]:
    """Return a note on missing numbers in the names of an image sequence, if any are missing."""
    missing = missing_numbers(info.path) if info.is_folder else []
    if not missing:
        return []
    shown = ", ".join(map(str, missing[:_SHOWN_NUMBERS]))
    more = f" and {len(missing) - _SHOWN_NUMBERS} more" if len(missing) > _SHOWN_NUMBERS else ""
    return [f"no image is numbered {shown}{more}; the frames around are shown one after the other"]


def _run(
    engine: Engine,
    prepared: "Setup",
    source_path: Path,
    output: Path,
    job: JobSettings,
    number: int,
    teller: ProgressReporter,
    *,
    tell_cost: bool,
) -> RestoreReport:
    from vidrestore.jobs.record_output import open_record
    from vidrestore.pipeline.setup import comparison_geometry

    settings = prepared.settings
    outputs_on_disk = _output_paths(output, settings)
    if job.resume and owns_existing_outputs(outputs_on_disk[0], outputs_on_disk):
        settings = replace(settings, overwrite=True)
    check_target(output, source_path=source_path, overwrite=settings.overwrite)
    machine = engine.machine(settings)
    with ExitStack() as stack:
        # Entered first, left last: finished segments are kept until the output has its final name.
        opened_job = stack.enter_context(
            open_job(
                resolved_output_path(output),
                job_fingerprint(prepared.source.info, settings, job, machine),
                resume=job.resume,
                overwrite=settings.overwrite,
                keep_ahead=engine.finishes_out_of_order,
            )
        )
        ready = engine.ready(prepared, opened_job, number=number)
        shown = prepared.shown_source(ready.scale)
        record = stack.enter_context(open_record(settings, source_path, output))
        opened = partial(_opened, shown, source_path, settings)
        outputs = {"film": stack.enter_context(opened(output, None))}
        if settings.compare is not None:
            geometry = comparison_geometry(shown.info)
            outputs["compare"] = stack.enter_context(opened(settings.compare, geometry))
        if tell_cost and _LOG.isEnabledFor(logging.WARNING):
            cost = ready.background_cost(teller.frames_total)
            if cost is not None:
                _LOG.warning("%s", cost.line(teller.frames_total))
        run = ready.begun(
            outputs,
            rule=config_from(job, SegmentRule),
            teller=teller,
            with_record=record is not None,
        )
        run.run()
        teller.tell("finishing")
        segments = len(opened_job.journal.entries())
        run.assemble()
        if record is not None:
            record.write(prepared, run.facts, run.record_lines())
        opened_job.note_outputs(outputs_on_disk)
    return replace(run.report(), segments=segments)


def _opened(
    source: Source,
    source_path: Path,
    settings: RestoreSettings,
    target: Path,
    geometry: DisplayGeometry | None,
) -> AbstractContextManager[Output]:
    return open_output(
        target,
        info=source.info,
        time_range=source.time_range,
        source_path=source_path,
        settings=config_from(settings, EncoderSettings),
        overwrite=settings.overwrite,
        drop_unsupported=settings.drop_unsupported,
        geometry=geometry,
    )


def _output_paths(output: Path, settings: RestoreSettings) -> list[Path]:
    """Return the real paths of what a run publishes at its end; the film first."""
    paths = (output, settings.compare, settings.record)
    return [resolved_output_path(path) for path in paths if path is not None]


def _check_outputs_differ(output: Path, settings: RestoreSettings) -> None:
    others = {
        "--compare": settings.compare,
        "--record": settings.record,
        "--framemd5": settings.framemd5,
    }
    taken = [resolved_output_path(output)]
    for option, path in others.items():
        if path is not None and resolved_output_path(path) in taken:
            raise ConfigError(f"{option} {path}: is also another output; name another file")
        taken += [] if path is None else [resolved_output_path(path)]
