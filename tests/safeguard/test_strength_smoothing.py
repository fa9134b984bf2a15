"""Assessments along tracks: low ones count in full, change is slow, nothing far away matters."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from vidrestore.safeguard.strength_smoothing import smooth_strengths
from vidrestore.types import Assessment

CONTEXT_FRAMES = 7
LARGEST_STEP = 1 / 7 + 1e-9
Readings = Sequence[Mapping[int, Assessment]]


def of_track(strengths: Sequence[float]) -> Readings:
    return [{1: Assessment(strength, "turned")} for strength in strengths]


def strengths_of(readings: Readings, track: int = 1) -> list[float]:
    smoothed = [assessments for _, assessments in smooth_strengths(enumerate(readings))]
    return [assessments[track].strength for assessments in smoothed if track in assessments]


def random_tracks(seed: int, count: int = 80) -> list[dict[int, Assessment]]:
    """Return two tracks that come and go and are seldom looked at."""
    rng = np.random.default_rng(seed)
    frames: list[dict[int, Assessment]] = []
    for index in range(count):
        frame: dict[int, Assessment] = {}
        for track in (1, 2):
            if (index // 23 + track) % 3:
                measured = index % 4 == 0 or index % 23 == 0
                strength, similarity = (float(value) for value in rng.random(2))
                frame[track] = Assessment(strength, "eyes", similarity if measured else None)
        frames.append(frame)
    return frames


def test_a_low_assessment_applies_fully_in_its_own_frame() -> None:
    outcomes = strengths_of(of_track([1.0] * 10 + [0.0] + [1.0] * 10))

    assert outcomes[10] == 0.0
    assert outcomes[9] == outcomes[11] == 0.0  # that of neighbors holds here, too
    assert outcomes[0] == outcomes[20] == 1.0


@pytest.mark.parametrize("seed", range(4))
def test_strength_changes_by_no_more_than_a_seventh_a_frame(seed: int) -> None:
    rng = np.random.default_rng(seed)
    wild = [float(integer) for integer in rng.integers(0, 2, 60)]

    outcomes = strengths_of(of_track([1.0] * 9 + wild + [1.0] * 9))

    assert (max(outcomes), min(outcomes)) == (1.0, 0.0)
    assert np.abs(np.diff(outcomes)).max() <= LARGEST_STEP


def test_an_unlimited_track_has_full_strength_and_no_reason() -> None:
    (*_, (_, last)) = smooth_strengths((index, {1: Assessment()}) for index in range(20))

    assert last[1].strength == pytest.approx(1.0)
    assert last[1].reason is None


def test_the_reason_is_that_of_the_lowest_assessment_nearby() -> None:
    frames: list[dict[int, Assessment]] = [{1: Assessment(0.9, "turned")} for _ in range(9)]
    frames[6] = {1: Assessment(0.2, "eyes")}

    outcomes = list(smooth_strengths(enumerate(frames)))

    assert {each[1].reason for _, each in outcomes} == {"eyes"}


def test_a_gap_splits_a_track_and_other_tracks_have_no_influence() -> None:
    before: list[dict[int, Assessment]] = [{1: Assessment(0.0, "eyes")} for _ in range(6)]
    after: list[dict[int, Assessment]] = [
        {1: Assessment(1.0), 2: Assessment(0.0, "eyes")} for _ in range(6)
    ]

    assert strengths_of([*before, {}, *after]) == pytest.approx([0.0] * 6 + [1.0] * 6)


def test_similarity_is_linear_between_the_frames_in_which_it_was_measured() -> None:
    frames: list[dict[int, Assessment]] = [{1: Assessment()} for _ in range(6)]
    frames[0] = {1: Assessment(1.0, None, 0.9)}
    frames[4] = {1: Assessment(1.0, None, 0.7)}

    outcomes = [each[1].identity_similarity for _, each in smooth_strengths(enumerate(frames))]

    assert outcomes == pytest.approx([0.9, 0.85, 0.8, 0.75, 0.7, 0.7])


@pytest.mark.parametrize("seed", range(3))
def test_frames_beyond_the_window_have_no_influence_bit_for_bit(seed: int) -> None:
    frames = random_tracks(seed)
    full = [assessments for _, assessments in smooth_strengths(enumerate(frames))]

    for start, end in ((20, 33), (40, 41), (0, 12), (66, 80)):
        first = max(0, start - CONTEXT_FRAMES)
        part = frames[first : end + CONTEXT_FRAMES]
        alone = [assessments for _, assessments in smooth_strengths(enumerate(part))]
        assert alone[start - first : end - first] == full[start:end]


def test_no_more_frames_than_the_window_are_buffered() -> None:
    taken = 0

    def frames():  # type: ignore[no-untyped-def]
        nonlocal taken
        for index in range(50):
            taken = index
            yield index, {1: Assessment()}

    for index, _ in smooth_strengths(frames()):
        assert taken - index <= CONTEXT_FRAMES
