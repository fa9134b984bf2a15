"""A worker: runs orders step by step, and keeps its networks between them."""

import os
import pickle
import platform
import traceback
from collections.abc import Generator
from contextlib import closing

from vidrestore.errors import VidrestoreError, WorkerError
from vidrestore.jobs.distributed.orders import (
    AnalysisOrder,
    Answer,
    Facts,
    FactsOrder,
    Failure,
    Greeting,
    GreetingOrder,
    Order,
    SegmentSpec,
)
from vidrestore.jobs.distributed.workbench import OpenFilm, Workbench
from vidrestore.jobs.distributed.worksteps import analysis_steps, segment_steps
from vidrestore.pipeline.report import versions


class Worker:
    """Takes one order at a time, in a separate process."""

    def __init__(self) -> None:
        self._bench = Workbench()
        self._steps: Generator[Answer] | None = None
        self._step_seconds = 1.0

    def begin(self, order: Order) -> Answer:
        """Start an order; an unfinished earlier one is abandoned.

        Returns:
            The first answer. Until one is final, ``go_on`` returns the next.
        """
        if self._steps is not None:
            self._steps.close()
        self._steps = self._answers(order)
        return self.go_on()

    def go_on(self) -> Answer:
        """Continue the order for the time that the greeting set."""
        if self._steps is None:
            return Failure(error=ValueError("there is no order to continue"))
        try:
            return next(self._steps)
        except Exception as error:  # noqa: BLE001  (raised again where the order came from)
            return Failure(error=_sendable(error))

    def _answers(self, order: Order) -> Generator[Answer]:
        if isinstance(order, GreetingOrder):
            self._step_seconds = order.step_seconds
            yield _greeting(order)
            return
        film = self._bench.opened(order.film)
        match order:
            case FactsOrder():
                yield _facts(film)
            case AnalysisOrder():
                with closing(analysis_steps(film, order, self._step_seconds)) as findings:
                    yield from findings
            case SegmentSpec():
                with closing(segment_steps(film, order, self._step_seconds)) as answers:
                    yield from answers


def _greeting(order: GreetingOrder) -> Greeting:
    import torch

    from vidrestore.devices import resolve_device, resolve_precision
    from vidrestore.malloc_tuning import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(order.threads)
    device = resolve_device(order.device)
    precision = resolve_precision(order.precision, device)
    return Greeting(
        host=platform.node(),
        process=os.getpid(),
        device=str(device),
        precision=str(precision),
        versions=versions(),
    )


def _facts(film: OpenFilm) -> Facts:
    background = film.stages.background
    return Facts(
        networks=film.facts(),
        reach_frames=film.stages.reach_frames,
        index_step=film.stages.fields.index_step,
        background_cost=None if background is None else background.cost(None),
    )


def _sendable(error: Exception) -> Exception:
    """Return an error that can be sent to another process."""
    if isinstance(error, VidrestoreError | OSError):
        try:
            if str(pickle.loads(pickle.dumps(error))) == str(error):
                return error
        except Exception:  # noqa: BLE001  (an error class may raise anything when unpickled)
            return WorkerError(str(error))
        return WorkerError(str(error))
    # A bug: the traceback is worth more than the class.
    return RuntimeError("".join(traceback.format_exception(error)))
