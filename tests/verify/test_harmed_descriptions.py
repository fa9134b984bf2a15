"""What describes a result, harmed on purpose: chapters, flags, names, times beside a folder."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from support.clips import Clip, make_clip, run_ffmpeg
from support.verify_cases import changed_names, find_check, record_of, restored_copy

from vidrestore.errors import RecordError
from vidrestore.media.streams.frame_times import TIMES_FILE
from vidrestore.verify import verify

PASSED_ON = ("-default_mode", "passthrough", "-disposition:a:0", "0")
"""Without these, the ffmpeg program makes a stream the default one."""
CHAPTERS = (
    ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND={}\ntitle=One\n"
    "[CHAPTER]\nTIMEBASE=1/1000\nSTART=800\nEND=2000\ntitle={}\n"
)


@pytest.mark.parametrize(
    ("harm", "name", "message"),
    [
        ((), None, ""),
        (("-disposition:a:1", "0"), "dispositions", "stream 2: comment became none"),
        (("-map", "0:a:0"), "streams", "the source has no stream 4 (audio, flac, eng)"),
        (
            ("-metadata:s:t", "filename=other.ttf"),
            "streams",
            "missing: stream 4 (attachment, font.ttf",
        ),
        (("-metadata:s:a:0", "language=fra"), "tags", "stream 1: language eng became fra"),
    ],
)
def test_flags_names_and_added_streams_are_compared(
    rich: Path,
    rich_copy: Path,
    tmp_path: Path,
    harm: Sequence[str],
    name: str | None,
    message: str,
) -> None:
    result = tmp_path / "r.mkv"
    run_ffmpeg("-i", rich_copy, "-map", "0", "-c", "copy", *PASSED_ON, *harm, result)

    verification = verify(rich, result)

    assert [changed.startswith(name or "") for changed in changed_names(verification)] == (
        [] if name is None else [True]
    )
    if name is not None:
        assert message in find_check(verification, name).detail


@pytest.mark.parametrize(
    ("end", "title", "message"),
    [
        (900, "Two", "chapter 1 ends at 0.900 s, not at 0.800 s"),
        (800, "Three", "chapter 2: title Two became Three"),
    ],
)
def test_moved_and_renamed_chapters_are_found(
    rich: Path, rich_copy: Path, tmp_path: Path, end: int, title: str, message: str
) -> None:
    chapters, result = tmp_path / "chapters.txt", tmp_path / "r.mkv"
    chapters.write_text(CHAPTERS.format(end, title))
    inputs = ("-i", rich_copy, "-f", "ffmetadata", "-i", chapters)
    run_ffmpeg(*inputs, "-map", "0", "-map_chapters", "1", "-c", "copy", *PASSED_ON, result)

    verification = verify(rich, result)

    assert changed_names(verification) == ["chapters"]
    assert find_check(verification, "chapters").detail == message


def test_another_size_is_found(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "film.mkv", Clip(size_hw=(96, 128)))
    smaller = make_clip(tmp_path / "smaller.mkv", Clip(size_hw=(48, 64)))

    verification = verify(source, smaller)

    assert changed_names(verification) == ["size"]
    assert find_check(verification, "size").detail == "128 x 96 became 64 x 48"


def drop_file(times: Path) -> None:
    times.unlink()


def drop_last_time(times: Path) -> None:
    times.write_text("".join(times.read_text().splitlines(keepends=True)[:-1]))


def repeat_last_time(times: Path) -> None:
    lines = times.read_text().splitlines(keepends=True)
    times.write_text("".join([*lines, f"{float(lines[-1]) + 40:.6f}\n"]))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (drop_file, "at a constant rate, without"),
        (drop_last_time, "has no time of frame 4"),
        (repeat_last_time, "has more times than there are frames"),
    ],
)
def test_the_uneven_times_of_a_film_are_held_against_the_file_in_its_folder(
    tmp_path: Path, harm: Callable[[Path], None], message: str
) -> None:
    source = make_clip(tmp_path / "film.mkv", Clip(ticks=(0, 1, 4, 5, 9)))
    folder = restored_copy(source, tmp_path / "frames")
    assert verify(source, folder).kept

    harm(folder / TIMES_FILE)

    verification = verify(source, folder)
    assert changed_names(verification) == ["timestamps"]
    assert message in find_check(verification, "timestamps").detail


def test_two_files_of_one_kind_are_refused(rich: Path, rich_copy: Path, tmp_path: Path) -> None:
    record = record_of(rich, tmp_path / "r.jsonl")
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"frames": 50, "scale": 1, "background": None}))

    for kind, path in (("record", record), ("report", report)):
        with pytest.raises(RecordError, match=f"a second {kind}; pass only the one of this result"):
            verify(rich, rich_copy, evidence_paths=[path, path])


def test_a_record_with_an_impossible_time_range_is_refused(
    rich: Path, rich_copy: Path, tmp_path: Path
) -> None:
    settings = {"start_seconds": "2/1", "end_seconds": "1/1"}
    record = record_of(
        rich, tmp_path / "r.jsonl", header=lambda header: replace(header, settings=settings)
    )

    with pytest.raises(RecordError, match=r"r\.jsonl: line 1: settings: "):
        verify(rich, rich_copy, evidence_paths=[record])
