"""Windows over a stream, for stages that look at neighbors in time."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, eq=False)
class Window(Generic[Item, Value]):
    """One item of a stream, and the values of its neighbors."""

    item: Item
    value: Value
    before: Sequence[Value]
    """Values of earlier items, nearest first."""
    after: Sequence[Value]
    """Values of later items, nearest first."""


def sliding_window(
    items: Iterable[tuple[Item, Value]],
    *,
    before: int,
    after: int,
    is_complete: Callable[[Value, Value], bool] | None = None,
) -> Iterator[Window[Item, Value]]:
    """Yield a window around every item, in order.

    Holds ``after`` items that follow, and of ``before`` earlier ones only the values.

    Args:
        items: Items with what neighbors need to know of them.
        before: Maximum number of earlier values.
        after: Maximum number of later values.
        is_complete: Takes the value of an item and of the latest one, and returns whether the
            window of the first need not wait for more.
    """
    past: deque[Value] = deque(maxlen=before)
    ahead: deque[tuple[Item, Value]] = deque()

    def pop() -> Window[Item, Value]:
        item, value = ahead.popleft()
        window = Window(item, value, [*reversed(past)], [later for _, later in ahead])
        past.append(value)
        return window

    for pair in items:
        ahead.append(pair)
        while len(ahead) > after or (is_complete and is_complete(ahead[0][1], ahead[-1][1])):
            yield pop()
    while ahead:
        yield pop()
