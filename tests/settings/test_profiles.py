"""Profiles: sets of settings that are allowed, below what is given explicitly."""

import pytest

from vidrestore import RestoreSettings
from vidrestore.settings import PROFILES, ProfileName, profile_settings


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_is_settings_that_differ_from_the_defaults(name: ProfileName) -> None:
    settings = RestoreSettings(**PROFILES[name].settings)

    for setting in PROFILES[name].settings:
        assert getattr(settings, setting) != getattr(RestoreSettings(), setting)


def test_the_default_profile_is_the_defaults() -> None:
    assert RestoreSettings(**PROFILES["watch"].settings) == RestoreSettings()


def test_command_line_options_override_a_profile() -> None:
    given = profile_settings("archive", explicit={"codec": "prores"})

    assert given == {"detail": 0.0, "verify": True}


def test_another_model_keeps_its_own_detail() -> None:
    assert "detail" not in profile_settings("archive", explicit={"model": "gfpgan-1.4"})
