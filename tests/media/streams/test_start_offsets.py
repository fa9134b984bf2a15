"""Where streams begin, in containers that cannot hold every beginning."""

from fractions import Fraction
from pathlib import Path

import av
import pytest
from support.clips import (
    Clip,
    Sound,
    first_beep_seconds,
    first_flash_seconds,
    make_clip,
    make_rich_clip,
    packets_of,
    run_ffmpeg,
)
from support.verify_cases import changed_names, find_check
from support.video_copies import copy_video, frames_of

from vidrestore.errors import UnsupportedStreamError
from vidrestore.media.input.video_info import probe
from vidrestore.verify import verify

MOMENT = Fraction(3, 5)
TICKS = tuple(range(25))


def film(path: Path, codec: str, start: Fraction = Fraction(0), ticks=TICKS) -> Path:
    """A flash and a beep at the same moment."""
    sound = Sound(codec=codec, start_seconds=start, beeps_seconds=(MOMENT,))
    return make_clip(path, Clip(ticks=ticks, flashes_seconds=(MOMENT,), sounds=(sound,)))


def shown_flash_seconds(path: Path) -> Fraction:
    """When our own reader first shows white: what AVI's packets say of times is FFmpeg's guess."""
    return next(
        frame.timestamp.seconds for frame in frames_of(path) if frame.planes[0].mean() > 220
    )


@pytest.mark.parametrize("ticks", [TICKS, tuple(range(3, 28))])
@pytest.mark.parametrize("source", ["film.mov", "film.mkv"])
def test_avi_streams_that_begin_together_stay_in_sync(
    tmp_path: Path, source: str, ticks: tuple[int, ...]
) -> None:
    path = film(tmp_path / source, "pcm_s16le", start=Fraction(ticks[0], 25), ticks=ticks)
    target = tmp_path / "out.avi"

    assert copy_video(path, target, codec="h264") == []

    assert changed_names(verify(path, target)) == []
    assert [frame.timestamp.seconds * 25 for frame in frames_of(target)] == list(TICKS)
    lag = first_beep_seconds(target) - shown_flash_seconds(target)
    before = first_beep_seconds(path) - first_flash_seconds(path)
    assert abs(lag - before) <= Fraction(1, 1000)


@pytest.mark.parametrize(
    ("name", "codec", "start", "message"),
    [
        ("film.mkv", "pcm_s16le", Fraction(1, 2), "0.500 s after the video"),
        ("film.mkv", "pcm_s16le", Fraction(1, 100), "0.010 s after the video"),
        ("film.mp4", "aac", Fraction(0), "0.021 s before the video"),
    ],
)
def test_audio_that_avi_would_shift_is_refused_before_restoring(
    tmp_path: Path, name: str, codec: str, start: Fraction, message: str
) -> None:
    path = film(tmp_path / name, codec, start)

    with pytest.raises(UnsupportedStreamError) as caught:
        copy_video(path, tmp_path / "out.avi", codec="h264")

    assert message in str(caught.value)
    assert "-o out.mkv" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == [name]

    notes = copy_video(path, tmp_path / "out.avi", codec="h264", drop_unsupported=True)

    assert any("was dropped" in note and message in note for note in notes)
    assert [stream.kind for stream in probe(tmp_path / "out.avi").streams] == ["video"]
    assert [frame.timestamp.seconds * 25 for frame in frames_of(tmp_path / "out.avi")] == list(
        TICKS
    )


def test_an_inaudible_shift_of_audio_in_avi_is_noted(tmp_path: Path) -> None:
    # The encoder is 481 samples late.
    path = film(tmp_path / "film.mkv", "mp2")

    (note,) = copy_video(path, tmp_path / "out.avi", codec="h264")

    assert "stream 1 (audio, mp2) starts 0.010 s before the video in the source" in note
    assert packets_of(tmp_path / "out.avi", "audio")[0].pts == 0


@pytest.mark.parametrize("codec", ["h264", "ffv1"])
def test_chapters_and_subtitles_shift_with_all_streams_if_audio_begins_below_0(
    tmp_path: Path, codec: str
) -> None:
    (tmp_path / "a").mkdir()
    rich = make_rich_clip(tmp_path / "a", "rich.mp4")
    path = tmp_path / "film.mp4"
    run_ffmpeg("-i", rich, "-map", "0:v", "-map", "0:a", "-c", "copy", path)
    target = tmp_path / "out.mkv"

    notes = copy_video(path, target, codec=codec)

    assert "all streams start 0.021 s later: .mkv cannot store negative timestamps" in notes
    later = Fraction(21, 1000)
    assert frames_of(target)[0].timestamp.seconds == later
    assert [chapter.start_seconds for chapter in probe(target).chapters] == [
        later + chapter.start_seconds for chapter in probe(path).chapters
    ]
    verification = verify(path, target)
    assert changed_names(verification) == []
    assert "all 0.021 s later" in find_check(verification, "timestamps").detail


@pytest.mark.parametrize("name", ["film.mkv", "film.mp4"])
def test_a_declared_encoder_delay_does_not_shift_streams(tmp_path: Path, name: str) -> None:
    path = film(tmp_path / name, "libopus")

    assert copy_video(path, tmp_path / "out.mkv") == []

    with av.open(str(tmp_path / "out.mkv")) as container:
        packet = next(packet for packet in container.demux(audio=0) if packet.size)
    assert packet.pts == -7, "it begins at 0: this proves nothing"
    assert frames_of(tmp_path / "out.mkv")[0].timestamp.ticks == 0
