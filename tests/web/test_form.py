import shlex
from fractions import Fraction
from typing import Any

import pytest

from vidrestore.cli.restore import parse_restore
from vidrestore.errors import ConfigError
from vidrestore.settings import (
    PROFILES,
    RestoreSettings,
    setting_of,
    settings_of,
)
from vidrestore.web.form import FIRST_NAMES, Form, RawValue, option_words

FORM = Form(["lite", "gfpgan-1.4"])
DEFAULTS: dict[str, RawValue] = {field.name: field.default for field in FORM.fields}


def test_every_setting_but_those_of_a_single_run_is_a_field_with_help() -> None:
    settings = [setting for setting in settings_of(RestoreSettings) if not setting.option.per_run]

    assert [field.name for field in FORM.fields] == [setting.name for setting in settings]
    assert {*FIRST_NAMES} == {field.name for field in FORM.first}
    assert len(FORM.first) + len(FORM.more) == len(FORM.fields)
    for field in FORM.fields:
        assert field.help.startswith(setting_of(RestoreSettings, field.name).option.help)


def test_an_unchanged_form_has_the_defaults_and_gives_no_options() -> None:
    assert FORM.settings(DEFAULTS) == FORM.settings({}) == RestoreSettings()
    assert option_words(FORM.settings(DEFAULTS)) == []


@pytest.mark.parametrize(
    "raw",
    [
        {"model": "gfpgan-1.4", "strength": 0.7},
        {"detail": 0.35, "codec": "ffv1", "faces": "largest"},
        {"background": "compact", "scale": "2"},
        {"start_seconds": "0:01.04", "end_seconds": "12.5", "min_face_px": "30"},
        {"crf": "20.5", "preset": "slow", "codec": "h265"},
        {"fps": "23.976"},
        {"pulldown": True, "verify": True, "drop_unsupported": True},
        {"device": "cuda:1", "batch_size": "4", "program": 2},
        {"deinterlace": "frame", "chroma": "420", "mask": "face", "precision": "fp32"},
        {"grain": 0, "steady": 1 / 3},
    ],
)
def test_the_command_line_has_the_settings_of_the_form(raw: dict[str, Any]) -> None:
    settings = FORM.settings({**DEFAULTS, **raw})
    words = option_words(settings)
    _, arguments = parse_restore(["film.mkv", "-o", "out.mkv", "--config=none", *words])

    assert len(words) == len(raw)
    for name in raw:
        typed, meant = getattr(arguments.typed, name), getattr(settings, name)
        assert typed == (pytest.approx(meant) if isinstance(meant, float) else meant)
    assert shlex.split(shlex.join(words)) == words


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_fills_the_form_with_its_settings(name: Any) -> None:
    settings = FORM.settings(FORM.profile(name))

    assert settings == RestoreSettings(**PROFILES[name].settings)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"strength": 1.5}, "strength: must be a number from 0 to 1"),
        ({"strength": float("nan")}, "strength: must be a number from 0 to 1"),
        ({"strength": None}, "strength: must not be empty"),
        ({"model": "/etc/passwd"}, "model: must be one of lite, gfpgan-1.4"),
        ({"background": "../x.pth"}, "background: must be one of"),
        ({"codec": "divx"}, "codec: must be one of"),
        ({"start_seconds": "--output=x"}, "start: .* is not a time"),
        ({"fps": "0"}, "fps: a frame rate must be above 0"),
        ({"crf": "x"}, "crf: could not convert"),
        ({"crf": "60"}, "crf of h264 must be 0 to 51"),
        ({"batch_size": "1.5"}, "batch size: must be a whole number"),
        ({"pulldown": "yes"}, "pulldown: must be on or off"),
        ({"scale": "2"}, "scale needs background"),
        ({"device": "cpu\n--overwrite"}, "device: must be one line"),
    ],
)
def test_invalid_values_are_refused_by_the_name_of_the_field(
    raw: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        FORM.settings({**DEFAULTS, **raw})


def test_no_value_can_become_an_option() -> None:
    arguments = option_words(RestoreSettings(model="--overwrite", preset=None))

    assert arguments == ["--model=--overwrite"]


def test_a_time_is_written_as_a_decimal() -> None:
    arguments = option_words(RestoreSettings(start_seconds=Fraction(1, 3), end_seconds=Fraction(2)))

    assert arguments == ["--start=0.333333333333", "--end=2"]
