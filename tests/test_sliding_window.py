"""Windows over a stream: neighbors in order, a bounded number of them."""

from collections.abc import Iterator

import pytest

from vidrestore.sliding_window import sliding_window


@pytest.mark.parametrize("count", [0, 1, 2, 3, 9])
def test_every_item_has_its_neighbors_in_order_of_distance(count: int) -> None:
    windows = list(sliding_window(((str(i), i) for i in range(count)), before=2, after=3))

    assert [window.item for window in windows] == [str(i) for i in range(count)]
    for index, window in enumerate(windows):
        assert window.value == index
        assert window.before == [i for i in (index - 1, index - 2) if i >= 0]
        assert window.after == [i for i in range(index + 1, index + 4) if i < count]


def test_no_more_items_are_read_than_the_window_needs() -> None:
    read = 0

    def items() -> Iterator[tuple[int, int]]:
        nonlocal read
        for read in range(20):
            yield read, read

    for window in sliding_window(items(), before=1, after=4):
        assert read - window.item <= 4


def test_a_complete_window_reads_no_more_items() -> None:
    windows = sliding_window(
        ((None, seconds) for seconds in (0, 1, 2, 30, 31)),
        before=9,
        after=9,
        is_complete=lambda first, latest: latest - first > 5,
    )

    assert [window.after for window in windows] == [[1, 2, 30], [2, 30], [30], [31], []]
