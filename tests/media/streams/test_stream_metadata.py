"""Tags, flags and chapters: kept where the container can hold them, and noted where it cannot."""

from pathlib import Path

import av
import pytest
from support.clips import Clip, Sound, make_clip, make_rich_clip, run_ffmpeg
from support.verify_cases import changed_names
from support.video_copies import copy_video

from vidrestore.errors import UnsupportedStreamError
from vidrestore.media.input.video_info import probe
from vidrestore.verify import verify

DATE = "2020-01-02T03:04:05.000000Z"
PLACE = "+48.1000+011.5000/"


def film_with_quicktime_metadata(folder: Path, name: str) -> Path:
    """A film of a phone, with all that QuickTime can say of its tracks."""
    plain = make_clip(folder / "plain.mp4", Clip(sounds=(Sound(), Sound())))
    path = folder / name
    film = ("com.apple.quicktime.make=Apple", f"location={PLACE}", f"creation_time={DATE}")
    # QuickTime's own table of languages has the older one of two codes.
    dutch = "dut" if path.suffix == ".mov" else "nld"
    tags = {
        "-metadata": film,
        "-metadata:s:v:0": ("title=The picture", "handler_name=Core Media Video"),
        "-metadata:s:a:0": ("title=Main sound", f"language={dutch}"),
        "-metadata:s:a:1": ("handler_name=Second", "language=fra"),
    }
    flat = [word for option, values in tags.items() for value in values for word in (option, value)]
    flags = ("-disposition:a:0", "0", "-disposition:a:1", "default")
    options = ("-map", "0", "-c", "copy", "-movflags", "use_metadata_tags", *flags)
    run_ffmpeg("-i", plain, *options, *flat, path)
    return path


@pytest.mark.parametrize(
    ("source", "target"),
    [("a.mp4", "out.mp4"), ("a.mov", "out.mov"), ("a.mp4", "out.mov"), ("a.mov", "out.mp4")],
)
def test_quicktime_metadata_of_film_and_streams_is_kept(
    tmp_path: Path, source: str, target: str
) -> None:
    path = film_with_quicktime_metadata(tmp_path, source)

    notes = copy_video(path, tmp_path / target, codec="h264")

    with av.open(str(path)) as before, av.open(str(tmp_path / target)) as after:
        film = after.metadata
        assert film["com.apple.quicktime.make"] == "Apple"
        assert (film["location"], film["creation_time"]) == (PLACE, DATE)
        tags = [stream.metadata for stream in after.streams]
        assert [tag.get("name") for tag in tags] == ["The picture", "Main sound", None]
        assert tags[0]["handler_name"] == "Core Media Video"
        assert tags[1]["language"] in ("nld", "dut")
        assert (tags[2]["handler_name"], tags[2]["language"]) == ("Second", "fra")
        assert [stream.disposition for stream in after.streams] == [
            stream.disposition for stream in before.streams
        ]
    assert notes == []
    assert changed_names(verify(path, tmp_path / target)) == []


def test_stream_titles_become_matroska_titles(tmp_path: Path) -> None:
    path = film_with_quicktime_metadata(tmp_path, "film.mp4")

    copy_video(path, tmp_path / "out.mkv")

    assert [stream.title for stream in probe(tmp_path / "out.mkv").streams] == [
        "The picture",
        "Main sound",
        None,
    ]


@pytest.mark.parametrize("target", ["out.avi", "out.ts", "out.mxf"])
def test_chapters_that_a_container_cannot_hold_are_refused_before_restoring(
    tmp_path: Path, target: str
) -> None:
    (tmp_path / "a").mkdir()
    path = tmp_path / "film.mkv"
    run_ffmpeg("-i", make_rich_clip(tmp_path / "a"), "-map", "0:v", "-c", "copy", path)
    codec = "prores" if target == "out.mxf" else "h264"

    with pytest.raises(UnsupportedStreamError, match="does not support the 2 chapters"):
        copy_video(path, tmp_path / target, codec=codec)

    assert {path.name for path in tmp_path.iterdir()} == {"a", "film.mkv"}

    notes = copy_video(path, tmp_path / target, codec=codec, drop_unsupported=True)

    assert any("2 chapters dropped" in note for note in notes)
    assert probe(tmp_path / target).chapters == ()


def test_a_time_range_without_chapters_is_not_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    chapters = tmp_path / "chapters.txt"
    chapters.write_text(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=200\ntitle=One\n")
    path = tmp_path / "film.mkv"
    inputs = ("-i", make_clip(tmp_path / "a.mkv"), "-f", "ffmetadata", "-i", chapters)
    run_ffmpeg(*inputs, "-map_chapters", "1", "-c", "copy", path)

    notes = copy_video(path, tmp_path / "out.avi", codec="h264", start_seconds=0.3)

    assert not any("chapter" in note for note in notes)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("out.avi", "tag ARCHIVE_ID, language of stream 1, flag comment of stream 2"),
        ("out.mov", "flag comment of stream 2"),
        ("out.ts", "tag title, tag ARCHIVE_ID, title of stream 2, flag comment of stream 2"),
    ],
)
def test_tags_and_flags_that_a_container_cannot_hold_are_noted(
    tmp_path: Path, target: str, message: str
) -> None:
    sounds = (Sound(codec="mp2", language="eng"), Sound(codec="mp2"))
    plain = make_clip(tmp_path / "plain.mkv", Clip(sounds=sounds))
    path = tmp_path / "film.mkv"
    tags = ("-metadata", "title=A film", "-metadata", "ARCHIVE_ID=K-17")
    own = ("-metadata:s:a:1", "title=Comment", "-disposition:a:1", "comment")
    run_ffmpeg("-i", plain, "-map", "0", "-c", "copy", *tags, *own, path)

    notes = copy_video(path, tmp_path / target, codec="h264")

    (note,) = [note for note in notes if "cannot store" in note]
    assert note == f"{Path(target).suffix} cannot store {message}"


def test_attachments_that_webm_cannot_hold_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    path = tmp_path / "film.mkv"
    streams = ("-map", "0:v", "-map", "0:t", "-c", "copy")
    run_ffmpeg("-i", make_rich_clip(tmp_path / "a"), *streams, path)

    with pytest.raises(
        UnsupportedStreamError, match=r"does not support stream 1 \(attachment, font\.ttf"
    ):
        copy_video(path, tmp_path / "out.webm", codec="av1")


def test_the_source_container_is_suggested_for_streams_matroska_cannot_hold(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    path = make_rich_clip(tmp_path / "a", "rich.mp4")

    with pytest.raises(UnsupportedStreamError, match=r"use -o out\.mp4 or --drop-unsupported"):
        copy_video(path, tmp_path / "out.mkv")
