"""Elementary streams: a rate from their headers, or the user's, or a refusal at the start."""

from fractions import Fraction
from pathlib import Path

import pytest
from support.clips import run_ffmpeg
from support.video_copies import copy_video, frames_of

from vidrestore.errors import ConfigError, MediaError
from vidrestore.media.input.raw_streams import check_rate_is_needed
from vidrestore.media.input.source import open_source
from vidrestore.media.input.video_info import probe
from vidrestore.verify import verify

RATE = Fraction(30_000, 1001)
PATTERN = ("-f", "lavfi", "-i", f"testsrc2=s=96x48:r={RATE}:d=1")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("film.h264", ("-c:v", "libx264", "-bf", "2")),
        ("film.hevc", ("-c:v", "libx265", "-x265-params", "log-level=none")),
        ("film.m2v", ("-c:v", "mpeg2video", "-bf", "2", "-f", "mpeg2video")),
        ("film.m4v", ("-c:v", "mpeg4", "-f", "m4v")),
        ("film.dv", ("-vf", "scale=720:480,fps=30000/1001", "-target", "ntsc-dv")),
    ],
)
def test_the_frame_rate_is_read_from_the_headers(
    tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    film = tmp_path / name
    run_ffmpeg(*PATTERN, *options, film)

    info = probe(film)
    frames = frames_of(film)

    assert info.average_rate == RATE
    assert len(frames) == 30
    times = [frame.timestamp.seconds - frames[0].timestamp.seconds for frame in frames]
    assert times == [index / RATE for index in range(30)]
    with open_source(film) as source:
        assert list(source)
        assert source.repaired_timestamps == 0
    with pytest.raises(ConfigError, match=r"29\.970 fps.*leave out --fps"):
        check_rate_is_needed(info, Fraction(25))
    copy_video(film, tmp_path / "copy.mkv")
    assert verify(film, tmp_path / "copy.mkv").kept


def test_a_stream_without_a_frame_rate_needs_the_option(tmp_path: Path) -> None:
    film = tmp_path / "film.mjpeg"
    run_ffmpeg(*PATTERN, "-c:v", "mjpeg", film)

    with pytest.raises(MediaError, match=r"does not state its frame rate.*--fps"):
        frames_of(film)

    check_rate_is_needed(probe(film), RATE)
    with open_source(film, fps=RATE) as source:
        assert source.info.average_rate == RATE
        assert [frame.timestamp.seconds for frame in source] == [n / RATE for n in range(30)]


def test_a_frame_rate_for_a_film_with_timestamps_is_refused(tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    run_ffmpeg(*PATTERN, film)

    with pytest.raises(ConfigError, match=r"its frames have timestamps.*leave out --fps"):
        check_rate_is_needed(probe(film), Fraction(25))
    check_rate_is_needed(probe(film), None)
