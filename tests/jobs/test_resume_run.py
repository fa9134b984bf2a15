"""An interrupted run is resumed, and its result has the bytes of an uninterrupted run."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest
from support.clips import run_ffmpeg
from support.faceclips import FACE_SIZE_HW, three_shot_film, three_shots
from support.fake_restorer import InterruptError

from vidrestore import JobSettings, RestoreReport, RestoreSettings, restore_video
from vidrestore.errors import ConfigError, MediaError
from vidrestore.jobs.store.job_folder import count_finished_segments, job_folder_path
from vidrestore.jobs.store.journal import Job, JobState, JournalEntry, SegmentFile
from vidrestore.media.input.reader import VideoSource
from vidrestore.media.input.source import open_source
from vidrestore.progress import Progress
from vidrestore.types import Frame, Timestamp

FRAMES = 30
STRIPES = range(11, 17)
SHORT = JobSettings(segment_seconds=0.2)
RESUME = JobSettings(segment_seconds=0.2, resume=True)
LOSSLESS = {"codec": "ffv1", "device": "cpu", "precision": "fp32"}


pytestmark = pytest.mark.usefixtures("use_fake_restorer")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    return three_shot_film(path, frames=FRAMES, stripes=STRIPES)


def run(
    source: Path, target: Path, job: JobSettings, stop_at: int | None = None, **settings: object
) -> RestoreReport:
    def on_progress(progress: Progress) -> None:
        if stop_at is not None and progress.frames_done >= stop_at:
            raise InterruptError

    chosen = RestoreSettings(**{**LOSSLESS, **settings})  # type: ignore[arg-type]
    return restore_video(source, target, settings=chosen, job=job, on_progress=on_progress)


def interrupt(
    source: Path, target: Path, at: int, job: JobSettings = SHORT, **more: object
) -> None:
    with pytest.raises(InterruptError):
        run(source, target, job, stop_at=at, **more)


def samples(path: Path) -> list[tuple[bytes, ...]]:
    with open_source(path) as source:
        return [tuple(plane.tobytes() for plane in frame.planes) for frame in source]


@pytest.fixture(scope="module")
def whole(film: Path) -> Path:
    """The film restored without interruption, in segments, with all sidecars."""
    folder = film.parent / "whole"
    folder.mkdir()
    run(
        film,
        folder / "out.mkv",
        SHORT,
        record=folder / "record.jsonl",
        compare=folder / "compare.mkv",
    )
    return folder


def test_segment_boundaries_do_not_change_frames(film: Path, whole: Path, tmp_path: Path) -> None:
    report = run(film, tmp_path / "one.mkv", JobSettings(segment_seconds=1000))
    assert report.frames == FRAMES
    assert samples(tmp_path / "one.mkv") == samples(whole / "out.mkv")
    assert samples(whole / "out.mkv") != samples(film)


@pytest.mark.parametrize("at", [12, 19, 26])
def test_a_resumed_run_and_an_uninterrupted_one_give_the_same_bytes(
    film: Path, whole: Path, tmp_path: Path, at: int
) -> None:
    sidecars = {"record": tmp_path / "record.jsonl", "compare": tmp_path / "compare.mkv"}
    interrupt(film, tmp_path / "out.mkv", at, **sidecars)
    assert not any((tmp_path / name).exists() for name in ("out.mkv", "record.jsonl"))
    finished = count_finished_segments(tmp_path / "out.mkv")
    assert finished >= 1
    interrupt(film, tmp_path / "out.mkv", min(at + 7, FRAMES), job=RESUME, **sidecars)
    report = run(film, tmp_path / "out.mkv", RESUME, **sidecars)
    for name in ("out.mkv", "compare.mkv"):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()
    lines, expected = (
        (folder / "record.jsonl").read_text().splitlines() for folder in (tmp_path, whole)
    )
    assert lines[1:] == expected[1:]
    assert report.frames == FRAMES
    assert [shot.first_frame for shot in report.shot_records] == [0, 11, 17]
    assert not job_folder_path(tmp_path / "out.mkv").exists()


def test_finished_frames_are_not_restored_again(film: Path, tmp_path: Path) -> None:
    interrupt(film, tmp_path / "out.mkv", 20)
    reported: list[int] = []
    restore_video(
        film,
        tmp_path / "out.mkv",
        settings=RestoreSettings(**LOSSLESS),  # type: ignore[arg-type]
        job=RESUME,
        on_progress=lambda progress: reported.append(progress.frames_done),
    )
    counts = [count for count in reported if count]
    assert counts[0] >= 11
    assert counts[-1] == FRAMES


def test_resuming_a_film_written_as_images_keeps_its_audio_and_timestamps(
    film: Path, tmp_path: Path
) -> None:
    source = tmp_path / "film.mkv"
    run_ffmpeg("-i", film, "-f", "lavfi", "-i", "sine=d=1.2", "-vf", "setpts=N*N/500/TB",
               "-fps_mode", "passthrough", "-c:v", "ffv1", "-c:a", "flac", source)  # fmt: skip
    run(source, tmp_path / "whole", SHORT)

    interrupt(source, tmp_path / "out", 19)
    report = run(source, tmp_path / "out", RESUME)

    written, expected = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("out", "whole")
    )
    assert written == expected
    assert {"sound.mka", "timestamps.txt"} < set(written)
    assert len(written) == FRAMES + 2
    assert any("sound.mka" in note for note in report.notes)
    assert any("timestamps.txt" in note for note in report.notes)


def test_a_run_on_an_image_sequence_resumes(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(24):
        picture = three_shots(number, FACE_SIZE_HW, stripes=STRIPES)
        cv2.imwrite(str(source / f"{number:03d}.png"), picture[:, :, ::-1])
    run(source, tmp_path / "whole", SHORT)
    interrupt(source, tmp_path / "out", 18)
    assert not (tmp_path / "out").exists()
    run(source, tmp_path / "out", RESUME)
    names = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert names == [f"{number:03d}.png" for number in range(24)]
    for name in names:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_resuming_without_finished_segments_starts_from_the_beginning(
    film: Path, whole: Path, tmp_path: Path
) -> None:
    run(film, tmp_path / "out.mkv", RESUME)
    assert (tmp_path / "out.mkv").read_bytes() == (whole / "out.mkv").read_bytes()


def test_a_run_without_a_finished_segment_leaves_no_files(film: Path, tmp_path: Path) -> None:
    interrupt(film, tmp_path / "out.mkv", 2)
    assert list(tmp_path.iterdir()) == []


def test_segments_of_other_settings_are_refused_and_not_mixed_in(
    film: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mkv"
    interrupt(film, target, 20)
    with pytest.raises(MediaError, match="--resume, or start over with --overwrite"):
        run(film, target, SHORT)
    with pytest.raises(MediaError, match=r"--strength was 1\.0 and is now 0\.5"):
        run(film, target, RESUME, strength=0.5)
    with pytest.raises(MediaError, match=r"--segment was 0\.2 and is now 5\.0"):
        run(film, target, JobSettings(segment_seconds=5, resume=True))
    assert count_finished_segments(target) >= 1
    run(film, target, SHORT, strength=0.5, overwrite=True)
    assert count_finished_segments(target) == 0
    assert samples(target) != samples(film)


def test_another_film_under_the_same_name_is_refused(film: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "film.mkv", tmp_path / "out.mkv"
    source.write_bytes(film.read_bytes())
    interrupt(source, target, 20)
    data = bytearray(source.read_bytes())
    data[-40] ^= 1
    source.write_bytes(data)
    with pytest.raises(MediaError, match="contents of the source"):
        run(source, target, RESUME)


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_segment_file_is_redone(
    film: Path, whole: Path, tmp_path: Path, damage: str
) -> None:
    target = tmp_path / "out.mkv"
    interrupt(film, target, 28)
    part = job_folder_path(target) / "000001.film"
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "remove":
        part.unlink()
    else:
        part.write_bytes(data if damage == "flip" else data[:-1])
    run(film, target, RESUME)
    assert target.read_bytes() == (whole / "out.mkv").read_bytes()


@pytest.mark.parametrize("cut_bytes", [1, 2, 60, 400])
def test_a_truncated_journal_loses_no_segment(
    film: Path, whole: Path, tmp_path: Path, cut_bytes: int
) -> None:
    target = tmp_path / "out.mkv"
    interrupt(film, target, 28)
    journal = job_folder_path(target) / "journal"
    journal.write_bytes(journal.read_bytes()[:-cut_bytes])
    interrupt(film, target, 29, job=RESUME)
    run(film, target, RESUME)
    assert target.read_bytes() == (whole / "out.mkv").read_bytes()


def test_a_journal_that_loses_segments_during_the_run_is_an_error(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_state = Job.add_state

    def damaged(self: Job, state: JobState, entry: JournalEntry | None = None, **more: Any) -> None:
        add_state(self, state, entry, **more)
        if entry is not None and entry.segment == 0:
            path = job_folder_path(tmp_path / "out.mkv") / "journal"
            path.write_bytes(path.read_bytes()[:-5])

    monkeypatch.setattr(Job, "add_state", damaged)
    with pytest.raises(MediaError, match="has lost segments"):
        run(film, tmp_path / "out.mkv", SHORT)
    assert not (tmp_path / "out.mkv").exists()


def test_a_truncated_analysis_is_redone(film: Path, whole: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    interrupt(film, target, 28)
    path = job_folder_path(target) / "journal"
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b'{"frame":{"index":10,') + 99])
    assert count_finished_segments(target) == 0
    run(film, target, RESUME)
    assert target.read_bytes() == (whole / "out.mkv").read_bytes()


@pytest.mark.parametrize(
    "is_same_from_start", [True, False], ids=["same from the start", "other film"]
)
def test_frames_that_differ_after_a_seek_are_decoded_from_the_start(
    film: Path,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_same_from_start: bool,
) -> None:
    interrupt(film, tmp_path / "out.mkv", 26)
    finished = count_finished_segments(tmp_path / "out.mkv")
    frames_from, seeks = VideoSource.frames_from, list[bool]()

    def altered_frames(
        self: VideoSource, index: int, timestamp: Timestamp, *, seek: bool = True
    ) -> Iterator[Frame]:
        seeks.append(seek)
        for frame in frames_from(self, index, timestamp, seek=seek):
            damaged = [plane ^ 1 for plane in frame.planes]
            yield frame.with_planes(tuple(damaged)) if seek or not is_same_from_start else frame

    monkeypatch.setattr(VideoSource, "frames_from", altered_frames)
    if is_same_from_start:
        run(film, tmp_path / "out.mkv", RESUME)
        assert (tmp_path / "out.mkv").read_bytes() == (whole / "out.mkv").read_bytes()
    else:
        with pytest.raises(
            MediaError, match="has other samples than before the run was interrupted"
        ):
            run(film, tmp_path / "out.mkv", RESUME)
        assert count_finished_segments(tmp_path / "out.mkv") == finished
    assert seeks == [True, False]


HOLDS_THE_JOB = """
import sys, time
from pathlib import Path
from typing import Any
from vidrestore.jobs.store.job_folder import open_job
with open_job(Path(sys.argv[1]), {}, resume=False, overwrite=False):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_run_killed_between_publishing_two_outputs_resumes(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, record = tmp_path / "out.mkv", tmp_path / "out.jsonl"
    replace = Path.replace

    def replace_films_only(written: Path, target: Path) -> Path:
        if target.suffix == ".jsonl":
            raise InterruptError
        return replace(written, target)

    for _ in range(2):
        monkeypatch.setattr(Path, "replace", replace_films_only)
        with pytest.raises(InterruptError):
            run(film, out, RESUME, record=record)
        assert out.exists()
        assert not record.exists()
        monkeypatch.undo()
    uninterrupted = out.read_bytes()

    run(film, out, RESUME, record=record)

    assert out.read_bytes() == uninterrupted
    assert record.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "out.mkv"]


def test_a_run_killed_while_removing_its_job_folder_resumes(
    film: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.mkv"
    unlink, removed = Path.unlink, list[str]()

    def unlink_all_but_the_journal(path: Path, missing_ok: bool = False) -> None:
        if path.name == "journal":
            raise InterruptError
        removed.append(path.name)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink_all_but_the_journal)
    with pytest.raises(InterruptError):
        run(film, out, SHORT)
    monkeypatch.setattr(Path, "unlink", unlink)
    assert removed
    assert job_folder_path(out).exists()

    run(film, out, RESUME)

    assert out.read_bytes() == (whole / "out.mkv").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["out.mkv"]


def test_resuming_never_replaces_an_output_it_did_not_write(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    interrupt(film, out, 20)
    out.write_bytes(b"another film")

    with pytest.raises(MediaError, match="already exists"):
        run(film, out, RESUME)
    assert out.read_bytes() == b"another film"


def test_a_second_run_on_the_same_output_is_refused(film: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS_THE_JOB, str(target)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(MediaError, match="another run is writing it"):
            run(film, target, SHORT)
        other.kill()


def test_the_journal_lists_the_files_of_each_segment(film: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    interrupt(film, target, 28)
    lines = (job_folder_path(target) / "journal").read_text().splitlines()
    values = [json.loads(line.partition(" ")[2]) for line in lines]
    entries = [value["segment"] for value in values if value.get("segment")]
    assert [entry["first_frame"] for entry in entries][:2] == [0, 11]
    for entry in entries:
        names = [file["name"].split(".", 1)[1] for file in entry["files"]]
        assert names == ["film", "film.json"]


def test_a_segment_of_length_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="segment"):
        JobSettings(segment_seconds=0)


def test_a_full_disk_keeps_finished_segments(
    film: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: Callable[[Path, Path], SegmentFile] = SegmentFile.of

    def full_at_the_second(path: Path, folder: Path) -> SegmentFile:
        if path.name == "000001.film":
            raise OSError(28, "No space left on device")
        return written(path, folder)

    monkeypatch.setattr(SegmentFile, "of", staticmethod(full_at_the_second))
    with pytest.raises(OSError, match="No space left"):
        run(film, tmp_path / "out.mkv", SHORT)
    monkeypatch.undo()
    assert count_finished_segments(tmp_path / "out.mkv") == 1
    run(film, tmp_path / "out.mkv", RESUME)
    assert (tmp_path / "out.mkv").read_bytes() == (whole / "out.mkv").read_bytes()
