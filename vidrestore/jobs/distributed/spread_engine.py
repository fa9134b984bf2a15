"""Restores films on workers: other processes on this machine or on many."""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from queue import SimpleQueue
from threading import Lock
from types import TracebackType
from typing import Self

from vidrestore.jobs.distributed.crew import Crew
from vidrestore.jobs.distributed.foreman import Foreman, Work
from vidrestore.jobs.distributed.orders import (
    Answer,
    Facts,
    FactsOrder,
    Failure,
    GreetingOrder,
    VideoSpec,
)
from vidrestore.jobs.distributed.spread import SpreadFilm, SpreadRun, film_order
from vidrestore.jobs.engine import ReadyFilm, Run
from vidrestore.jobs.plan import SegmentRule
from vidrestore.jobs.progress_reporter import ProgressReporter
from vidrestore.jobs.store.fingerprint import Machine
from vidrestore.jobs.store.job_folder import Job
from vidrestore.media.output.open_output import Output
from vidrestore.pipeline.background.upscale_frames import BackgroundCost
from vidrestore.pipeline.loading.load_models import fetch_networks
from vidrestore.pipeline.setup import Setup
from vidrestore.settings import RestoreSettings

_STEP_SECONDS = 1.0
_ANSWERS_A_SECOND = 50
"""Answers that this process can handle beside its other work. If there are many workers, each
answers less often."""
_FACTS = -2
"""Priority before all other tasks of a film."""

OpenCrew = Callable[[str], AbstractContextManager[Crew]]
"""Opens a crew whose workers use the given device."""


class SpreadEngine:
    """Restores on workers, which are started when the first film needs them and may be shared."""

    finishes_out_of_order = True

    def __init__(self, open_crew: OpenCrew) -> None:
        """Take note of how workers are to be had."""
        self._open_crew = open_crew
        self._stack = ExitStack()
        self._lock = Lock()
        self._foreman: Foreman | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def hired(self, settings: RestoreSettings) -> Foreman:
        """Return the object that distributes tasks to workers; the first call opens the crew.

        Raises:
            WorkerError: No worker can be started.
        """
        with self._lock:
            if self._foreman is None:
                crew = self._stack.enter_context(self._open_crew(settings.device))
                greeting = GreetingOrder(
                    device=settings.device,
                    precision=settings.precision,
                    threads=crew.threads,
                    step_seconds=max(_STEP_SECONDS, crew.size / _ANSWERS_A_SECOND),
                )
                self._foreman = self._stack.enter_context(Foreman(crew, greeting))
            return self._foreman

    def stop(self) -> None:
        """Stop all films; may be called from any thread."""
        with self._lock:
            if self._foreman is not None:
                self._foreman.stop()

    def machine(self, settings: RestoreSettings) -> Machine:
        """Return where the workers' networks run."""
        foreman = self.hired(settings)
        greeting = foreman.greeting()
        return Machine(
            device=greeting.device, precision=greeting.precision, threads=foreman.threads
        )

    def ready(self, prepared: Setup, job: Job, *, number: int) -> ReadyFilm:
        """Let a worker load the networks."""
        settings = prepared.settings
        # This process downloads them, once, because it can show the progress.
        fetch_networks(settings.model, detector=settings.detector, on_download=prepared.on_download)
        foreman = self.hired(settings)
        order = film_order(prepared, job.folder)
        facts = _facts_of(foreman, order, number)
        film = SpreadFilm(
            foreman=foreman,
            order=order,
            facts=facts,
            number=number,
            run_name=f"{os.getpid():x}",
        )
        return _SpreadReady(prepared, job, film)


class _SpreadReady:
    def __init__(self, prepared: Setup, job: Job, film: SpreadFilm) -> None:
        self._prepared = prepared
        self._job = job
        self._film = film
        self.scale = film.facts.networks.scale

    def background_cost(self, frames: int | None) -> BackgroundCost | None:
        del frames  # it was measured while the networks were loaded
        return self._film.facts.background_cost

    def begun(
        self,
        outputs: Mapping[str, Output],
        *,
        rule: SegmentRule,
        teller: ProgressReporter,
        with_record: bool,
    ) -> Run:
        return SpreadRun(
            self._job,
            self._prepared,
            self._film,
            outputs,
            rule=rule,
            teller=teller,
            with_record=with_record,
        )


def _facts_of(foreman: Foreman, film: VideoSpec, number: int) -> Facts:
    told: SimpleQueue[tuple[Work, Answer]] = SimpleQueue()
    work = Work(
        what=f"loading the networks for {film.source}",
        priority=(number, _FACTS),
        order=lambda _attempt: FactsOrder(film=film),
        told=told,
    )
    try:
        foreman.give(work)
        _, answer = told.get()
    finally:
        foreman.cancel({_FACTS: work})
    if isinstance(answer, Failure):
        raise answer.error
    if not isinstance(answer, Facts):
        raise TypeError(f"unexpected answer: {answer}")
    return answer
