"""Workers in this process: the same orders and answers, without processes that must be started."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch

from vidrestore import JobSettings, RestoreReport, RestoreSettings
from vidrestore.jobs.distributed.crew import Hand, LostError
from vidrestore.jobs.distributed.orders import Answer, Order, SegmentSpec
from vidrestore.jobs.distributed.spread_engine import SpreadEngine
from vidrestore.jobs.distributed.worker import Worker
from vidrestore.jobs.run import restore_with_engine
from vidrestore.progress import ProgressCallback, silent


class HereCrew:
    """Hires workers of this process; the one that was asked last answers first."""

    def __init__(self, size: int, dies: Callable[[Order, int], bool]) -> None:
        self.size = size
        self.threads = torch.get_num_threads()
        self.orders: list[Order] = []
        """All that were given."""
        self.deaths = 0
        self._dies = dies

    def hire(self) -> "HereHand":
        return HereHand(self)

    def first_to_answer(self, hands: Sequence[Hand], seconds: float) -> Hand | None:
        del seconds
        return hands[-1]

    def killed(self, order: Order) -> bool:
        """Return whether a worker dies of an order, which was given so many times."""
        died = self._dies(order, sum(each is order for each in self.orders))
        self.deaths += died
        return died

    @property
    def segments(self) -> list[int]:
        """Numbers of the segments that were ordered."""
        return [each.segment for each in self.orders if isinstance(each, SegmentSpec)]


class HereHand:
    def __init__(self, crew: HereCrew) -> None:
        self._crew = crew
        self._worker = Worker()
        self._order: Order | None = None
        self._next: Callable[[], Answer] | None = None

    def begin(self, order: Order) -> None:
        self._crew.orders.append(order)
        self._order = order
        self._next = partial(self._worker.begin, order)

    def go_on(self) -> None:
        self._next = self._worker.go_on

    def answer(self) -> Answer:
        assert self._order is not None
        assert self._next is not None
        if self._crew.killed(self._order):
            raise LostError("exit code 9")
        return self._next()

    def dismiss(self) -> None:
        self._next = None


def nobody(order: Order, times: int) -> bool:
    """Let all workers live."""
    del order, times
    return False


def spread(
    source: Path,
    target: Path,
    settings: RestoreSettings,
    job: JobSettings,
    *,
    workers: int = 2,
    dies: Callable[[Order, int], bool] = nobody,
    on_progress: ProgressCallback = silent,
    seen: list[HereCrew] | None = None,
) -> RestoreReport:
    """Restore a film by workers of this process.

    Args:
        source: The film.
        target: The result.
        settings: What to do.
        job: How to divide it.
        workers: How many there are.
        dies: Whether a worker dies before it answers an order.
        on_progress: As of ``restore_video``.
        seen: Takes the crew, which knows what was ordered.
    """

    @contextmanager
    def open_crew(device: str) -> Generator[HereCrew]:
        del device
        crew = HereCrew(workers, dies)
        if seen is not None:
            seen.append(crew)
        yield crew

    with SpreadEngine(open_crew) as engine:
        return restore_with_engine(
            engine, source, target, settings=settings, job=job, on_progress=on_progress
        )
