"""Batches: which files are films, where outputs go, and that a failed film stops no other."""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.clips import Clip, make_clip
from support.faceclips import FACE_SIZE_HW, face_picture
from support.fake_restorer import InterruptError, load_fake_restorer
from support.local_cluster import LocalCluster, open_local_engine
from support.records import make_report

from vidrestore import JobSettings, RestoreSettings, restore_video
from vidrestore.errors import ConfigError, MediaError
from vidrestore.jobs import batch
from vidrestore.jobs.batch import BatchProgress, restore_batch
from vidrestore.jobs.batch_videos import BatchVideo, batch_films
from vidrestore.jobs.distributed.coordinator import DistributedEngine
from vidrestore.jobs.store.job_folder import job_folder_path
from vidrestore.pipeline import setup
from vidrestore.pipeline.report import RestoreReport

NOTHING = make_report()


def names(films: tuple[BatchVideo, ...]) -> list[tuple[str, str]]:
    return [(film.source.name, film.output.name) for film in films]


def test_a_folder_lists_its_films_and_image_sequences(tmp_path: Path) -> None:
    for name in ("b.MP4", "a.mkv", "old.wmv", "notes.txt", ".hidden.mkv", "cover.png"):
        (tmp_path / name).touch()
    for name in ("frames", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "frames" / "1.dpx").touch()

    films = batch_films(tmp_path, tmp_path / "out")

    assert names(films) == [
        ("a.mkv", "a.mkv"),
        ("b.MP4", "b.MP4"),
        ("frames", "frames"),
        ("old.wmv", "old.mkv"),
    ]
    assert {film.output.parent for film in films} == {tmp_path / "out"}


def test_films_are_recognized_by_content_and_not_by_suffix(tmp_path: Path) -> None:
    plain = make_clip(tmp_path / "plain.mkv")
    for name in ("UPPER.MTS", "tape.VOB", "clip.unusual"):
        (tmp_path / name).write_bytes(plain.read_bytes())
    (tmp_path / "notes.txt").write_text("no film\n" * 99)
    (tmp_path / "cover.png").touch()
    (tmp_path / "empty").mkdir()
    skipped: dict[str, str] = {}

    films = batch_films(
        tmp_path,
        tmp_path / "out",
        on_skipped=lambda path, reason: skipped.__setitem__(path.name, reason),
    )

    assert names(films) == [
        ("UPPER.MTS", "UPPER.mkv"),
        ("clip.unusual", "clip.mkv"),
        ("plain.mkv", "plain.mkv"),
        ("tape.VOB", "tape.mkv"),
    ]
    assert skipped.keys() == {"notes.txt", "cover.png", "empty"}
    assert skipped["cover.png"] == "an image"
    assert skipped["empty"] == "a folder without images"


def test_film_paths_in_a_list_are_relative_to_the_list(tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text(f"# from tape\n\nreel 1.mov\n  sub/reel 2.avi  \n{tmp_path}/still.tif\n")

    films = batch_films(listed, tmp_path / "out", suffix=".mp4", sidecars=["record", "compare"])

    assert [film.source for film in films] == [
        tmp_path / "reel 1.mov",
        tmp_path / "sub" / "reel 2.avi",
        tmp_path / "still.tif",
    ]
    assert [film.output.name for film in films] == ["reel 1.mp4", "reel 2.mp4", "still.tif"]
    assert films[0].sidecars["record"] == tmp_path / "out" / "reel 1.jsonl"
    assert films[0].sidecars["compare"] == tmp_path / "out" / "reel 1.compare.mkv"
    assert "compare" not in films[2].sidecars


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ("# nothing\n", "contains no film"),
        ("a/x.mkv\nb/x.mkv\n", "both results would be"),
        ("a/x.mkv\nb/X.MKV\n", "both results would be"),
        ("x.wmv\nx.flv\n", "both results would be"),
        ("x.mkv\nx.mkv\n", "both results would be"),
        ("out/x.mkv\n", "the result would replace the source"),
    ],
)
def test_a_faulty_film_list_is_refused_before_the_first_film(
    tmp_path: Path, listed: str, said: str
) -> None:
    path = tmp_path / "list.txt"
    path.write_text(listed)
    with pytest.raises(ConfigError, match=said):
        batch_films(path, tmp_path / "out")


def test_a_file_that_is_not_a_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder or list"):
        batch_films(tmp_path / "missing", tmp_path / "out")
    (tmp_path / "film.mkv").write_bytes(b"\x1a\x45\xdf\xa3\xff")
    with pytest.raises(ConfigError, match="a path on each line"):
        batch_films(tmp_path / "film.mkv", tmp_path / "out")
    with pytest.raises(ConfigError, match="ending must be one of"):
        batch_films(tmp_path, tmp_path / "out", suffix=".doc")


@pytest.fixture
def fake_restore(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Restoring writes the name of the source, unless the source is ``bad``."""

    def restore_with_engine(
        _engine: object, source: Path, output: Path, **_more: object
    ) -> RestoreReport:
        if source.stem == "bad":
            raise MediaError("bad.mkv: is no film,\n  not at all")
        output.write_text(source.name)
        return NOTHING

    monkeypatch.setattr(batch, "restore_with_engine", restore_with_engine)
    return restore_with_engine


def three(tmp_path: Path) -> tuple[BatchVideo, ...]:
    path = tmp_path / "list.txt"
    path.write_text("one.mkv\nbad.mkv\ntwo.mkv\n")
    return batch_films(path, tmp_path / "out", sidecars=["report"])


def test_a_failing_film_does_not_stop_the_others_and_existing_outputs_are_skipped(
    tmp_path: Path, fake_restore: Callable[..., None]
) -> None:
    films, updates = three(tmp_path), list[BatchProgress]()
    settings, job = RestoreSettings(), JobSettings()

    results = restore_batch(films, settings=settings, job=job, on_progress=updates.append)

    assert [result.outcome for result in results] == ["restored", "failed", "restored"]
    assert results[1].error == "bad.mkv: is no film, not at all"
    assert (tmp_path / "out" / "one.json").read_text().startswith("{")
    assert not (tmp_path / "out" / "bad.json").exists()
    assert [(update.films_done, update.progress) for update in updates] == [
        (1, None),
        (2, None),
        (3, None),
    ]

    again = restore_batch(films, settings=settings, job=job)
    assert [result.outcome for result in again] == ["already there", "failed", "already there"]
    redone = restore_batch(films, settings=RestoreSettings(overwrite=True), job=job)
    assert [result.outcome for result in redone] == ["restored", "failed", "restored"]


@pytest.fixture
def shared_cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[LocalCluster]]:
    """Two workers of this process instead of Ray's."""
    clusters: list[LocalCluster] = []

    @contextmanager
    def open_engine(job: JobSettings) -> Generator[DistributedEngine]:
        with open_local_engine(clusters=clusters) as engine:
            yield engine

    monkeypatch.setattr(batch, "open_engine", open_engine)
    monkeypatch.setattr(setup, "load_restorer", load_fake_restorer)
    yield clusters
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("film")]


def two_films(folder: Path) -> None:
    folder.mkdir()
    for name, frames in (("a.mkv", 8), ("b.mkv", 11)):
        clip = Clip(size_hw=FACE_SIZE_HW, ticks=tuple(range(frames)), picture=face_picture)
        make_clip(folder / name, clip)
    (folder / "c.mkv").write_text("no film")


def test_films_that_share_workers_get_the_same_bytes_as_in_separate_runs(
    tmp_path: Path, shared_cluster: list[LocalCluster]
) -> None:
    two_films(tmp_path / "in")
    films = batch_films(tmp_path / "in", tmp_path / "out")
    settings = RestoreSettings(codec="ffv1", device="cpu", precision="fp32")
    job = JobSettings(segment_seconds=0.1)

    results = restore_batch(films, settings=settings, job=job)

    assert [result.outcome for result in results] == ["restored", "restored", "failed"]
    assert len(shared_cluster) == 1
    for film, result in zip(films[:2], results, strict=False):
        alone = tmp_path / film.output.name
        report = restore_video(film.source, alone, settings=settings, job=job)
        assert film.output.read_bytes() == alone.read_bytes()
        assert result.report is not None
        assert (result.report.frames, result.report.faces) == (report.frames, report.faces)


def test_a_stopped_batch_can_be_resumed(tmp_path: Path, shared_cluster: list[LocalCluster]) -> None:
    two_films(tmp_path / "in")
    films = batch_films(tmp_path / "in", tmp_path / "out")
    settings = RestoreSettings(codec="ffv1", device="cpu", precision="fp32")
    job = JobSettings(segment_seconds=0.1)

    def stop(progress: BatchProgress) -> None:
        if progress.progress is not None and progress.progress.frames_done:
            raise InterruptError

    with pytest.raises(InterruptError):
        restore_batch(films, settings=settings, job=job, on_progress=stop)
    left = [film for film in films if not film.output.exists()]
    assert left
    results = restore_batch(films, settings=settings, job=job)
    assert [result.outcome for result in results[:2]].count("failed") == 0
    assert all(film.output.exists() for film in films[:2])
    assert not any(job_folder_path(film.output).exists() for film in films)
