import threading
from collections.abc import Iterator

import pytest

from vidrestore.prefetch import BackgroundWriter, prefetched


def test_items_are_returned_in_order() -> None:
    assert list(prefetched(range(100), size=3)) == list(range(100))


def test_no_more_items_are_prefetched_than_the_limit() -> None:
    made = 0

    def items() -> Iterator[int]:
        nonlocal made
        for number in range(50):
            made += 1
            yield number

    ahead = prefetched(items(), size=2)
    taken = [next(ahead) for _ in range(5)]
    # In the queue, and one in the hand of the thread.
    assert made <= len(taken) + 2 + 1
    ahead.close()


def test_an_error_is_raised_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("the disk is gone")

    inputs: list[int] = []
    with pytest.raises(OSError, match="the disk is gone"):
        inputs.extend(prefetched(items(), size=4))
    ahead = prefetched(items(), size=4)
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(OSError, match="gone"):
        next(ahead)


def test_closing_early_stops_the_thread_and_closes_the_source() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.set()

    before = threading.active_count()
    ahead = prefetched(items(), size=2)
    next(ahead)
    ahead.close()

    assert closed.is_set()
    assert threading.active_count() == before


def test_a_queue_of_size_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="size must be >= 1"):
        prefetched([], size=0)
    with pytest.raises(ValueError, match="size must be >= 1"):
        BackgroundWriter(print, size=0)


def test_items_are_consumed_in_order_before_the_writer_is_finished() -> None:
    items: list[int] = []
    behind = BackgroundWriter(items.append, size=2)
    for number in range(50):
        behind.put(number)
    behind.finish()
    assert items == list(range(50))


def test_no_more_items_are_queued_than_the_limit() -> None:
    go = threading.Event()
    put = 0
    behind: BackgroundWriter[int] = BackgroundWriter(lambda _: go.wait() and None, size=2)

    def fill() -> None:
        nonlocal put
        for number in range(10):
            behind.put(number)
            put += 1

    filler = threading.Thread(target=fill)
    filler.start()
    filler.join(0.3)
    waiting = put
    go.set()
    filler.join()
    behind.finish()
    assert waiting <= 2 + 1
    assert put == 10


def test_an_error_of_the_consumer_is_raised_by_the_producer_and_stops_it() -> None:
    items: list[int] = []

    def consume(number: int) -> None:
        if number == 3:
            raise OSError("no space left")
        items.append(number)

    behind = BackgroundWriter(consume, size=1)

    def produce() -> None:
        for number in range(1000):
            behind.put(number)

    with pytest.raises(OSError, match="no space left"):
        produce()
    with pytest.raises(OSError, match="no space left"):
        behind.finish()
    assert items == [0, 1, 2]


def test_an_abandoned_writer_drops_queued_items() -> None:
    go = threading.Event()
    items: list[int] = []

    def consume(number: int) -> None:
        go.wait()
        items.append(number)

    before = threading.active_count()
    behind = BackgroundWriter(consume, size=5)
    for number in range(4):
        behind.put(number)
    threading.Timer(0.05, go.set).start()
    behind.abandon()
    assert items in ([], [0])
    assert threading.active_count() <= before + 1


def test_the_time_spent_consuming_is_reported() -> None:
    go = threading.Event()

    def consume(_: int) -> None:
        go.wait()

    behind = BackgroundWriter(consume, size=5)
    before = behind.busy_seconds
    behind.put(1)
    go.set()
    behind.finish()

    assert before == 0.0
    assert behind.busy_seconds > 0.0
