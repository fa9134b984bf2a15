"""The only threads of the package: bounded read-ahead, and its mirror image for writing."""

import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from queue import Empty, Full, Queue
from threading import Event, Thread, local
from typing import Generic, TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.05
_this_thread = local()
"""``stop``: the event that ends the thread, where it is one of this module's."""


class StoppedError(Exception):
    """The thread must stop and was waiting; nobody sees this error."""


def stop_requested() -> bool:
    """Whether this thread is one of this module's and must stop.

    Whatever waits on such a thread for long, as for a pipe, asks it now and then.
    """
    stop: Event | None = getattr(_this_thread, "stop", None)
    return stop is not None and stop.is_set()


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


def prefetched(items: Iterable[T], *, size: int) -> Generator[T]:
    """Yield ``items`` in order while a thread makes at most ``size`` of them ahead.

    An error of ``items`` is raised here, after the items before it. Closing the generator
    stops the thread and waits for it; ``items`` is closed too, where it can be.

    Raises:
        ValueError: ``size`` is below 1.
    """
    if size < 1:
        raise ValueError(f"size must be >= 1, got {size}")
    return _prefetched(items, size)


def _prefetched(items: Iterable[T], size: int) -> Generator[T]:
    ready: Queue[T | _End] = Queue(maxsize=size)
    stop = Event()
    worker = Thread(target=_produce, args=(items, ready, stop), name="read-ahead", daemon=True)
    worker.start()
    try:
        while not isinstance(item := _next(ready), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stop.set()
        worker.join()


def _next(ready: Queue[T | _End]) -> T | _End:
    while True:
        try:
            return ready.get(timeout=_POLL_SECONDS)
        except Empty:
            # The thread that waits here may itself be one that reads ahead.
            if stop_requested():
                raise StoppedError from None


def _produce(items: Iterable[T], ready: Queue[T | _End], stop: Event) -> None:
    _this_thread.stop = stop
    error: BaseException | None = None
    iterator = iter(items)
    try:
        for item in iterator:
            if not _offered(ready, item, stop):
                break
    except BaseException as caught:  # noqa: BLE001  (handed to the consumer)
        error = caught
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()
    _offered(ready, _End(error), stop)


def _offered(queue: Queue[T], value: T, stop: Event) -> bool:
    while not stop.is_set():
        try:
            queue.put(value, timeout=_POLL_SECONDS)
        except Full:
            continue
        return True
    return False


class BackgroundWriter(Generic[T]):
    """Hands items to ``consume`` on a thread, in order, at most ``size`` waiting.

    An error of ``consume`` is raised by the next ``put`` or by ``finish``; nothing is consumed
    after it.
    """

    def __init__(self, consume: Callable[[T], None], *, size: int) -> None:
        if size < 1:
            raise ValueError(f"size must be >= 1, got {size}")
        self._consume = consume
        self._waiting: Queue[T | _End] = Queue(maxsize=size)
        self._stop = Event()
        self._error: BaseException | None = None
        self.busy_seconds = 0.0
        """Time spent in ``consume`` so far."""
        self._worker = Thread(target=self._work, name="write-behind", daemon=True)
        self._worker.start()

    def put(self, item: T) -> None:
        """Queue ``item``, waiting for room; raises what ``consume`` raised."""
        delivered = _offered(self._waiting, item, self._stop)
        if not delivered:
            self._raise()

    def finish(self) -> None:
        """Wait until everything is consumed; raises what ``consume`` raised."""
        _offered(self._waiting, _End(None), self._stop)
        self._worker.join()
        self._raise()

    def abandon(self, *, wait: bool = True) -> None:
        """Stop after the item in hand and drop the rest.

        Args:
            wait: Wait for the item in hand. A pipe that nobody reads takes it never.
        """
        self._stop.set()
        if wait:
            self._worker.join()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        _this_thread.stop = self._stop
        try:
            while not self._stop.is_set():
                try:
                    item = self._waiting.get(timeout=_POLL_SECONDS)
                except Empty:
                    continue
                if isinstance(item, _End):
                    return
                started = time.perf_counter()
                self._consume(item)
                self.busy_seconds += time.perf_counter() - started
        except BaseException as caught:  # noqa: BLE001  (handed to the producer)
            self._error = caught
        finally:
            self._stop.set()
