import pytest

from vidrestore.errors import ConfigError, MediaError
from vidrestore.media.color.pixel_formats import PLANAR
from vidrestore.media.output.encoder_table import ENCODERS, EncoderSettings
from vidrestore.media.output.encoders import encoder_choice


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codec": "divx"}, "codec must be one of h264, .*, prores, dnxhr, got 'divx'"),
        ({"codec": "h264", "crf": 60}, "crf of h264 must be 0 to 51, got 60"),
        ({"codec": "ffv1", "crf": 10}, "ffv1 has no crf; leave it out"),
        ({"codec": "h265", "preset": "quick"}, "unknown preset 'quick' of h265"),
        ({"codec": "ffv1", "preset": "fast"}, "unknown preset 'fast' of ffv1.*leave it out"),
        ({"threads": -1}, "threads must be >= 0"),
    ],
)
def test_settings_an_encoder_lacks_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EncoderSettings(**options)


@pytest.mark.parametrize("codec", sorted(ENCODERS))
def test_every_codec_works_with_its_defaults(codec: str) -> None:
    assert EncoderSettings(codec=codec).spec.encoders


@pytest.mark.parametrize(
    ("codec", "max_hw", "too_large_hw"),
    [
        ("h264", (16_384, 64), (16_386, 64)),
        ("h265", (8704, 16_384), (8706, 16_384)),
        ("av1", (8704, 64), (8706, 64)),
    ],
)
def test_frames_too_large_for_a_codec_are_refused_naming_a_codec_that_fits(
    codec: str, max_hw: tuple[int, int], too_large_hw: tuple[int, int]
) -> None:
    settings, pixel_format = EncoderSettings(codec=codec), PLANAR["yuv420p"]

    assert encoder_choice(settings, pixel_format, max_hw).planar == pixel_format
    with pytest.raises(MediaError, match=rf"above the maximum frame size of {codec}.*--codec ffv1"):
        encoder_choice(settings, pixel_format, too_large_hw)
