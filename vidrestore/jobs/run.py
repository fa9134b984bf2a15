"""``restore_video``: opens a source, restores it in segments, assembles the outputs, reports."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

from vidrestore.errors import ConfigError
from vidrestore.jobs.engine import Engine, VideoRun
from vidrestore.jobs.open_video import check_tracks, no_frame_error, open_setup
from vidrestore.jobs.pipes import check_pipes
from vidrestore.jobs.plan import SegmentRule
from vidrestore.jobs.progress_reporter import ProgressReporter
from vidrestore.jobs.store.fingerprint import job_fingerprint
from vidrestore.jobs.store.job_folder import open_job, owns_existing_outputs
from vidrestore.jobs.verify_result import verify_result
from vidrestore.media.output.framemd5 import check_framemd5, write_framemd5
from vidrestore.pipeline.report import RestoreReport
from vidrestore.progress import DownloadCallback, ProgressCallback, not_shown, silent
from vidrestore.settings import JobSettings, RestoreSettings, config_from
from vidrestore.storage.atomic_output import check_target, resolved_output_path
from vidrestore.storage.standard_streams import is_standard_stream


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

    Everything but the faces is kept: samples, timestamps, audio, subtitles, chapters and metadata.
    ``output`` appears when it is complete, and not at all if this raises. Finished segments of a
    film or folder are then kept beside it, for ``JobSettings.resume``.

    Args:
        source: Film, folder of frames or picture to restore; ``-`` for standard input.
        output: The file to write; its suffix chooses the container. Without a suffix, a folder;
            ``-`` for standard output.
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
    """Open the engine that restores videos; a cluster is connected when a video needs it."""
    if job.engine == "local":
        yield Engine()
        return
    # Imported late: only runs with workers pay for these imports.
    from vidrestore.jobs.distributed.coordinator import DistributedEngine
    from vidrestore.jobs.distributed.ray_cluster import open_ray_cluster

    with DistributedEngine(partial(open_ray_cluster, workers=job.workers)) as engine:
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

    For ``number`` and ``tell_cost`` see ``VideoRun``.
    """
    check_pipes(source, output, settings, job)
    settings = settings.with_record(output)
    output_paths = _output_paths(output, settings)
    if settings.framemd5 is not None:
        check_framemd5(settings.framemd5, output, source, overwrite=settings.overwrite)
    reporter = ProgressReporter(on_progress)
    reporter.report("starting")
    with (
        open_setup(source, settings, check_format=True, on_download=on_download) as setup,
        # Left last: finished segments are kept until the output has its final name.
        ExitStack() as stack,
    ):
        # Imported late: a source that cannot be read is refused before torch is loaded.
        from vidrestore.jobs.assemble import JobOutputs, journaled_entries
        from vidrestore.pipeline.setup import frames_expected

        setup.on_share = reporter.report_share
        info = setup.source.info
        reporter.frames_total = frames_expected(info, settings)
        is_resuming = job.resume and owns_existing_outputs(output_paths[0], output_paths)
        overwrite = settings.overwrite or is_resuming
        if not is_standard_stream(output):
            check_target(output, source_path=source, overwrite=overwrite)
        opened_job = stack.enter_context(
            open_job(
                _job_target(output, stack),
                job_fingerprint(info, settings, job, engine.environment(settings)),
                resume=job.resume,
                overwrite=overwrite,
                out_of_order=engine.out_of_order,
                is_resumable=not is_standard_stream(source),
            )
        )
        outputs = JobOutputs(setup, source, output, stack, overwrite=overwrite)
        result = engine.restore(
            VideoRun(
                setup=setup,
                job=opened_job,
                rule=config_from(job, SegmentRule),
                reporter=reporter,
                outputs=outputs,
                number=number,
                tell_cost=tell_cost,
            )
        )
        if not reporter.tally.frames:
            raise no_frame_error(info, settings)
        check_tracks(setup, reporter.tally.tracks_found)
        reporter.report("finishing")
        entries = journaled_entries(opened_job)
        outputs.assemble(opened_job.folder, entries, result.facts)
        opened_job.note_outputs(output_paths)
    report = setup.report(
        result.facts,
        reporter.tally,
        notes=[*outputs.notes, *result.notes],
        timing={**setup.stopwatch.seconds, **result.timing},
        segments=len(entries),
        damaged_packets=opened_job.state.damaged_packets,
        repaired_timestamps=opened_job.state.repaired_timestamps,
    )
    if settings.framemd5 is not None:
        # The checksums are of the file on the disk, decoded again.
        write_framemd5(output, settings.framemd5, overwrite=settings.overwrite)
    if settings.verify:
        note = verify_result(source, output, settings, on_progress)
        report = replace(report, notes=(*report.notes, note))
    return report


def _job_target(output: Path, stack: ExitStack) -> Path:
    """Return the path beside which the folder of the job is; of a pipe, a temporary one."""
    if not is_standard_stream(output):
        return resolved_output_path(output)
    return Path(stack.enter_context(TemporaryDirectory(prefix="vidrestore-"))) / "stdout"


def _output_paths(output: Path, settings: RestoreSettings) -> list[Path]:
    """Return the real paths of what a run writes; the film first.

    Raises:
        ConfigError: Two of them are the same file.
    """
    paths = [resolved_output_path(output)]
    for option, path in (
        ("--compare", settings.compare),
        ("--record", settings.record),
        ("--framemd5", settings.framemd5),
    ):
        if path is not None:
            resolved = resolved_output_path(path)
            if resolved in paths:
                raise ConfigError(f"{option} {path}: is also another output; name another file")
            paths.append(resolved)
    return paths
