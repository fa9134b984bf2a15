"""Copied audio plays at the times of the source, by the ffmpeg program's decoding of both films."""

import re
from fractions import Fraction
from pathlib import Path

import pytest
from support.clips import run_ffmpeg
from support.playback import decoded_frames, sound_lag_seconds
from support.verify_cases import changed_names
from support.video_copies import copy_video

from vidrestore.errors import UnsupportedStreamError
from vidrestore.media.input.video_info import probe
from vidrestore.settings import CodecName
from vidrestore.verify import verify

CODECS = {
    "mp2": ("mp2",),
    "mp3": ("libmp3lame", "-b:a", "96k"),
    "mp3 vbr": ("libmp3lame", "-q:a", "5"),
    "ac3": ("ac3",),
    "eac3": ("eac3",),
    # Noise substitution depends on what was decoded before.
    "aac": ("aac", "-aac_pns", "0"),
    "flac": ("flac",),
    "alac": ("alac",),
    "pcm": ("pcm_s16le",),
    "pcm float": ("pcm_f32le",),
    "opus": ("libopus", "-ar", "48000"),
    "vorbis": ("libvorbis",),
    "dts": ("dca", "-strict", "-2"),
    "wma": ("wmav2",),
    "adpcm": ("adpcm_ms",),
}
VIDEO: dict[str, CodecName] = {".ts": "h264", ".mov": "prores"}
ROUNDING = Fraction(12, 10_000)


def noise_film(path: Path, codec: str) -> Path:
    """Write a film whose audio frames all differ."""
    video = "flv1" if path.suffix == ".flv" else "mpeg4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=96x48:r=25:d=1.2"),
        *("-f", "lavfi", "-i", "anoisesrc=d=1.2:r=44100:seed=3"),
        *("-c:v", video, "-bf", "0", "-ac", "2", "-c:a", *CODECS[codec], path),
    )
    return path


@pytest.mark.parametrize(
    ("codec", "source", "target"),
    [
        ("mp2", ".avi", ".avi"),
        ("mp3", ".avi", ".avi"),
        ("mp3 vbr", ".avi", ".avi"),
        ("ac3", ".avi", ".avi"),
        ("aac", ".avi", ".avi"),
        ("wma", ".avi", ".avi"),
        ("adpcm", ".avi", ".avi"),
        ("pcm", ".avi", ".avi"),
        ("mp3 vbr", ".avi", ".mkv"),
        ("ac3", ".avi", ".mp4"),
        ("mp2", ".avi", ".ts"),
        ("flac", ".avi", ".mp4"),
        ("pcm", ".avi", ".mp4"),
        ("pcm float", ".mkv", ".mp4"),
        ("ac3", ".flv", ".avi"),
        ("eac3", ".flv", ".mp4"),
        ("opus", ".flv", ".mp4"),
        ("opus", ".mkv", ".ts"),
        ("opus", ".ts", ".mkv"),
        ("vorbis", ".mkv", ".mp4"),
        ("dts", ".ts", ".mov"),
        ("alac", ".mov", ".mkv"),
        ("aac", ".ts", ".mp4"),
        ("aac", ".mp4", ".mkv"),
        ("aac", ".mov", ".ts"),
        ("ac3", ".mkv", ".mov"),
        ("wma", ".wmv", ".mkv"),
        ("adpcm", ".mkv", ".mkv"),
    ],
)
def test_copied_audio_plays_at_the_times_of_the_source(
    tmp_path: Path, codec: str, source: str, target: str
) -> None:
    film, copy = noise_film(tmp_path / f"film{source}", codec), tmp_path / f"copy{target}"

    notes = copy_video(film, copy, codec=VIDEO.get(target, "ffv1"))

    message = re.search(r"starts (\S+) s ", " ".join(notes))
    moved = Fraction(message[1]) if message else Fraction(0)
    before, after = decoded_frames(film, "v"), decoded_frames(copy, "v")
    shift = after[0].seconds - before[0].seconds
    assert len(after) == len(before)
    for a, b in zip(before, after, strict=True):
        assert abs(b.seconds - a.seconds - shift) <= ROUNDING
    sound, copied = sound_lag_seconds(film), sound_lag_seconds(copy)
    if codec.startswith("pcm"):
        # Every container cuts PCM into other packets: where it begins and ends is what counts.
        begins = [decoded_frames(path, "a")[0].seconds for path in (film, copy)]
        ends = [e.seconds + e.duration_seconds for e in (
            decoded_frames(film, "a")[-1], decoded_frames(copy, "a")[-1])]  # fmt: skip
        assert abs(begins[1] - begins[0] - shift) <= ROUNDING
        assert abs(ends[1] - ends[0] - shift) <= ROUNDING
        return
    # The first frames differ where a container does not say how late the encoder was.
    assert len(sound.keys() & copied.keys()) >= len(sound) - 2
    assert abs(len(copied) - len(sound)) <= 1
    for checksum in sound.keys() & copied.keys():
        assert abs(copied[checksum] - sound[checksum]) <= ROUNDING + moved
    assert [name for name in changed_names(verify(film, copy)) if name.startswith("stream")] == []


@pytest.mark.parametrize(
    ("codec", "source"), [("flac", ".mkv"), ("eac3", ".ts"), ("dts", ".mkv"), ("adpcm", ".mov")]
)
def test_audio_whose_timing_avi_cannot_store_is_refused(
    tmp_path: Path, codec: str, source: str
) -> None:
    film = noise_film(tmp_path / f"film{source}", codec)

    with pytest.raises(
        UnsupportedStreamError, match=r"\.avi does not support stream .*-o out\.mkv"
    ):
        copy_video(film, tmp_path / "out.avi")


def test_mp2_audio_in_mp4_stays_mp2(tmp_path: Path) -> None:
    film = noise_film(tmp_path / "film.mp4", "mp2")

    copy_video(film, tmp_path / "copy.mkv")

    assert probe(tmp_path / "copy.mkv").streams[1].codec == "mp2"
    assert changed_names(verify(film, tmp_path / "copy.mkv")) == []


@pytest.mark.parametrize("target", [".mkv", ".ts"])
def test_audio_in_packets_shorter_than_a_tick_does_not_drift(tmp_path: Path, target: str) -> None:
    film, copy = tmp_path / "film.mkv", tmp_path / f"copy{target}"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=96x48:r=25:d=1.2"),
        *("-f", "lavfi", "-i", "anoisesrc=d=1.2:r=48000:seed=3"),
        *("-c:v", "mpeg4", "-bf", "0", "-ac", "2", "-c:a", "truehd", "-strict", "-2", film),
    )

    notes = copy_video(film, copy, codec="h264")

    assert not any("timestamps" in note and "increase" in note for note in notes)
    sound, copied = sound_lag_seconds(film), sound_lag_seconds(copy)
    assert copied.keys() == sound.keys()
    assert max(abs(copied[data] - sound[data]) for data in sound) <= ROUNDING
    assert [name for name in changed_names(verify(film, copy)) if name.startswith("stream")] == []


def test_eight_channel_aac_is_refused_if_players_could_not_decode_it(
    tmp_path: Path,
) -> None:
    film = tmp_path / "film.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=96x48:r=25:d=0.4"),
        *("-f", "lavfi", "-i", "anoisesrc=d=0.4:r=48000"),
        *("-c:v", "mpeg4", "-c:a", "aac", "-af", "aformat=channel_layouts=7.1", film),
    )

    with pytest.raises(UnsupportedStreamError, match=r"does not support stream 1 \(audio, aac"):
        copy_video(film, tmp_path / "copy.ts", codec="h264")
    copy_video(film, tmp_path / "copy.mkv")
    assert len(decoded_frames(tmp_path / "copy.mkv", "a")) > 15


def test_a_second_avi_video_stream_with_b_frames_is_refused_if_times_are_needed(
    tmp_path: Path,
) -> None:
    film = tmp_path / "film.avi"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=96x48:r=25:d=0.8"),
        *("-f", "lavfi", "-i", "testsrc2=s=64x64:r=25:d=0.8"),
        *("-map", "0", "-map", "1", "-c:v", "mpeg4", "-bf", "2", film),
    )

    with pytest.raises(UnsupportedStreamError, match=r"stream 1 \(video, mpeg4\)"):
        copy_video(film, tmp_path / "copy.mkv")
    notes = copy_video(film, tmp_path / "copy.mkv", drop_unsupported=True)
    assert any("stream 1" in note and "dropped" in note for note in notes)
