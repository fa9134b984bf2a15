"""Segments restored by several workers have the bytes of one process, whatever happens to them."""

from dataclasses import replace
from fractions import Fraction
from itertools import chain, repeat
from pathlib import Path

import cv2
import pytest
import torch
from support.clips import Clip, make_clip
from support.faceclips import FACE_SIZE_HW, three_shot_film, three_shots
from support.fake_restorer import InterruptError
from support.local_cluster import LocalCluster, LocalStream, restore_distributed

from vidrestore import JobSettings, RestoreSettings, restore_video
from vidrestore.errors import MediaError, WorkerError
from vidrestore.jobs.distributed import tasks, worker
from vidrestore.jobs.distributed.tasks import analyze_video
from vidrestore.jobs.store import fingerprint
from vidrestore.jobs.store.fingerprint import Machine
from vidrestore.jobs.store.job_folder import count_finished_segments, job_folder_path
from vidrestore.jobs.store.journal import read_journal
from vidrestore.jobs.store.resume import ResumePoint
from vidrestore.pipeline.stages import Stages
from vidrestore.progress import Progress

FRAMES = 18
SHORT = JobSettings(segment_seconds=0.2)
RESUME = JobSettings(segment_seconds=0.2, resume=True)


pytestmark = pytest.mark.usefixtures("use_fake_restorer")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    return three_shot_film(path, frames=FRAMES)


def settings_in(folder: Path, **more: object) -> RestoreSettings:
    chosen = {"codec": "ffv1", "device": "cpu", "precision": "fp32", **more}
    return RestoreSettings(
        compare=folder / "compare.mkv",
        record=folder / "record.jsonl",
        **chosen,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def whole(film: Path) -> Path:
    """The film restored in one process."""
    folder = film.parent / "whole"
    folder.mkdir()
    report = restore_video(film, folder / "out.mkv", settings=settings_in(folder), job=SHORT)
    assert report.segments == 3
    assert report.faces >= 10
    return folder


def assert_same(folder: Path, whole: Path) -> None:
    for name in ("out.mkv", "compare.mkv"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()
    lines, expected = (
        (path / "record.jsonl").read_text().splitlines()[1:] for path in (folder, whole)
    )
    assert lines == expected


@pytest.mark.parametrize("workers", [1, 3])
def test_several_workers_and_one_process_give_the_same_bytes(
    film: Path, whole: Path, tmp_path: Path, workers: int
) -> None:
    updates: list[Progress] = []
    clusters: list[LocalCluster] = []
    report = restore_distributed(
        film,
        tmp_path / "out.mkv",
        settings_in(tmp_path),
        SHORT,
        workers=workers,
        on_progress=updates.append,
        clusters=clusters,
    )
    assert_same(tmp_path, whole)
    assert sorted(clusters[0].segments) == [0, 1, 2]
    assert (report.frames, report.segments) == (FRAMES, 3)
    assert [shot.first_frame for shot in report.shot_records] == [0, 6, 12]
    assert {"restore", "encode"} <= report.timing.keys()
    assert updates[-2].frames_searched == updates[-2].frames_done == FRAMES
    assert not job_folder_path(tmp_path / "out.mkv").exists()


def test_another_worker_takes_over_the_task_of_a_dead_one(
    film: Path, whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def dies(stream: LocalStream) -> bool:
        works = stream.function is analyze_video or stream.segment is not None
        return works and stream.sent == 1 and stream.attempts == 1

    clusters: list[LocalCluster] = []
    restore_distributed(
        film, tmp_path / "out.mkv", settings_in(tmp_path), SHORT, dies=dies, clusters=clusters
    )
    assert_same(tmp_path, whole)
    assert clusters[0].deaths == 4
    assert sorted(clusters[0].segments) == [0, 0, 1, 1, 2, 2]
    assert "a worker died; another one restarts its task: frames 6 to 11" in caplog.text


def test_an_analysis_whose_worker_dies_continues_from_the_journal(
    film: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "FRAMES_PER_BATCH", 2)
    logged: list[int] = []
    resumed: list[int] = []
    resume_point = tasks.resume_point

    def noted_resume_point(folder: Path, journal_bytes: int, stages: Stages) -> ResumePoint:
        point = resume_point(folder, journal_bytes, stages)
        resumed.append(point.last_index)
        return point

    monkeypatch.setattr(tasks, "resume_point", noted_resume_point)

    def dies(stream: LocalStream) -> bool:
        if stream.function is not analyze_video or stream.sent != 5 or stream.attempts != 1:
            return False
        state = read_journal(job_folder_path(tmp_path / "out.mkv")).state
        logged.append(state.journal_bytes)
        return True

    clusters: list[LocalCluster] = []
    restore_distributed(
        film, tmp_path / "out.mkv", settings_in(tmp_path), SHORT, dies=dies, clusters=clusters
    )
    assert_same(tmp_path, whole)
    assert clusters[0].deaths == 1
    assert logged[0] > 0
    assert resumed == [-1, 14]  # four batches of two frames, whose numbers are even


def test_a_segment_that_kills_every_worker_ends_the_run_and_keeps_the_others(
    film: Path, whole: Path, tmp_path: Path
) -> None:
    def dies(stream: LocalStream) -> bool:
        return stream.segment == 1

    target = tmp_path / "out.mkv"
    with pytest.raises(WorkerError, match=r"frames 6 to 11 of .*: 3 workers died during this task"):
        restore_distributed(film, target, settings_in(tmp_path), SHORT, dies=dies, workers=1)
    assert count_finished_segments(target) == 1
    assert not target.exists()
    clusters: list[LocalCluster] = []
    restore_distributed(film, target, settings_in(tmp_path), RESUME, clusters=clusters)
    assert sorted(clusters[0].segments) == [1, 2]
    assert not any(stream.function is analyze_video for stream in clusters[0].streams)
    assert_same(tmp_path, whole)


def interrupt_out_of_order(film: Path, target: Path) -> None:
    """Run until the last segment is finished before the first one."""

    def on_progress(progress: Progress) -> None:
        if progress.frames_done >= 10 and progress.workers == 1:
            raise InterruptError

    def dies(stream: LocalStream) -> bool:
        return stream.segment == 0

    with pytest.raises((InterruptError, WorkerError)):
        restore_distributed(
            film, target, settings_in(target.parent), SHORT, dies=dies, on_progress=on_progress
        )
    assert count_finished_segments(target) >= 1
    assert 0 not in read_journal(job_folder_path(target)).entries


def test_segments_finished_out_of_order_are_kept(film: Path, whole: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    interrupt_out_of_order(film, target)
    finished = count_finished_segments(target)
    clusters: list[LocalCluster] = []
    restore_distributed(film, target, settings_in(tmp_path), RESUME, clusters=clusters)
    assert len(clusters[0].segments) == 3 - finished
    assert_same(tmp_path, whole)


@pytest.mark.parametrize("damage", ["segment file", "analysis", "state"])
def test_damaged_files_are_redone(film: Path, whole: Path, tmp_path: Path, damage: str) -> None:
    target = tmp_path / "out.mkv"
    interrupt_out_of_order(film, target)
    folder = job_folder_path(target)
    path = folder / "journal"
    data = bytearray(path.read_bytes())
    if damage == "segment file":
        path = next(folder.glob("00000[12]*.film"))
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
    elif damage == "analysis":
        data[data.index(b'{"frame":{"index":10,') + 9] ^= 1
    else:
        data[data.rindex(b' {"state"') + 9] ^= 1
    path.write_bytes(data)
    restore_distributed(film, target, settings_in(tmp_path), RESUME)
    assert_same(tmp_path, whole)


def test_a_run_can_switch_between_one_process_and_workers_on_resume(
    film: Path, whole: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mkv"
    interrupt_out_of_order(film, target)
    settings = settings_in(tmp_path)

    def stop(progress: Progress) -> None:
        if progress.frames_done >= 15:
            raise InterruptError

    with pytest.raises(InterruptError):
        restore_video(film, target, settings=settings, job=RESUME, on_progress=stop)
    assert count_finished_segments(target) == 2
    clusters: list[LocalCluster] = []
    restore_distributed(film, target, settings, RESUME, clusters=clusters)
    assert clusters[0].segments == [2]
    assert_same(tmp_path, whole)


def test_workers_restore_an_image_sequence(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(14):
        picture = three_shots(number, FACE_SIZE_HW)
        cv2.imwrite(str(source / f"{number:03d}.png"), picture[:, :, ::-1])
    settings = RestoreSettings(device="cpu", precision="fp32")
    restore_video(source, tmp_path / "whole", settings=settings, job=SHORT)
    restore_distributed(source, tmp_path / "out", settings, SHORT)
    names = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert len(names) == 14
    for name in names:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_workers_restore_an_interlaced_film(tmp_path: Path) -> None:
    clip = Clip(
        size_hw=FACE_SIZE_HW,
        ticks=tuple(range(12)),
        picture=lambda number, size: three_shots(number + 3, size),
        field_order="tff",
    )
    film = make_clip(tmp_path / "fields.mkv", clip)
    settings = RestoreSettings(codec="ffv1", device="cpu", precision="fp32")
    local = restore_video(film, tmp_path / "whole.mkv", settings=settings, job=SHORT)
    report = restore_distributed(film, tmp_path / "out.mkv", settings, SHORT)
    assert any("each field was restored separately" in note for note in report.notes)
    assert report.notes == local.notes
    assert report.segments == local.segments > 1
    assert (tmp_path / "out.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()


def test_an_error_in_a_worker_is_raised_by_the_run(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise MediaError("out.mkv: cannot write: No space left on device")

    monkeypatch.setattr(tasks.OpenSegment, "finish", full)
    with pytest.raises(MediaError, match=r"^out\.mkv: cannot write: No space left on device$"):
        restore_distributed(film, tmp_path / "out.mkv", settings_in(tmp_path), SHORT)


def test_a_worker_with_different_package_versions_is_refused(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = fingerprint.this_machine

    def this_machine(device: str, precision: str) -> Machine:
        machine = here(device, precision)
        return replace(machine, versions={**machine.versions, "torch": "1.0"})

    monkeypatch.setattr(worker, "this_machine", this_machine)
    with pytest.raises(
        WorkerError, match=r"has torch 1\.0, but the main process .* the same versions installed"
    ):
        restore_distributed(film, tmp_path / "out.mkv", settings_in(tmp_path), SHORT)
    assert [path.name for path in tmp_path.iterdir()] == []


@pytest.mark.parametrize("other", ["A100, cuDNN 91002", "H100, cuDNN 91100", ""])
def test_a_worker_whose_gpu_or_cudnn_differs_from_the_first_is_refused(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    gpus = chain(["H100, cuDNN 91002"], repeat(other))  # the first worker's, then the others'

    def describe(_device: torch.device) -> str:
        return next(gpus)

    monkeypatch.setattr(fingerprint, "describe_device", describe)
    with pytest.raises(
        WorkerError,
        match=f"has GPU {other or 'none'}, but .* H100, cuDNN 91002; results would differ",
    ):
        restore_distributed(film, tmp_path / "out.mkv", settings_in(tmp_path), SHORT)
    assert not (tmp_path / "out.mkv").exists()


def test_workers_with_the_same_gpu_model_restore_together(
    film: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def describe(_device: torch.device) -> str:
        return "H100, cuDNN 91002"

    monkeypatch.setattr(fingerprint, "describe_device", describe)
    restore_distributed(film, tmp_path / "out.mkv", settings_in(tmp_path), SHORT)
    assert_same(tmp_path, whole)


def test_a_time_range_without_frames_is_refused_by_workers(film: Path, tmp_path: Path) -> None:
    settings = settings_in(tmp_path, start_seconds=Fraction(100))
    with pytest.raises(MediaError, match="no frame"):
        restore_distributed(film, tmp_path / "out.mkv", settings, SHORT)
