"""How a setting is declared and checked."""

from dataclasses import MISSING, dataclass
from fractions import Fraction
from typing import Any, Literal

import pytest

from vidrestore.errors import ConfigError
from vidrestore.settings import (
    check_options,
    config_from,
    only_affecting,
    option,
    required,
    same_option,
    setting_of,
    settings_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    name: str = required("Its name.", group="The output", metavar="NAME")
    share: float = option(0.5, "A share.", group="How strongly", low=0, high=1)
    count: int | None = option(None, "A count.", group="The machine", low=1, means="a few")
    length: float = option(
        3.0, "A length.", group="Long films", above=0, high=60, unit="seconds", flag="long"
    )
    rate: Fraction = option(Fraction(25), "A rate.", group="The output", above=0, metavar="RATE")
    size: Literal[1, 2] | None = option(None, "A size.", group="The output")
    quick: bool = option(False, "Be quick.", group="The machine")

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    strength: float = same_option(Settings, "share")
    radius: int = 2

    def __post_init__(self) -> None:
        check_options(self)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"share": 1.01}, "share must be a number from 0 to 1, got 1.01"),
        ({"share": float("nan")}, "share must be a number from 0 to 1, got nan"),
        ({"share": None}, "share must be a number from 0 to 1, got None"),
        ({"share": "much"}, "share must be a number from 0 to 1, got 'much'"),
        ({"share": True}, "share must be a number from 0 to 1, got True"),
        ({"count": 0}, "count must be a whole number of at least 1, got 0"),
        ({"count": 1.5}, "count must be a whole number of at least 1, got 1.5"),
        ({"length": 0}, "length must be a number above 0 and at most 60 seconds, got 0"),
        ({"length": float("inf")}, "length must be a number above 0 and at most 60 seconds"),
        ({"rate": Fraction(0)}, "rate must be a number above 0, got"),
        ({"size": 3}, "size must be one of 1, 2, got 3"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name_and_range(
    value: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings(name="a", **value)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "value",
    [{"share": 0}, {"share": 1}, {"count": None}, {"count": 1}, {"length": 60}, {"size": None}],
)
def test_the_ends_of_a_range_are_within_it(value: dict[str, Any]) -> None:
    Settings(name="a", **value)


def test_a_setting_knows_its_option() -> None:
    name, share, count, length, rate, size, quick = settings_of(Settings)

    assert name.default is MISSING
    assert (share.flag, share.metavar, share.nullable) == ("--share", "0..1", False)
    assert (count.flag, count.metavar, count.nullable) == ("--count", "N", True)
    assert (length.flag, length.default) == ("--long", 3.0)
    assert rate.metavar == "RATE"
    assert (size.choices, size.metavar) == ((1, 2), "1|2")
    assert quick.metavar == ""


def test_a_stage_config_takes_default_range_and_value_from_its_setting() -> None:
    settings = Settings(name="a", share=0.25)

    assert StageConfig().strength == 0.5
    assert config_from(settings, StageConfig) == StageConfig(strength=0.25)
    assert config_from(settings, StageConfig, radius=4) == StageConfig(strength=0.25, radius=4)
    with pytest.raises(ConfigError, match="share must be a number from 0 to 1, got 2"):
        StageConfig(strength=2)


def test_settings_are_filtered_by_what_they_affect() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Two:
        pixels: int = option(1, "Pixels.", group="The output")
        files: int = option(1, "Files.", group="The output", affects="nothing")

    assert only_affecting(Two(pixels=2, files=2), "bytes") == Two(pixels=2)


def test_one_setting_is_found_by_its_name() -> None:
    assert setting_of(Settings, "length").flag == "--long"
