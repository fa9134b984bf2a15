from fractions import Fraction

import pytest

from vidrestore.settings import (
    RestoreSettings,
    parse_rate,
    parse_time,
    parse_track_strengths,
    parse_tracks,
    setting_of,
    value_reader,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", Fraction(0)),
        ("12.5", Fraction(25, 2)),
        (".04", Fraction(1, 25)),
        ("0.1", Fraction(1, 10)),
        ("1:02", Fraction(62)),
        ("01:02:03.004", Fraction(3_723_004, 1000)),
        ("100:00:00", Fraction(360_000)),
    ],
)
def test_a_time_is_exact(text: str, seconds: Fraction) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "1:60", "1:2:3:4", "1e3", "nan", "1:61:00", "90:00"]
)
def test_an_invalid_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        parse_time(text)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("25", Fraction(25)),
        ("12.5", Fraction(25, 2)),
        ("24000/1001", Fraction(24_000, 1001)),
        ("23.976", Fraction(24_000, 1001)),
        ("29.97", Fraction(30_000, 1001)),
    ],
)
def test_a_frame_rate_is_exact_and_ntsc_names_mean_the_exact_rates(
    text: str, rate: Fraction
) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["0", "0.0", "1/0", "-25", "x", "", "25fps", "0/5"])
def test_an_invalid_frame_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="rate"):
        parse_rate(text)


@pytest.mark.parametrize(("text", "numbers"), [("3", (3,)), ("3,5", (3, 5)), ("0", (0,))])
def test_tracks_are_named_by_their_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert parse_tracks(text) == numbers


@pytest.mark.parametrize("text", ["", "x", "-1", "3,", "3;5", "1.5", "3 5", "٣"])
def test_an_invalid_track_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a track"):
        parse_tracks(text)


@pytest.mark.parametrize(
    ("text", "strengths"),
    [("3=0.5", ((3, 0.5),)), ("3=.5,7=0", ((3, 0.5), (7, 0.0))), ("0=1", ((0, 1.0),))],
)
def test_a_track_has_its_own_strength(text: str, strengths: tuple[tuple[int, float], ...]) -> None:
    parsed = parse_track_strengths(text)
    assert parsed == strengths
    assert parse_track_strengths(",".join(map(str, parsed))) == parsed


@pytest.mark.parametrize("text", ["", "3", "3=", "=1", "3=x", "3=-1", "3=1,", "3=1;4=1", "3 = 1"])
def test_an_invalid_track_strength_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a track with its strength"):
        parse_track_strengths(text)


def repair_of(text: str) -> object:
    reader = value_reader(setting_of(RestoreSettings, "repair"))
    assert reader is not None
    return reader(text)


@pytest.mark.parametrize(
    ("text", "repairs"),
    [
        ("flicker", ("flicker",)),
        ("flicker,dust", repair_of("dust,flicker")),
        ("dust,dust,scratches", repair_of("scratches,dust")),
    ],
)
def test_repairs_are_each_done_once_in_one_order_however_they_are_named(
    text: str, repairs: object
) -> None:
    assert repair_of(text) == repairs


@pytest.mark.parametrize("text", ["", "mold", "dust,", "dust;flicker", "Dust"])
def test_an_unknown_repair_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        repair_of(text)
