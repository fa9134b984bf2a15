"""Restores many films: one after the other or, on shared workers, several at once."""

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import Literal, TypeAlias

from vidrestore.errors import VidrestoreError
from vidrestore.jobs.batch_videos import BatchVideo
from vidrestore.jobs.engine import Engine
from vidrestore.jobs.run import open_engine, restore_with_engine
from vidrestore.pipeline.report import RestoreReport
from vidrestore.progress import DownloadCallback, Progress, not_shown
from vidrestore.settings import JobSettings, RestoreSettings
from vidrestore.storage.atomic_output import atomic_file, check_target

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
    with open_engine(job) as engine:
        left = sum(not _is_there(each, settings) for each in films)
        # On the main thread: if no worker can be started for one film, none can for others.
        workers = engine.count_workers(settings) if left else 1
        at_once = min(workers, left, 2 + workers // _WORKERS_PER_FILM)
        if at_once > 1:
            return _restore_concurrently(
                engine, films, settings, job, at_once, on_progress, on_download
            )
        results: list[FilmResult] = []
        for number, film in enumerate(films):

            def show(progress: Progress, number: int = number, film: BatchVideo = film) -> None:
                on_progress(_progress(number, film, len(results), len(films), progress))

            result = _restored(engine, film, number, settings, job, show, on_download)
            results.append(result)
            on_progress(_progress(number, film, len(results), len(films), result))
        return tuple(results)


def _progress(
    number: int, film: BatchVideo, done: int, total: int, now: Progress | FilmResult
) -> BatchProgress:
    is_done = isinstance(now, FilmResult)
    return BatchProgress(
        number=number,
        film=film,
        films_done=done,
        films_total=total,
        progress=None if is_done else now,
        result=now if is_done else None,
    )


def _is_there(film: BatchVideo, settings: RestoreSettings) -> bool:
    return film.output.exists() and not settings.overwrite


def _restored(
    engine: Engine,
    film: BatchVideo,
    number: int,
    settings: RestoreSettings,
    job: JobSettings,
    on_progress: Callable[[Progress], None],
    on_download: DownloadCallback,
) -> FilmResult:
    if _is_there(film, settings):
        return FilmResult(film=film, outcome="already there")
    begin = time.monotonic()
    own = replace(settings, compare=film.compare, record=film.record, framemd5=film.framemd5)
    try:
        film.output.absolute().parent.mkdir(parents=True, exist_ok=True)
        if film.report is not None:
            check_target(film.report, source_path=film.source, overwrite=settings.overwrite)
        report = restore_with_engine(
            engine,
            film.source,
            film.output,
            settings=own,
            job=job,
            number=number,
            on_progress=on_progress,
            on_download=on_download,
        )
        if film.report is not None:
            with atomic_file(film.report, overwrite=settings.overwrite) as pending:
                text = json.dumps(report.to_json(), indent=2) + "\n"
                pending.path.write_text(text, encoding="utf-8")
                pending.complete = True
    except (VidrestoreError, OSError) as error:
        line = " ".join(str(error).split())
        seconds = time.monotonic() - begin
        return FilmResult(film=film, outcome="failed", seconds=seconds, error=line)
    seconds = time.monotonic() - begin
    return FilmResult(film=film, outcome="restored", seconds=seconds, report=report)


def _restore_concurrently(
    engine: Engine,
    films: Sequence[BatchVideo],
    settings: RestoreSettings,
    job: JobSettings,
    at_once: int,
    on_progress: Callable[[BatchProgress], None],
    on_download: DownloadCallback,
) -> tuple[FilmResult, ...]:
    """Restore several films at once; they share the workers, and earlier films have priority."""
    told: SimpleQueue[tuple[int, Progress]] = SimpleQueue()
    stopped = False

    def show(number: int, progress: Progress) -> None:
        if stopped:
            raise _StoppedError
        told.put((number, progress))

    futures: dict[Future[FilmResult], int] = {}
    with ThreadPoolExecutor(at_once, thread_name_prefix="film") as pool:
        for number, film in enumerate(films):
            each = partial(show, number)
            work = pool.submit(_restored, engine, film, number, settings, job, each, on_download)
            futures[work] = number
        try:
            waiting = set(futures)
            while waiting:
                done, waiting = wait(waiting, _POLL_SECONDS, FIRST_COMPLETED)
                count = len(films) - len(waiting)
                for number, progress in _newest(told).items():
                    on_progress(_progress(number, films[number], count, len(films), progress))
                for each in done:
                    number = futures[each]
                    result = each.result()
                    on_progress(_progress(number, films[number], count, len(films), result))
        except BaseException:
            stopped = True
            engine.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return tuple(each.result() for each in futures)


def _newest(told: "SimpleQueue[tuple[int, Progress]]") -> dict[int, Progress]:
    """Return the latest progress of each film."""
    newest: dict[int, Progress] = {}
    while True:
        try:
            number, progress = told.get_nowait()
        except Empty:
            return newest
        newest[number] = progress
