import re
from pathlib import Path

import pytest
from PIL import Image
from support.clips import make_clip, run_ffmpeg
from support.verify_cases import changed_names
from support.video_copies import copy_video

from vidrestore.media.input.video_info import probe
from vidrestore.verify import verify

CAPTION = b"\x00\x00\x01\xb2GA94\x03" + bytes([0x41, 0xFF, 0xFC, 0x94, 0x20, 0xFF])
"""User data with one pair of CEA-608: ATSC A/53 part 4, 6.2.3."""
_CODING_EXTENSION = re.compile(rb"\x00\x00\x01\xb5[\x80-\x8f].{4}", re.DOTALL)


@pytest.mark.parametrize("suffix", [".avi", ".mov"])
def test_a_motion_jpeg_film_is_rotated_as_its_exif_says(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for number in range(3):
        shade = Image.new("RGB", (96, 48), (40 * number, 90, 120))
        shade.save(tmp_path / f"{number}.jpg", exif=exif)
    film = tmp_path / f"film{suffix}"
    run_ffmpeg("-i", tmp_path / "%d.jpg", "-c", "copy", film)

    notes = copy_video(film, tmp_path / "out.mkv")

    assert probe(film).geometry.quarter_turns == 1
    assert any("not kept" in note and "EXIF" in note for note in notes)
    assert changed_names(verify(film, tmp_path / "out.mkv")) == []


@pytest.mark.parametrize("target", ["out.mkv", "out.mp4", "out.ts"])
def test_the_loss_of_closed_captions_is_noted(tmp_path: Path, target: str) -> None:
    plain, raw = make_clip(tmp_path / "plain.mkv"), tmp_path / "film.m2v"
    run_ffmpeg("-i", plain, "-c:v", "mpeg2video", "-bf", "0", "-q:v", "3", raw)
    raw.write_bytes(_CODING_EXTENSION.sub(lambda found: found[0] + CAPTION, raw.read_bytes()))
    film = tmp_path / "film.ts"
    run_ffmpeg("-fflags", "+genpts", "-i", raw, "-c", "copy", film)

    notes = copy_video(film, tmp_path / target, codec="h264")

    assert any("not kept" in note and "closed captions" in note for note in notes)
    assert changed_names(verify(film, tmp_path / target)) == []
