"""``restore_video``: open, connect, write in segments, put together, report."""

import logging
from collections.abc import Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path

from vidrestore.errors import ConfigError
from vidrestore.jobs.engine import Engine, LocalEngine
from vidrestore.jobs.folder import open_job
from vidrestore.jobs.identity import identity_of
from vidrestore.jobs.records import open_record
from vidrestore.jobs.settings import JobSettings
from vidrestore.jobs.teller import Teller
from vidrestore.media import Source, open_source
from vidrestore.media.changes import refuse_changes
from vidrestore.media.framemd5 import check_framemd5, write_framemd5
from vidrestore.media.outputs import WholeOutput, open_output
from vidrestore.media.publish import check_target, place_of
from vidrestore.pipeline.field_plan import planned_fields
from vidrestore.pipeline.prepared import (
    Preparation,
    comparison_geometry,
    frames_expected,
)
from vidrestore.pipeline.report import RestoreReport
from vidrestore.pipeline.settings import RestoreSettings
from vidrestore.progress import DownloadCallback, ProgressCallback, not_shown, silent
from vidrestore.types import DisplayGeometry

_LOG = logging.getLogger(__name__)


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

    Everything but the faces is carried over: samples, time stamps, sound, subtitles, chapters and
    metadata. ``output`` appears when it is whole, and not at all if this raises; what was finished
    of a film or folder is then kept beside it, for ``JobSettings.resume``.

    Args:
        source: What to restore.
        output: What to write; its suffix chooses the container, without one it is a folder.
        settings: What to do; the defaults where None.
        job: How to divide the work, and whether to go on with a run that was cut off.
        on_progress: Called after every frame, on this thread; what it raises stops the run.
        on_download: Told the name of a checkpoint that is fetched, its bytes here and in all.

    Raises:
        VidrestoreError: With a message that names the file or setting and says what to do.
    """
    job = job or JobSettings()
    with engine_of(job) as engine:
        return restored_by(
            engine,
            Path(source),
            Path(output),
            settings=settings or RestoreSettings(),
            job=job,
            on_progress=on_progress,
            on_download=on_download,
        )


@contextmanager
def engine_of(job: JobSettings) -> Generator[Engine]:
    """Open who restores films; workers are hired when the first film needs them."""
    if job.engine == "local":
        yield LocalEngine()
        return
    # Imported here: nobody else pays for what it takes to hire workers.
    from vidrestore.jobs.raycrew import open_ray_crew
    from vidrestore.jobs.spread_engine import SpreadEngine

    with SpreadEngine(partial(open_ray_crew, workers=job.workers)) as engine:
        yield engine


def restored_by(
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
    """Do what ``restore_video`` does, by an engine that is there.

    Args:
        engine: Who restores.
        source: As of ``restore_video``, and so are those that follow.
        output: As said.
        settings: As said.
        job: As said.
        number: Of the film in a batch: earlier ones go first.
        on_progress: As said.
        on_download: As said.
        tell_cost: Log what a background costs, before the first frame.

    Raises:
        VidrestoreError: As said.
    """
    _check_outputs_differ(output, settings)
    if settings.framemd5 is not None:
        check_framemd5(settings.framemd5, output, source, overwrite=settings.overwrite)
    teller = Teller(on_progress)
    teller.tell("starting")
    with open_source(
        source,
        start_seconds=settings.start_seconds,
        end_seconds=settings.end_seconds,
        fps=settings.fps,
    ) as opened:
        refuse_changes(opened.info, opened.cut)
        plan = planned_fields(opened, deinterlace=settings.deinterlace, pulldown=settings.pulldown)
        teller.frames_total = frames_expected(plan.source.info, settings)
        prepared = Preparation(
            source=plan.source,
            fields=plan.mode,
            holds_fields=plan.holds_fields,
            settings=settings,
            notes=[*plan.notes],
            on_download=on_download,
            on_share=teller.tell_share,
        )
        run = _run(engine, prepared, source, output, job, number, teller, tell_cost=tell_cost)
    if settings.framemd5 is not None:
        # Of the file as it is now on the disk, decoded again.
        write_framemd5(output, settings.framemd5, overwrite=settings.overwrite)
    return run


def _run(
    engine: Engine,
    prepared: Preparation,
    source_path: Path,
    output: Path,
    job: JobSettings,
    number: int,
    teller: Teller,
    *,
    tell_cost: bool,
) -> RestoreReport:
    settings = prepared.settings
    check_target(output, source_path=source_path, overwrite=settings.overwrite)
    machine = engine.machine(settings)
    with ExitStack() as stack:
        # First in, last out: what is finished is kept until the output is there under its name.
        opened_job = stack.enter_context(
            open_job(
                place_of(output),
                identity_of(prepared.source.info, settings, job, machine),
                resume=job.resume,
                overwrite=settings.overwrite,
                keep_ahead=engine.keeps_ahead,
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
        run = ready.begun(outputs, rule=job.rule(), teller=teller, with_record=record is not None)
        run.run()
        teller.tell("finishing")
        segments = len(opened_job.journal.entries())
        run.assemble()
        if record is not None:
            record.write(prepared, run.facts, run.record_lines())
    return replace(run.report(), segments=segments)


def _opened(
    source: Source,
    source_path: Path,
    settings: RestoreSettings,
    target: Path,
    geometry: DisplayGeometry | None,
) -> AbstractContextManager[WholeOutput]:
    return open_output(
        target,
        source=source,
        source_path=source_path,
        settings=settings.encoder_settings(),
        overwrite=settings.overwrite,
        drop_unsupported=settings.drop_unsupported,
        geometry=geometry,
    )


def _check_outputs_differ(output: Path, settings: RestoreSettings) -> None:
    others = {
        "--compare": settings.compare,
        "--record": settings.record,
        "--framemd5": settings.framemd5,
    }
    taken = [place_of(output)]
    for option, path in others.items():
        if path is not None and place_of(path) in taken:
            raise ConfigError(f"{option} {path}: this is the output, or another of the outputs")
        taken += [] if path is None else [place_of(path)]
