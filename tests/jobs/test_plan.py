"""Segments end at cuts, else at key frames, else when they are long."""

import pytest

from vidrestore.errors import ConfigError
from vidrestore.jobs.plan import FrameTiming, SegmentRule


def segment_starts(
    rule: SegmentRule, cuts: set[int], keys: set[int], frames: int, fps: float = 1.0
) -> list[int]:
    """Return where segments begin in a film of one frame a second."""
    starts: list[int] = []
    first = previous = FrameTiming(index=0, seconds=0.0, shot=0, key_frame=True)
    for index in range(1, frames):
        current = FrameTiming(
            index=index,
            seconds=index / fps,
            shot=sum(cut <= index for cut in cuts),
            key_frame=index in keys,
        )
        if rule.starts_segment(first, previous, current):
            starts.append(index)
            first = current
        previous = current
    return starts


RULE = SegmentRule(seconds=10)


def test_a_segment_that_is_long_enough_ends_at_the_next_shot_change() -> None:
    assert segment_starts(RULE, cuts={4, 12, 14, 22, 25}, keys=set(), frames=30) == [12, 22]


def test_without_shot_changes_a_segment_ends_at_a_key_frame() -> None:
    assert segment_starts(RULE, cuts=set(), keys=set(range(0, 100, 8)), frames=60) == [24, 48]


def test_without_shot_changes_or_key_frames_a_segment_ends_at_three_times_its_length() -> None:
    assert segment_starts(RULE, cuts=set(), keys=set(), frames=70) == [30, 60]


def test_the_number_of_frames_of_a_segment_is_bounded_at_any_frame_rate() -> None:
    assert segment_starts(RULE, cuts=set(), keys=set(), frames=1600, fps=1e6) == [1500]


def test_invalid_segment_lengths_are_refused() -> None:
    with pytest.raises(ConfigError, match="got 0"):
        SegmentRule(seconds=0)
