from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.clips import Clip, Sound, make_clip, make_rich_clip, run_ffmpeg

from vidrestore.errors import MediaError
from vidrestore.media.input.source import open_source
from vidrestore.media.input.video_info import probe


def test_probing_lists_the_streams_and_tags_of_a_film(tmp_path: Path) -> None:
    path = make_rich_clip(tmp_path)

    info = probe(path)

    assert (info.kind, info.codec, info.geometry.coded_hw) == ("film", "h264", (48, 96))
    assert info.average_rate == 25
    assert info.frame_count_estimate == 50
    assert info.variable_rate is False
    kinds = [stream.kind for stream in info.streams]
    assert kinds == ["video", "audio", "audio", "subtitle", "attachment"]
    assert info.streams[1].codec == "flac"
    assert info.streams[1].channels == 1
    assert info.streams[2].start_seconds == Fraction(1, 2)
    assert info.streams[3].language == "deu"
    assert info.streams[4].file_name == "font.ttf"
    assert [chapter.title for chapter in info.chapters] == ["One", "Two"]
    assert info.metadata["title"] == "A film"


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_and_mirroring_come_from_the_display_matrix(
    tmp_path: Path, degrees: int, flipped: bool
) -> None:
    path = make_clip(tmp_path / "film.mp4", Clip(rotation_degrees=degrees, flipped=flipped))
    shown = tmp_path / "shown.png"
    run_ffmpeg("-i", path, "-frames:v", "1", shown)
    plain = tmp_path / "plain.png"
    run_ffmpeg("-noautorotate", "-i", path, "-frames:v", "1", plain)
    import cv2

    geometry = probe(path).geometry

    # Unchanged: ffmpeg writes the rotation into the picture, where OpenCV would apply it.
    coded, display = (cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in (plain, shown))
    ours = coded[:, ::-1] if geometry.mirrored else coded
    ours = np.rot90(ours, k=-geometry.quarter_turns)
    assert ours.shape == display.shape
    assert np.abs(ours.astype(int) - display.astype(int)).mean() < 2
    assert geometry.display_hw == display.shape[:2]


def test_color_tags_aspect_and_chroma_siting_are_read(tmp_path: Path) -> None:
    options = {"preset": "veryfast", "chroma_sample_location": "topleft"}
    clip = Clip(
        color=(9, 9, 16, 2), options=options, sample_aspect_ratio=Fraction(4, 3),
        pixel_format="yuv420p10le",
    )  # fmt: skip
    info = probe(make_clip(tmp_path / "film.mp4", clip))

    assert (info.color.matrix, info.color.primaries, info.color.transfer) == (9, 9, 16)
    assert info.color.full_range
    assert info.color.range_known
    assert info.color.chroma_location == 3
    assert info.geometry.sample_aspect_ratio == Fraction(4, 3)
    assert info.bit_depth == 10


def test_a_name_that_looks_like_a_url_is_a_file(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "plain.mkv").rename(tmp_path / "concat:film.mkv")
    assert probe(path).codec == "h264"


def test_a_variable_frame_rate_is_detected_in_the_first_frames(tmp_path: Path) -> None:
    ticks = (0, 40, 80, 200, 240, 500, 520, 600, 1000, 1040)
    path = make_clip(tmp_path / "film.mkv", Clip(ticks=ticks, time_base=Fraction(1, 1000)))
    assert probe(path).variable_rate is True


def _missing(folder: Path) -> Path:
    return folder / "missing.mp4"


def _empty(folder: Path) -> Path:
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


def _text(folder: Path) -> Path:
    (folder / "text.mp4").write_text("This is not a film.\n" * 100)
    return folder / "text.mp4"


def _no_pictures(folder: Path) -> Path:
    (folder / "notes.txt").write_text("nothing here")
    return folder


def _without_index(folder: Path) -> Path:
    path = make_clip(folder / "cut.mp4")
    path.write_bytes(path.read_bytes()[:-2000])
    return path


def _sound_with_cover(folder: Path) -> Path:
    film = make_clip(folder / "film.mkv", Clip(sounds=(Sound(),)))
    cover, path = folder / "cover.jpg", folder / "song.mp4"
    run_ffmpeg("-i", film, "-frames:v", "1", cover)
    streams = ("-map", "0:a", "-map", "1", "-c", "copy", "-disposition:v", "attached_pic")
    run_ffmpeg("-i", film, "-i", cover, *streams, path)
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_missing, r"missing\.mp4: no such file"),
        (_empty, r"empty\.mp4: the file is empty"),
        (_text, r"text\.mp4: not a video"),
        (_no_pictures, "no image in this folder"),
        (_without_index, r"cut\.mp4: not a video .*truncated"),
        (_sound_with_cover, r"song\.mp4: no video stream"),
    ],
)
def test_an_unreadable_file_is_refused_in_one_line_that_names_it(
    tmp_path: Path, make, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = make(tmp_path)
    capfd.readouterr()

    with pytest.raises(MediaError, match=message) as refused:
        probe(path)

    assert "\n" not in str(refused.value)
    assert capfd.readouterr() == ("", "")


def test_every_frame_of_an_animated_avif_is_read(tmp_path: Path) -> None:
    first, *others = (Image.new("RGB", (96, 64), (40 * index, 80, 120)) for index in range(4))
    film = tmp_path / "film.avif"
    first.save(film, save_all=True, append_images=others, duration=100)

    with open_source(film) as source:
        assert len(list(source)) == 4
