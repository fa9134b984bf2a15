"""The stopwatch counts each stage without the stages inside it."""

import time
from collections.abc import Iterator

import pytest

from vidrestore.stage_timer import Stopwatch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def test_an_outer_stage_excludes_the_time_of_an_inner_one(clock: list[float]) -> None:
    watch = Stopwatch()
    with watch.stage("outer"):
        clock[0] += 1
        with watch.stage("inner"):
            clock[0] += 5
        clock[0] += 2
    assert watch.seconds == {"inner": 5.0, "outer": 3.0}


def test_chained_generators_are_timed_separately_and_without_the_consumer(
    clock: list[float],
) -> None:
    watch = Stopwatch()

    def numbers() -> Iterator[int]:
        for index in range(3):
            clock[0] += 1
            yield index

    def doubled(items: Iterator[int]) -> Iterator[int]:
        for item in items:
            clock[0] += 10
            yield 2 * item

    for _ in watch.timed("double", doubled(watch.timed("make", numbers()))):
        clock[0] += 100
    assert watch.seconds == {"make": 3.0, "double": 30.0}


def test_time_is_counted_up_to_an_error(clock: list[float]) -> None:
    watch = Stopwatch()

    def fail() -> None:
        with watch.stage("failing"):
            clock[0] += 4
            raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        fail()
    assert watch.seconds == {"failing": 4.0}


def test_closing_early_closes_the_source() -> None:
    closed: list[bool] = []

    def source() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    timed = Stopwatch().timed("source", source())
    assert next(timed) == 1
    timed.close()  # type: ignore[attr-defined]
    assert closed == [True]
