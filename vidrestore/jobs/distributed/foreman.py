"""Distributes tasks to workers; retries tasks of workers that died, up to a limit."""

import heapq
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Condition, Thread
from types import TracebackType
from typing import Self

from vidrestore.errors import WorkerError
from vidrestore.jobs.distributed.crew import Crew, Hand, LostError
from vidrestore.jobs.distributed.orders import (
    Answer,
    Failure,
    Greeting,
    GreetingOrder,
    Order,
    is_final,
)
from vidrestore.pipeline.report import versions

_log = logging.getLogger(__name__)

_MOST_ATTEMPTS = 3
"""Most attempts at a task whose workers die."""
_POLL_SECONDS = 0.05


@dataclass(slots=True, kw_only=True, eq=False)
class Work:
    """A task; one worker at a time runs it."""

    what: str
    """Name of the task in messages: ``frames 120 to 399 of film.mkv``."""
    priority: tuple[int, ...]
    """The task with the smallest runs first."""
    order: Callable[[int], Order]
    """Makes the order of an attempt, numbered from 0. Called on another thread, when a worker is
    free."""
    told: "SimpleQueue[tuple[Work, Answer]]"
    """Queue for its results."""
    attempts: int = 0
    cancelled: bool = False


@dataclass(slots=True, eq=False)
class _Worker:
    hand: Hand
    greeted: bool = False
    work: Work | None = None
    asked: bool = True
    """Whether the worker still has to answer."""


@dataclass(order=True, slots=True)
class _Queued:
    priority: tuple[int, ...]
    number: int
    work: Work = field(compare=False)


class Foreman:
    """Owns the workers of a run; many threads, one for each film, may queue tasks at once."""

    def __init__(self, crew: Crew, greeting: GreetingOrder) -> None:
        """Prepare to start workers.

        Args:
            crew: Starts workers.
            greeting: The first order of each worker.
        """
        self._crew = crew
        self._greeting = greeting
        self._queue: list[_Queued] = []
        self._count = 0
        self._workers: list[_Worker] = []
        self._lost_in_a_row = 0
        self._first: Greeting | None = None
        self._failure: Exception | None = None
        self._closing = False
        self._changed = Condition()
        self._thread = Thread(target=self._run, name="foreman", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _at: TracebackType | None,
    ) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    @property
    def at_work(self) -> int:
        """Number of workers that run a task now."""
        return sum(each.work is not None for each in list(self._workers))

    @property
    def size(self) -> int:
        """Most workers that may be started."""
        return self._crew.size

    @property
    def threads(self) -> int:
        """Number of threads of each worker."""
        return self._crew.threads

    def greeting(self) -> Greeting:
        """Wait for the first worker and return its greeting.

        Raises:
            WorkerError: No worker can be started, or its versions differ from this process.
        """
        with self._changed:
            while self._first is None and self._failure is None:
                if not self._workers:
                    self._hire()
                    self._changed.notify_all()
                self._changed.wait(1.0)
            if self._first is None:
                raise self._failure or WorkerError("no worker could be started")
            return self._first

    def give(self, work: Work) -> None:
        """Queue a task. Its results are put on ``work.told``; the last one is final.

        The last one is a ``Failure`` if the task cannot be done.
        """
        with self._changed:
            if self._failure is not None:
                work.told.put((work, Failure(error=self._failure)))
                return
            self._push(work)
            self._changed.notify_all()

    def cancel(self, works: Mapping[int, Work]) -> None:
        """Cancel tasks; no more results of them are delivered."""
        with self._changed:
            for work in works.values():
                work.cancelled = True
            self._queue = [each for each in self._queue if not each.work.cancelled]
            heapq.heapify(self._queue)
            for worker in self._workers:
                if worker.work is not None and worker.work.cancelled:
                    worker.work = None

    def stop(self) -> None:
        """Fail all tasks, so that no thread waits for them."""
        self._fail(WorkerError("the run was stopped"))

    def _push(self, work: Work) -> None:
        self._count += 1
        heapq.heappush(self._queue, _Queued(work.priority, self._count, work))

    def _run(self) -> None:
        try:
            while self._step():
                pass
        except Exception as error:  # noqa: BLE001  (sent to every film, whose threads wait)
            self._fail(error)
        finally:
            for worker in self._workers:
                worker.hand.dismiss()

    def _step(self) -> bool:
        """Start tasks and take one answer; return whether to continue."""
        with self._changed:
            if self._closing:
                return False
            self._hand_out()
            asked = [each for each in self._workers if each.asked]
            if not asked:
                self._changed.wait()
                return True
        hand = self._crew.first_to_answer([each.hand for each in asked], _POLL_SECONDS)
        if hand is None:
            return True
        worker = next(each for each in asked if each.hand is hand)
        try:
            answer = hand.answer()
        except LostError as error:
            with self._changed:
                self._lost(worker, error)
            return True
        with self._changed:
            worker.asked = False
            self._take(worker, answer)
        return True

    def _hand_out(self) -> None:
        free = [each for each in self._workers if each.greeted and each.work is None]
        for worker in free:
            if worker.asked or not self._queue:
                continue
            work = heapq.heappop(self._queue).work
            try:
                order = work.order(work.attempts)
            except Exception as error:  # noqa: BLE001  (sent to the film)
                work.told.put((work, Failure(error=error)))
                continue
            worker.work, worker.asked = work, True
            worker.hand.begin(order)
        coming = sum(not each.greeted for each in self._workers)
        while len(self._queue) > coming and len(self._workers) < self._crew.size:
            self._hire()
            coming += 1

    def _hire(self) -> None:
        worker = _Worker(self._crew.hire())
        worker.hand.begin(self._greeting)
        self._workers.append(worker)

    def _take(self, worker: _Worker, answer: Answer) -> None:
        if not worker.greeted:
            self._greeted(worker, answer)
            return
        work = worker.work
        if work is None:  # cancelled in the meantime
            return
        if is_final(answer):
            worker.work = None
        else:
            worker.asked = True
            worker.hand.go_on()
        work.told.put((work, answer))

    def _greeted(self, worker: _Worker, answer: Answer) -> None:
        if isinstance(answer, Greeting):
            difference = _difference(answer, self._first)
            if difference is None:
                worker.greeted = True
                _log.info("process %d on %s is ready to work", answer.process, answer.host)
                self._lost_in_a_row = 0
                self._first = self._first or answer
                self._changed.notify_all()
                return
            self._fail(WorkerError(difference))
        elif isinstance(answer, Failure):
            self._fail(answer.error)
        self._workers.remove(worker)
        worker.hand.dismiss()

    def _lost(self, worker: _Worker, error: LostError) -> None:
        self._workers.remove(worker)
        work = worker.work
        if not worker.greeted:
            self._lost_in_a_row += 1
            if self._lost_in_a_row >= _MOST_ATTEMPTS:
                self._fail(WorkerError(f"no worker can be started: {error}"))
        if work is None:
            return
        work.attempts += 1
        if work.attempts >= _MOST_ATTEMPTS:
            given_up = WorkerError(
                f"{work.what}: {work.attempts} workers died during this task, the last with: "
                f"{error}"
            )
            work.told.put((work, Failure(error=given_up)))
            return
        _log.warning("a worker died; another one restarts its task: %s", work.what)
        self._push(work)

    def _fail(self, error: Exception) -> None:
        """Fail all tasks, and those queued later."""
        with self._changed:
            self._failure = self._failure or error
            works = [each.work for each in self._queue]
            works += [each.work for each in self._workers if each.work is not None]
            self._queue.clear()
            for worker in self._workers:
                worker.work = None
            for work in works:
                work.told.put((work, Failure(error=self._failure)))
            self._changed.notify_all()


def _difference(greeting: Greeting, first: Greeting | None) -> str | None:
    """Return why a worker cannot take part; None if it can."""
    here = versions()
    for name in sorted({*here, *greeting.versions}):
        there, ours = greeting.versions.get(name, "missing"), here.get(name, "missing")
        if there != ours:
            return (
                f"a worker on {greeting.host} has {name} {there}, but this process {ours}; "
                "install the same versions on all machines"
            )
    if first is None:
        return None
    for name, one, other in (
        ("device", first.device, greeting.device),
        ("precision", first.precision, greeting.precision),
    ):
        if one != other:
            return (
                f"a worker on {greeting.host} computes with {name} {other}, but one on "
                f"{first.host} with {one}; choose one with --{name}"
            )
    return None
