"""Missing frames are found from the timestamps, only in films with a constant frame rate."""

import json
from collections.abc import Iterable
from fractions import Fraction

import pytest

from vidrestore.pipeline.frame_cadence import FrameCadence, MissingFrames
from vidrestore.types import Timestamp


def cadence_of(ticks: Iterable[int], time_base: Fraction = Fraction(1, 25)) -> FrameCadence:
    cadence = FrameCadence()
    for tick in ticks:
        cadence.add(Timestamp(tick, time_base))
    return cadence


def test_gaps_at_a_constant_frame_rate_are_counted_and_the_first_is_named() -> None:
    ticks = [*range(50), *range(53, 100), *range(101, 150)]
    assert cadence_of(ticks).missing() == MissingFrames(frames=4, places=2, first_seconds=49 / 25)


def test_rounded_timestamps_count_as_a_constant_frame_rate() -> None:
    ticks = [round(1001 * number / 30) for number in range(300) if number not in (100, 101)]
    missing = cadence_of(ticks, Fraction(1, 1000)).missing()
    assert missing is not None
    assert (missing.frames, missing.places) == (2, 1)
    assert str(missing).startswith(
        "2 frames are missing in 1 place of a constant frame rate, the first"
    )


@pytest.mark.parametrize(
    "ticks",
    [
        range(100),
        (5,),
        (),
        # Telecined: pictures shown for two and three fields in turn.
        [tick for number in range(50) for tick in (number * 5, number * 5 + 2)],
        [number * number for number in range(2000)],
    ],
)
def test_films_without_gaps_or_of_variable_frame_rate_have_no_missing_frames(
    ticks: Iterable[int],
) -> None:
    assert cadence_of(ticks).missing() is None


def test_counts_of_segments_merge_into_those_of_the_full_film() -> None:
    ticks = [*range(50), *range(53, 100), *range(102, 110)]
    full = cadence_of(ticks)
    joined = FrameCadence()
    for start, end in ((0, 0), (0, 1), (1, 50), (50, 60), (60, len(ticks))):
        joined.merge(json.loads(json.dumps(cadence_of(ticks[start:end]).to_json())))
    assert joined.missing() == full.missing()
    with pytest.raises(ValueError, match="malformed frame steps"):
        joined.merge({})
