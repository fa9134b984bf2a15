import pytest

from vidrestore.errors import ConfigError
from vidrestore.media import ENCODERS, EncoderSettings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codec": "divx"}, "unknown codec 'divx'; choose from: h264, h265, av1, ffv1, prores"),
        ({"codec": "h264", "crf": 60}, "crf of h264 must be 0 to 51, got 60"),
        ({"codec": "ffv1", "crf": 10}, "ffv1 has no crf; leave it out"),
        ({"codec": "h265", "preset": "quick"}, "unknown preset 'quick' of h265"),
        ({"codec": "ffv1", "preset": "fast"}, "unknown preset 'fast' of ffv1.*leave it out"),
        ({"threads": -1}, "threads must be >= 0"),
    ],
)
def test_settings_that_an_encoder_does_not_have_are_refused(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        EncoderSettings(**options)


@pytest.mark.parametrize("codec", sorted(ENCODERS))
def test_every_codec_works_with_its_defaults(codec: str) -> None:
    assert EncoderSettings(codec=codec).spec.encoders
