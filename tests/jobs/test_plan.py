"""Segments end at cuts, else at key frames, else when they are long."""

import pytest

from vidrestore.errors import ConfigError
from vidrestore.jobs.plan import Moment, SegmentRule


def begins(
    rule: SegmentRule, cuts: set[int], keys: set[int], frames: int, fps: float = 1.0
) -> list[int]:
    """Return where segments begin in a film of one frame a second."""
    found: list[int] = []
    first = before = Moment(index=0, seconds=0.0, shot=0, key_frame=True)
    for index in range(1, frames):
        now = Moment(
            index=index,
            seconds=index / fps,
            shot=sum(cut <= index for cut in cuts),
            key_frame=index in keys,
        )
        if rule.begins(first, before, now):
            found.append(index)
            first = now
        before = now
    return found


RULE = SegmentRule(seconds=10)


def test_a_segment_ends_at_the_first_cut_when_it_is_long_enough() -> None:
    assert begins(RULE, cuts={4, 12, 14, 22, 25}, keys=set(), frames=30) == [12, 22]


def test_without_cuts_it_ends_at_a_key_frame() -> None:
    assert begins(RULE, cuts=set(), keys=set(range(0, 100, 8)), frames=60) == [24, 48]


def test_without_either_it_ends_when_it_is_three_times_as_long() -> None:
    assert begins(RULE, cuts=set(), keys=set(), frames=70) == [30, 60]


def test_however_slow_the_clock_a_segment_is_bounded_in_frames() -> None:
    assert begins(RULE, cuts=set(), keys=set(), frames=1600, fps=1e6) == [1500]


def test_lengths_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="got 0"):
        SegmentRule(seconds=0)
