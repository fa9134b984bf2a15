"""Parts of messages."""

import pytest

from vidrestore.text import clock_text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (7325, "2:02:05")]
)
def test_seconds_are_formatted_as_a_clock(seconds: float, text: str) -> None:
    assert clock_text(seconds) == text
