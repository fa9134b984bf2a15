"""The settings of the package: names in them are those of the tables that they choose from."""

import pytest

from vidrestore import ConfigError, JobSettings, RestoreSettings
from vidrestore.media.output.encoder_table import DNXHR_FORMATS, ENCODERS
from vidrestore.models.upscalers.registry import UPSCALERS
from vidrestore.paste.settings import PasteConfig
from vidrestore.restore.settings import TemporalConfig
from vidrestore.safeguard.config import SafeguardConfig
from vidrestore.settings import (
    CODECS,
    UPSCALER_NAMES,
    TrackStrength,
    config_from,
    parse_track_strengths,
    setting_of,
    settings_of,
)


def test_every_codec_has_options_and_an_encoder() -> None:
    assert CODECS.keys() == ENCODERS.keys()
    assert tuple(CODECS) == setting_of(RestoreSettings, "codec").choices
    assert CODECS["dnxhr"].presets == tuple(DNXHR_FORMATS)


def test_the_default_of_every_codec_is_one_of_its_values() -> None:
    for codec in CODECS.values():
        assert codec.preset is None or codec.preset in codec.presets
        assert (codec.crf is None) == (codec.crf_range is None)
        if codec.crf is not None and codec.crf_range is not None:
            assert codec.crf_range[0] <= codec.crf <= codec.crf_range[1]


def test_the_names_of_backgrounds_are_those_of_the_networks_in_the_package() -> None:
    assert {*UPSCALER_NAMES} == {*UPSCALERS}


def test_no_two_settings_have_the_same_option() -> None:
    flags = [
        setting.flag for owner in (RestoreSettings, JobSettings) for setting in settings_of(owner)
    ]
    assert len({*flags}) == len(flags)


def test_every_help_text_has_full_sentences() -> None:
    for owner in (RestoreSettings, JobSettings):
        for setting in settings_of(owner):
            assert setting.option.help.endswith("."), setting.name
            assert setting.option.help[0].isupper()


def test_stages_get_the_settings_of_a_run() -> None:
    settings = RestoreSettings(
        strength=0.1,
        track_strengths=(TrackStrength(3, 0.7),),
        mask="face",
        steady=0.3,
        safeguard=0.4,
        keep_good=0.5,
    )

    paste = config_from(settings, PasteConfig)
    assert paste == PasteConfig(strength=0.1, track_strengths=(TrackStrength(3, 0.7),), mask="face")
    assert [paste.strength_of(track) for track in (3, 4)] == [0.7, 0.1]
    assert [settings.strength_of(track) for track in (3, 4)] == [0.7, 0.1]
    assert config_from(settings, TemporalConfig) == TemporalConfig(strength=0.3)
    assert config_from(settings, SafeguardConfig) == SafeguardConfig(strength=0.4, keep_good=0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [("3=1.5", "0 to 1, got 3=1.5"), ("3=1,3=0", "track 3 twice"), ("0=1", "from 1 on")],
)
def test_a_strength_out_of_range_and_a_second_one_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RestoreSettings(track_strengths=parse_track_strengths(text))
