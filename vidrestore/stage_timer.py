"""How long each stage of a pipeline of generators takes, apart from the stages it pulls on."""

import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Stopwatch:
    """Adds up the seconds of named stages, each without the stages inside it.

    Stages nest per thread: while an inner one runs, the outer one's time stands still.
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._lock = threading.Lock()
        self._open = threading.local()

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds by stage so far, in order of first use."""
        with self._lock:
            return dict(self._seconds)

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        """Count the time inside the block for ``name``."""
        inner_of: list[float] = self._stack()
        inner_of.append(0.0)
        started = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - started
            own = elapsed - inner_of.pop()
            if inner_of:
                inner_of[-1] += elapsed
            with self._lock:
                self._seconds[name] = self._seconds.get(name, 0.0) + own

    def timed(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """Yield ``items``, counting the time to make each for ``name``."""
        iterator = iter(items)
        try:
            while True:
                with self.stage(name):
                    try:
                        item = next(iterator)
                    except StopIteration:
                        return
                yield item
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()

    def _stack(self) -> list[float]:
        stack: list[float] | None = getattr(self._open, "stack", None)
        if stack is None:
            stack = self._open.stack = []
        return stack
