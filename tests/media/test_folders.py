"""Folders of images as results and sources: nothing stale, nothing lost without a word."""

from pathlib import Path

from support.clips import Clip, Sound, make_clip, run_ffmpeg
from support.video_copies import copy_video, frames_of

from vidrestore.media.input.folder import missing_numbers


def images(folder: Path, count: int) -> Path:
    folder.mkdir()
    run_ffmpeg("-f", "lavfi", "-i", f"testsrc2=s=96x48:r=25:d={count / 25}",
               folder / "shot2_%04d.png")  # fmt: skip
    return folder


def test_a_shorter_sequence_leaves_no_frames_of_a_longer_one(tmp_path: Path) -> None:
    target = tmp_path / "out"
    copy_video(images(tmp_path / "long", 12), target)
    (target / "notes.txt").write_text("mine")
    (target / "poster.png").write_text("mine, too")

    copy_video(images(tmp_path / "short", 6), target, overwrite=True)

    frames = sorted(path.name for path in target.glob("shot2_*.png"))
    assert frames == [f"shot2_{number:04}.png" for number in range(1, 7)]
    assert (target / "notes.txt").exists()
    assert (target / "poster.png").exists()


def test_missing_numbers_are_known(tmp_path: Path) -> None:
    folder = images(tmp_path / "in", 12)
    assert missing_numbers(folder) == []
    for number in (7, 9):
        (folder / f"shot2_{number:04}.png").unlink()

    assert missing_numbers(folder) == [7, 9]
    assert len(frames_of(folder)) == 10


def test_what_a_folder_cannot_hold_of_a_film_is_said(tmp_path: Path) -> None:
    uneven = (0, 1, 2, 7, 8, 9)
    film = make_clip(tmp_path / "film.mkv", Clip(ticks=uneven, sounds=(Sound(codec="flac"),)))

    notes = copy_video(film, tmp_path / "out")

    assert any("stream 1 (audio, flac) left out" in note for note in notes)
    assert any("uneven times" in note for note in notes)
