import hashlib
import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest
from support.clips import Clip, Sound, make_clip, packets_of
from support.video_copies import frames_of

from vidrestore.errors import ConfigError, MediaError
from vidrestore.media.output.framemd5 import check_framemd5, write_framemd5

COMMAND = ("-map", "0:v:0", "-map", "0:a?", "-c:a", "copy")
"""Of any ffmpeg: options between ``-i FILE`` and ``-f framemd5 -``."""


def by_ffmpeg(film: Path, *options: str) -> list[str]:
    done = subprocess.run(
        [
            imageio_ffmpeg.get_ffmpeg_exe(),
            "-v",
            "error",
            "-i",
            film,
            *options,
            "-f",
            "framemd5",
            "-",
        ],
        check=True,
        capture_output=True,
    )
    return done.stdout.decode().splitlines()


def lines_of(path: Path, stream: int) -> list[list[str]]:
    rows = [line.split(",") for line in path.read_text().splitlines() if not line.startswith("#")]
    return [[field.strip() for field in row] for row in rows if int(row[0]) == stream]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_the_framemd5_equals_that_of_ffmpeg(tmp_path: Path, suffix: str) -> None:
    sounds = (Sound(),)
    film = make_clip(tmp_path / f"a{suffix}", Clip(sounds=sounds))

    write_framemd5(film, tmp_path / "a.framemd5", overwrite=False)

    assert (tmp_path / "a.framemd5").read_text().splitlines() == by_ffmpeg(film, *COMMAND)
    pictures = lines_of(tmp_path / "a.framemd5", 0)
    assert pictures == [
        [field.strip() for field in line.split(",")]
        for line in by_ffmpeg(film, "-map", "0:v:0")
        if not line.startswith("#")
    ]


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "gbrp16le"])
def test_every_line_has_the_checksum_of_the_planes_of_a_frame(
    tmp_path: Path, pixel_format: str
) -> None:
    clip = Clip(ticks=(0, 1, 2), codec="ffv1", options={}, pixel_format=pixel_format)
    film = make_clip(tmp_path / "a.mkv", clip)

    write_framemd5(film, tmp_path / "a.md5", overwrite=False)

    frames = frames_of(film)
    assert [row[5] for row in lines_of(tmp_path / "a.md5", 0)] == [
        hashlib.md5(b"".join(plane.tobytes() for plane in frame.planes)).hexdigest()
        for frame in frames
    ]


def test_audio_lines_are_checksums_of_the_copied_packets(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "a.mkv", Clip(sounds=(Sound(codec="flac"), Sound())))

    write_framemd5(film, tmp_path / "a.md5", overwrite=False)

    for number in (0, 1):
        assert [row[5] for row in lines_of(tmp_path / "a.md5", 1 + number)] == [
            hashlib.md5(packet.data).hexdigest() for packet in packets_of(film, "audio", number)
        ]


def test_frames_at_uneven_times_are_listed_with_their_times(tmp_path: Path) -> None:
    ticks = (0, 1, 2, 3, 11, 12, 40, 41)
    film = make_clip(tmp_path / "a.mkv", Clip(ticks=ticks))

    write_framemd5(film, tmp_path / "a.md5", overwrite=False)

    assert "#tb 0: 1/1000" in (tmp_path / "a.md5").read_text()
    assert [int(row[2]) for row in lines_of(tmp_path / "a.md5", 0)] == [40 * tick for tick in ticks]


def test_an_unwritable_framemd5_file_is_refused_before_restoring(tmp_path: Path) -> None:
    film, taken = tmp_path / "out.mkv", tmp_path / "taken.md5"
    taken.write_text("mine")
    with pytest.raises(MediaError, match=r"taken\.md5: already exists"):
        check_framemd5(taken, film, tmp_path / "in.mkv", overwrite=False)
    with pytest.raises(ConfigError, match="choose a video with -o"):
        check_framemd5(tmp_path / "a.md5", tmp_path / "frames", tmp_path, overwrite=False)
    with pytest.raises(ConfigError, match="a folder; choose"):
        check_framemd5(tmp_path, film, tmp_path / "in.mkv", overwrite=True)
    check_framemd5(taken, film, tmp_path / "in.mkv", overwrite=True)
    assert taken.read_text() == "mine"


def test_an_undecodable_film_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.mkv").write_bytes(b"no film")
    with pytest.raises(MediaError):
        write_framemd5(tmp_path / "a.mkv", tmp_path / "a.md5", overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]
