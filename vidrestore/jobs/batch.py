"""Restores many films: one after the other or, on shared workers, several at once."""

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeAlias

from vidrestore.errors import VidrestoreError
from vidrestore.jobs.batch_videos import BatchVideo
from vidrestore.jobs.run import open_engine, restore_with_engine
from vidrestore.pipeline.report import RestoreReport
from vidrestore.progress import DownloadCallback, Progress, ProgressCallback, not_shown
from vidrestore.settings import JobSettings, RestoreSettings
from vidrestore.storage.atomic_output import check_target, write_text

_WORKERS_PER_FILM = 8
"""One worker that detects faces keeps at least this many restoring workers busy."""
_POLL_SECONDS = 0.1

Outcome: TypeAlias = Literal["restored", "already there", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmResult:
    """The result of one film of a batch."""

    film: BatchVideo
    outcome: Outcome
    seconds: float = 0.0
    report: RestoreReport | None = None
    """Report of the run, if the film was restored now."""
    error: str | None = None
    """Why the film failed, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProgress:
    """Progress of a batch. Sent from the thread that called ``restore_batch``."""

    number: int
    """Number of the film, from 0."""
    film: BatchVideo
    films_done: int
    films_total: int
    progress: Progress | None = None
    """Progress of the film; None once it is done."""
    result: FilmResult | None = None
    """What became of the film, once it is done."""


class _StoppedError(Exception):
    """The batch was stopped."""


def restore_batch(
    films: Sequence[BatchVideo],
    *,
    settings: RestoreSettings,
    job: JobSettings,
    on_progress: Callable[[BatchProgress], None] = lambda _progress: None,
    on_download: DownloadCallback = not_shown,
) -> tuple[FilmResult, ...]:
    """Restore films; one that fails does not stop the others.

    An interrupted film is resumed, and a film whose output exists is skipped, unless
    ``settings.overwrite`` is set.

    Args:
        films: The films and their outputs.
        settings: Settings of every film; files beside the output are set by ``films``.
        job: Job settings of every film.
        on_progress: Called regularly on this thread; an exception from it stops the batch.
        on_download: As for ``restore_video``.

    Raises:
        VidrestoreError: No film can be restored, because no worker can be started.
    """
    job = replace(job, resume=not settings.overwrite)
    results: dict[int, FilmResult] = {}

    def report(number: int, update: Progress | FilmResult) -> None:
        if isinstance(update, FilmResult):
            results[number] = update
        on_progress(
            BatchProgress(
                number=number,
                film=films[number],
                films_done=len(results),
                films_total=len(films),
                progress=update if isinstance(update, Progress) else None,
                result=results.get(number),
            )
        )

    with open_engine(job) as engine:

        def restore(number: int, on_film_progress: ProgressCallback) -> FilmResult:
            film = films[number]
            if _exists(film, settings):
                return FilmResult(film=film, outcome="already there")
            started = time.monotonic()
            done = error = None
            try:
                run = partial(
                    restore_with_engine,
                    engine,
                    job=job,
                    number=number,
                    on_progress=on_film_progress,
                    on_download=on_download,
                )
                done = _restore(run, film, settings)
            except (VidrestoreError, OSError) as caught:
                error = " ".join(str(caught).split())
            return FilmResult(
                film=film,
                outcome="failed" if done is None else "restored",
                seconds=time.monotonic() - started,
                report=done,
                error=error,
            )

        left = sum(not _exists(film, settings) for film in films)
        # On the main thread: if no worker can be started for one film, none can for others.
        workers = engine.count_workers(settings) if left else 1
        at_once = min(workers, left, 2 + workers // _WORKERS_PER_FILM)
        if at_once > 1:
            _restore_concurrently(len(films), at_once, restore, report)
        else:
            for number in range(len(films)):
                report(number, restore(number, partial(report, number)))
    return tuple(results[number] for number in range(len(films)))


def _exists(film: BatchVideo, settings: RestoreSettings) -> bool:
    return film.output.exists() and not settings.overwrite


def _restore(
    run: Callable[..., RestoreReport], film: BatchVideo, settings: RestoreSettings
) -> RestoreReport:
    """Restore a film by ``run``, and write its report."""
    film.output.absolute().parent.mkdir(parents=True, exist_ok=True)
    target = film.sidecars.get("report")
    if target is not None:
        check_target(target, source_path=film.source, overwrite=settings.overwrite)
    own = {name: film.sidecars.get(name) for name in ("compare", "record", "framemd5")}
    report = run(film.source, film.output, settings=replace(settings, **own))
    if target is not None:
        text = json.dumps(report.to_json(), indent=2) + "\n"
        write_text(target, text, overwrite=settings.overwrite)
    return report


def _restore_concurrently(
    count: int,
    at_once: int,
    restore: Callable[[int, ProgressCallback], FilmResult],
    report: Callable[[int, Progress | FilmResult], None],
) -> None:
    """Restore several films at once; they share the workers, and earlier films have priority."""
    latest: dict[int, Progress] = {}
    stopped = False

    def show(number: int, progress: Progress) -> None:
        if stopped:
            raise _StoppedError
        latest[number] = progress

    with ThreadPoolExecutor(at_once, thread_name_prefix="film") as pool:
        futures = {
            pool.submit(restore, number, partial(show, number)): number for number in range(count)
        }
        try:
            waiting = set(futures)
            while waiting:
                finished, waiting = wait(waiting, _POLL_SECONDS, FIRST_COMPLETED)
                for number in [*latest]:
                    report(number, latest.pop(number))
                for future in finished:
                    report(futures[future], future.result())
        except BaseException:
            stopped = True
            pool.shutdown(wait=False, cancel_futures=True)
            raise
