"""Every refusal names a command that works: each is followed, over containers and codecs."""

from pathlib import Path
from typing import cast

import pytest
from support.clips import make_rich_clip, run_ffmpeg
from support.video_copies import copy_video

from vidrestore.errors import UnsupportedStreamError
from vidrestore.media.input.source import open_source
from vidrestore.media.output.containers import CONTAINERS
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.media.output.muxer import MuxerConfig
from vidrestore.media.output.open_muxer import open_muxer
from vidrestore.settings import CodecName

CODECS: tuple[CodecName, ...] = ("h264", "ffv1", "prores", "dnxhr", "av1")
SIZED = ("-vf", "scale=256:128", "-c:v", "mpeg4")


def refused_films(folder: Path) -> list[Path]:
    rich = make_rich_clip(folder)
    films = {
        "chapters.mkv": (*SIZED, "-c:a", "flac", "-c:s", "copy"),
        "wma.wmv": (*SIZED, "-c:a", "wmav2", "-sn"),
        "text.mp4": (*SIZED, "-c:a", "aac", "-c:s", "mov_text"),
        "adpcm.mov": (*SIZED, "-c:a", "adpcm_ima_qt", "-sn"),
        "mp2.ts": (*SIZED, "-c:a", "mp2", "-sn"),
    }
    for name, options in films.items():
        run_ffmpeg("-i", rich, "-map", "0:v", "-map", "0:a", "-map", "0:s?", *options,
                   folder / name)  # fmt: skip
    run_ffmpeg("-i", folder / "chapters.mkv", "-c", "copy", "-attach", folder / "font.ttf",
               "-metadata:s:t", "mimetype=application/x-truetype-font", "-map", "0",
               folder / "font.mkv")  # fmt: skip
    return [folder / name for name in (*films, "font.mkv")]


def open_for(film: Path, target: Path, codec: CodecName, *, drop: bool = False) -> None:
    """Open an output, as a run does before its first frame."""
    with open_source(film) as source:
        config = MuxerConfig(
            target=target,
            info=source.info,
            geometry=source.info.geometry,
            source_path=film,
            settings=EncoderSettings(codec=codec),
            time_range=source.time_range,
            drop_unsupported=drop,
        )
        open_muxer(target, config).close()


def test_the_advice_in_every_refusal_works_when_followed(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    refusals = 0
    for film in refused_films(tmp_path):
        for suffix in CONTAINERS:
            for codec in CODECS:
                target = folder / f"out{suffix}"
                try:
                    open_for(film, target, codec)
                except UnsupportedStreamError as refusal:
                    refusals += 1
                    for way in str(refusal).rpartition("; use ")[2].split(" or "):
                        arguments = iter(way.split())
                        named: dict[str, str] = {}
                        for word in arguments:
                            named[word] = "" if word == "--drop-unsupported" else next(arguments)
                        assert named, way
                        open_for(
                            film,
                            folder / named.get("-o", target.name),
                            cast(CodecName, named.get("--codec", codec)),
                            drop="--drop-unsupported" in named,
                        )
    assert refusals > 50


@pytest.mark.parametrize("suffix", [".mkv", ".avi"])
def test_audio_of_wmv_is_copied_into_matroska_and_avi(tmp_path: Path, suffix: str) -> None:
    film = tmp_path / "film.wmv"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x48:r=25:d=1", "-f", "lavfi", "-i",
               "sine=d=1", "-c:v", "wmv2", "-c:a", "wmav2", film)  # fmt: skip
    if suffix == ".avi":
        with pytest.raises(UnsupportedStreamError, match=r"use -o out\.mkv or --drop-unsupported"):
            copy_video(film, tmp_path / "out.avi")
    assert copy_video(film, tmp_path / "out.mkv") == []
