import pytest

from vidrestore.errors import ConfigError
from vidrestore.faces.config import DetectorConfig, SmoothingConfig, TrackerConfig


@pytest.mark.parametrize(
    ("build", "setting"),
    [
        (lambda: DetectorConfig(min_face_px=5), "min_face_px"),
        (lambda: DetectorConfig(output_threshold=1.5), "output_threshold"),
        (lambda: TrackerConfig(min_hits=0), "min_hits"),
        (lambda: TrackerConfig(lookahead_seconds=0.1), "lookahead_seconds"),
        (lambda: SmoothingConfig(window_seconds=-1.0), "window_seconds"),
        (lambda: SmoothingConfig(max_window_frames=0), "max_window_frames"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(build: object, setting: str) -> None:
    assert callable(build)
    with pytest.raises(ConfigError, match=setting):
        build()
