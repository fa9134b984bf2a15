"""Divides faces into batches of equal shapes, and lets one batch be started ahead."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
Started = TypeVar("Started")

_FULL_BATCH_PX = 768 * 768
"""Area up to which a batch has its full number of faces; larger ones have fewer."""


def padded(size: int) -> int:
    """Return a size rounded up to one of a few per octave, so that batches have few shapes."""
    step = 32
    while size > 8 * step:
        step *= 2
    return -(-size // step) * step


def faces_per_batch(area_hw: tuple[int, int], batch_size: int) -> int:
    """Return how many faces with an area of this size a batch has: ``batch_size`` or fewer."""
    return min(batch_size, max(1, batch_size * _FULL_BATCH_PX // (area_hw[0] * area_hw[1])))


def grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Return the items by key, in order."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def filled(items: Sequence[T], size: int) -> Iterator[tuple[int, list[T]]]:
    """Yield the items in parts of ``size``; the last is filled with its last item.

    Yields:
        How many items of the part count, and the part.
    """
    for start in range(0, len(items), size):
        part = list(items[start : start + size])
        yield len(part), part + part[-1:] * (size - len(part))


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of ``size``; the last may be shorter."""
    waiting: list[T] = []
    for item in items:
        waiting.append(item)
        if len(waiting) == size:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def started_ahead(items: Iterable[T], start: Callable[[T], Started]) -> Iterator[Started]:
    """Yield what ``start`` returns for every item, with the next item started already.

    So the device works on one batch while the results of the one before are used.
    """
    waiting: list[Started] = []
    for item in items:
        waiting.append(start(item))
        if len(waiting) > 1:
            yield waiting.pop(0)
    yield from waiting
