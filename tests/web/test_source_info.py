import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from support.clips import Clip, Sound, make_clip

from vidrestore.errors import MediaError
from vidrestore.web.source_info import read_source_info, source_info


def values(**changes: Any) -> dict[str, Any]:
    """Return what ``info --json`` prints, as far as it is read."""
    return {
        "kind": "film",
        "codec": "mpeg2video",
        "duration_seconds": 4210.0,
        "average_rate": "30000/1001",
        "variable_rate": False,
        "display_width": 720,
        "display_height": 540,
        "bit_depth": 8,
        "color": {"transfer": "bt709"},
        "side_data": {"not_kept": []},
        "streams": [{"kind": "video"}, {"kind": "audio"}, {"kind": "audio"}, {"kind": "subtitle"}],
        "detect_fields": {"order": "top first", "pulldown": False},
        "metadata": {"title": "<b>x</b>"},
        **changes,
    }


def test_a_film_is_described_in_sentences() -> None:
    info = source_info(Path("film.mpg"), values())

    assert info.sentences == (
        "A film: 720 x 540 pixels, 1:10:10 long, 29.97 frames per second, 8-bit MPEG-2.",
        "With 2 sound tracks and one subtitle track, which will be copied as they are.",
        "It is interlaced: each field is restored, and it stays interlaced.",
    )
    assert info.frames_per_second == pytest.approx(29.97, abs=0.001)


def test_special_properties_of_a_film_are_described() -> None:
    info = source_info(
        Path("film.mkv"),
        values(
            detect_fields={"order": "top first", "pulldown": True},
            color={"transfer": "smpte2084"},
            side_data={"not_kept": ["Dolby Vision"]},
            streams=[{"kind": "video"}],
        ),
    )

    assert info.sentences[1:] == (
        "It has no sound and no subtitles.",
        "It is telecined: “pulldown” recovers the original frames.",
        "It is HDR (PQ); its metadata is kept.",
        "Cannot be kept: Dolby Vision.",
    )


def test_an_image_has_no_length() -> None:
    info = source_info(
        Path("photo.png"),
        values(kind="picture", codec="png", duration_seconds=None, detect_fields=None, streams=[]),
    )

    assert info.sentences == ("An image: 720 x 540 pixels, 8-bit png.",)
    assert info.duration_seconds == 0


def test_the_details_have_every_value_unchanged() -> None:
    details = dict(source_info(Path("film.mkv"), values()).details)

    assert details["metadata title"] == "<b>x</b>"
    assert details["streams 3 kind"] == "subtitle"


def test_a_film_is_read_by_a_child_process(tmp_path: Path) -> None:
    film = make_clip(
        tmp_path / "-film <b>.mkv",
        Clip(ticks=range(5), size_hw=(48, 64), sounds=(Sound(seconds=Fraction(1, 5)),)),
    )
    info = read_source_info(film)

    assert info.display_wh == (64, 48)
    assert "64 x 48 pixels" in info.sentences[0]
    assert info.sentences[1].startswith("With one sound track")


def test_a_file_that_is_not_a_film_has_the_error_of_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "notes.mkv").write_bytes(b"no film")
    with pytest.raises(MediaError, match=r"notes\.mkv: "):
        read_source_info(tmp_path / "notes.mkv")

    with pytest.raises(MediaError, match="unreadable"):
        read_source_info(
            tmp_path / "notes.mkv", program=(sys.executable, "-c", "raise SystemExit(9)")
        )
