"""Folders of images as results and sources: nothing stale, nothing lost without a word."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from support.clips import RATE, Clip, Sound, make_clip, run_ffmpeg
from support.verify_cases import changed_names, find_check, record_of
from support.video_copies import copy_video, frames_of

from vidrestore.media.input.folder import missing_frame_numbers
from vidrestore.verify import verify


def images(folder: Path, count: int) -> Path:
    folder.mkdir()
    run_ffmpeg("-f", "lavfi", "-i", f"testsrc2=s=96x48:r=25:d={count / 25}",
               folder / "shot2_%04d.png")  # fmt: skip
    return folder


def test_a_shorter_sequence_removes_the_frames_of_a_longer_one(tmp_path: Path) -> None:
    target = tmp_path / "out"
    copy_video(images(tmp_path / "long", 12), target)
    (target / "notes.txt").write_text("mine")
    (target / "poster.png").write_text("mine, too")

    copy_video(images(tmp_path / "short", 6), target, overwrite=True)

    frames = sorted(path.name for path in target.glob("shot2_*.png"))
    assert frames == [f"shot2_{number:04}.png" for number in range(1, 7)]
    assert (target / "notes.txt").exists()
    assert (target / "poster.png").exists()


def test_missing_frame_numbers_are_reported(tmp_path: Path) -> None:
    folder = images(tmp_path / "in", 12)
    assert missing_frame_numbers(folder) == []
    for number in (7, 9):
        (folder / f"shot2_{number:04}.png").unlink()

    assert missing_frame_numbers(folder) == [7, 9]
    assert len(frames_of(folder)) == 10


UNEVEN = (0, 1, 2, 7, 8, 9)
FLAC = Sound(codec="flac")


def sound_packets(path: Path) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as container:
        (stream,) = container.streams.audio
        return [
            ((packet.pts or 0) * packet.time_base, bytes(packet))
            for packet in container.demux(stream)
            if packet.size
        ]


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix != ".png"}


def test_audio_and_uneven_times_of_a_film_are_written_next_to_its_frames(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mkv", Clip(ticks=UNEVEN, sounds=(FLAC,)))

    notes = copy_video(film, tmp_path / "out")

    assert sound_packets(tmp_path / "out" / "sound.mka") == sound_packets(film)
    first, *lines = (tmp_path / "out" / "timestamps.txt").read_text().splitlines()
    assert first == "# timestamp format v2"
    assert [Fraction(line) / 1000 for line in lines] == [tick / RATE for tick in UNEVEN]
    assert any("sound.mka" in note for note in notes)
    assert any("timestamps.txt" in note for note in notes)
    assert changed_names(verify(film, tmp_path / "out")) == []


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("mp4", "aac"), ("mp4", "libmp3lame"), ("mkv", "aac"), ("mov", "pcm_s16be"),
        ("avi", "pcm_s16le"), ("avi", "ac3"), ("ts", "mp2"), ("wmv", "wmav2"),
    ],
)  # fmt: skip
def test_the_audio_file_next_to_an_image_sequence_verifies(
    tmp_path: Path, suffix: str, codec: str
) -> None:
    film = tmp_path / f"film.{suffix}"
    video = "msmpeg4v3" if suffix == "wmv" else "mpeg4"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x48:r=25:d=1", "-f", "lavfi", "-i", "sine=d=1",
               "-c:v", video, "-c:a", codec, film)  # fmt: skip

    copy_video(film, tmp_path / "whole")

    verification = verify(film, tmp_path / "whole")
    assert changed_names(verification) == []
    assert find_check(verification, "audio").result == "kept"


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_the_audio_file_next_to_images_of_a_time_range_verifies(
    tmp_path: Path, suffix: str
) -> None:
    sounds = (Sound(codec="aac", seconds=Fraction(2)),)
    film = make_clip(tmp_path / f"film.{suffix}", Clip(ticks=tuple(range(50)), sounds=sounds))
    part: dict[str, Any] = {"start_seconds": 0.51, "end_seconds": 1.3}
    settings = {"start_seconds": "51/100", "end_seconds": "13/10"}
    copy_video(film, tmp_path / "out", **part)
    record = record_of(
        film,
        tmp_path / "record.jsonl",
        codec="png",
        header=lambda record: replace(record, settings=settings),
        **part,
    )

    verification = verify(film, tmp_path / "out", evidence_paths=[record])

    assert changed_names(verification) == []
    assert find_check(verification, "audio").result == "kept"
    assert sound_packets(tmp_path / "out" / "sound.mka")[-1][0] < Fraction("0.8")


def test_audio_that_starts_late_stays_in_sync_with_the_frames(tmp_path: Path) -> None:
    late = Sound(codec="flac", start_seconds=Fraction(1, 5))
    film = make_clip(tmp_path / "film.mkv", Clip(sounds=(late,)))

    copy_video(film, tmp_path / "out")

    assert sound_packets(tmp_path / "out" / "sound.mka")[0][0] == Fraction(1, 5)
    assert changed_names(verify(film, tmp_path / "out")) == []


@pytest.mark.parametrize("harm", ["no sound", "other sound", "no times", "other times"])
def test_a_damaged_audio_file_next_to_an_image_sequence_fails_to_verify(
    tmp_path: Path, harm: str
) -> None:
    film = make_clip(tmp_path / "film.mkv", Clip(ticks=UNEVEN, sounds=(FLAC,)))
    copy_video(film, tmp_path / "out")
    sound, times = tmp_path / "out" / "sound.mka", tmp_path / "out" / "timestamps.txt"
    if harm == "no sound":
        sound.unlink()
    elif harm == "other sound":
        data = bytearray(sound.read_bytes())
        last = sound_packets(sound)[-1][1]
        data[data.rindex(last) + len(last) - 1] ^= 1
        sound.write_bytes(data)
    elif harm == "no times":
        times.unlink()
    else:
        times.write_text(times.read_text().replace("280.", "281."))

    assert changed_names(verify(film, tmp_path / "out")) != []


def test_a_film_without_audio_removes_audio_and_times_of_an_earlier_film(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mkv", Clip(ticks=UNEVEN, sounds=(FLAC,)))
    silent = make_clip(tmp_path / "silent.mkv")
    copy_video(film, tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    assert names_in(tmp_path / "out") == {"notes.txt", "sound.mka", "timestamps.txt"}

    copy_video(silent, tmp_path / "out", overwrite=True)

    assert names_in(tmp_path / "out") == {"notes.txt"}
    assert changed_names(verify(silent, tmp_path / "out")) == []


def test_writing_images_does_not_touch_an_audio_file_of_the_user(tmp_path: Path) -> None:
    target = tmp_path / "out"
    copy_video(images(tmp_path / "in", 3), target)
    (target / "sound.mka").write_text("mine")

    copy_video(tmp_path / "in", target, overwrite=True)

    assert (target / "sound.mka").read_text() == "mine"


def test_streams_that_a_folder_cannot_hold_are_noted(tmp_path: Path) -> None:
    (tmp_path / "words.srt").write_text("1\n00:00:00,000 --> 00:00:00,300\nwords\n")
    film = tmp_path / "film.mkv"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x48:r=25:d=0.4", "-i", tmp_path / "words.srt",
               "-c:s", "copy", film)  # fmt: skip

    notes = copy_video(film, tmp_path / "out")

    assert any("stream 1 (subtitle, subrip) dropped" in note for note in notes)
    assert changed_names(verify(film, tmp_path / "out")) == []
