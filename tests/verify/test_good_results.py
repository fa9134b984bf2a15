"""A faithful result is never called changed: every container, codec and pixel format written."""

from pathlib import Path

import pytest
from support.clips import run_ffmpeg
from support.verify_cases import changed_names
from support.video_copies import copy_video

from vidrestore.errors import MediaError
from vidrestore.media.output.containers import CONTAINERS
from vidrestore.media.output.encoder_table import ENCODERS
from vidrestore.verify import verify

CODECS = {"yuvj420p": "mjpeg", "rgb24": "qtrle"}
"""Codecs of sources that are not FFV1."""


@pytest.mark.parametrize(
    "pixel_format",
    ["yuv420p", "yuvj420p", "yuv422p10le", "yuv444p", "gray", "gray10le", "gbrp", "rgb24",
     "yuva420p", "bgra"],
)  # fmt: skip
def test_no_faithful_result_is_reported_as_changed(tmp_path: Path, pixel_format: str) -> None:
    codec = CODECS.get(pixel_format, "ffv1")
    film = tmp_path / ("film.mov" if codec == "qtrle" else "film.mkv")
    run_ffmpeg(
        *("-f", "lavfi", "-i", f"testsrc2=s=256x128:r=25:d=0.2,format={pixel_format}"),
        *("-c:v", codec, film),
    )
    verified = 0
    for suffix in CONTAINERS:
        for name in ENCODERS:
            target = tmp_path / f"{name}{suffix}"
            try:
                copy_video(film, target, codec=name)
            except MediaError:
                continue
            assert changed_names(verify(film, target)) == [], (suffix, name)
            verified += 1
    assert verified > 15


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("film.flv", ("-c:v", "flv1", "-c:a", "libmp3lame", "-ar", "44100")),
        ("film.h264", ("-c:v", "libx264", "-an")),
        ("film.avi", ("-c:v", "mpeg4", "-c:a", "ac3", "-metadata", "title=A film")),
        ("film.ts", ("-c:v", "mpeg2video", "-c:a", "mp2")),
    ],
)
@pytest.mark.parametrize("target", ["out.mkv", "out.mp4", "out.avi"])
def test_films_of_every_container_verify(
    tmp_path: Path, name: str, options: tuple[str, ...], target: str
) -> None:
    film = tmp_path / name
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x48:d=1", "-f", "lavfi", "-i", "sine=d=1",
               *options, film)  # fmt: skip

    copy_video(film, tmp_path / target, drop_unsupported=True)

    left_out = [] if target != "out.avi" else ["streams"]
    names = [
        changed_name
        for changed_name in changed_names(verify(film, tmp_path / target))
        if changed_name not in left_out
    ]
    assert names == []


def test_a_variable_frame_rate_in_webm_verifies(tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x48:d=1", "-vf",
               "select='not(between(n,5,9))',setpts=N*N/500/TB", "-fps_mode", "passthrough",
               "-c:v", "libx264", film)  # fmt: skip

    for target in ("out.webm", "out.mkv", "out.mp4"):
        copy_video(film, tmp_path / target, codec="av1")
        assert changed_names(verify(film, tmp_path / target)) == []


def test_the_alpha_tag_of_a_film_whose_alpha_is_not_decoded_verifies(tmp_path: Path) -> None:
    film = tmp_path / "film.webm"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x48:d=0.3,format=yuva420p",
               "-c:v", "libvpx-vp9", film)  # fmt: skip

    notes = copy_video(film, tmp_path / "out.mkv")

    assert any("transparency" in note for note in notes)
    assert changed_names(verify(film, tmp_path / "out.mkv")) == []


@pytest.mark.parametrize("target", ["out.ts", "folder"])
def test_an_animated_gif_verifies(tmp_path: Path, target: str) -> None:
    film = tmp_path / "film.gif"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x48:d=0.5:r=10", film)

    copy_video(film, tmp_path / target, codec="h264")

    assert changed_names(verify(film, tmp_path / target)) == []


def test_422_with_chroma_at_the_top_left_verifies(tmp_path: Path) -> None:
    film = tmp_path / "film.mov"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=720x576:r=25:d=0.1,format=yuv422p",
               "-c:v", "dvvideo", film)  # fmt: skip

    copy_video(film, tmp_path / "out.mov", codec="h264")

    assert changed_names(verify(film, tmp_path / "out.mov")) == []
