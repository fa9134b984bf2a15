"""Workers on a Ray cluster on this machine: real processes, one of which is killed."""

import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from support.clips import Clip, Sound, make_clip
from support.faceclips import FACE_SIZE_HW, face_picture
from support.fake_restorer import load_fake_restorer, speed_up_worker
from support.oldfilm import HW, damaged_picture
from support.ray_tasks import die, fail, have_a_bug, write_until_canceled

from vidrestore import JobSettings, RestoreSettings, restore_video
from vidrestore.errors import ConfigError, DeviceError, MediaError, WorkerError
from vidrestore.jobs.distributed.ray_cluster import (
    RayCluster,
    assigned_device,
    open_ray_cluster,
)
from vidrestore.jobs.distributed.worker import WorkerSettings
from vidrestore.jobs.distributed.worker_plan import WorkerPlan, plan_workers
from vidrestore.jobs.store.job_folder import job_folder_path
from vidrestore.pipeline import setup
from vidrestore.progress import Progress

ray = pytest.importorskip("ray", reason="the extra ray is not installed")

SETTINGS = RestoreSettings(codec="ffv1", device="cpu", precision="fp32")
TEST_PATHS = (Path(__file__).parents[1], Path(__file__).parents[2])
"""Where workers find the support of tests, and the package where it is not installed."""
FRAMES = 40
ON_RAY = JobSettings(segment_seconds=0.1, engine="ray", workers=2)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Two cores of Ray, whose workers restore at no cost."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")
        patch.setattr(setup, "load_restorer", load_fake_restorer)
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            object_store_memory=100 << 20,
            runtime_env={
                "worker_process_setup_hook": speed_up_worker,
                "env_vars": {"PYTHONPATH": os.pathsep.join(map(str, TEST_PATHS))},
            },
        )
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as each of two workers on two cores
        yield
        torch.set_num_threads(threads)
        ray.shutdown()


def test_killing_a_ray_worker_does_not_change_the_bytes(
    cluster: None,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    clip = Clip(
        size_hw=FACE_SIZE_HW,
        ticks=tuple(range(FRAMES)),
        picture=face_picture,
        sounds=(Sound(seconds=Fraction(FRAMES, 25)),),
        options={"preset": "veryfast", "bf": "2", "g": "5", "crf": "10"},
    )
    film = make_clip(tmp_path / "film.mkv", clip)
    whole = JobSettings(segment_seconds=0.1)
    expected = restore_video(film, tmp_path / "whole.mkv", settings=SETTINGS, job=whole)
    assert expected.segments >= 4
    killed: list[int] = []

    def on_progress(progress: Progress) -> None:
        if progress.workers and progress.frames_searched and not killed:
            killed.extend(map(int, re.findall(r"process (\d+) on", caplog.text)))
            os.kill(killed[0], signal.SIGKILL)

    caplog.set_level(logging.INFO, logger="vidrestore")
    report = restore_video(
        film, tmp_path / "out.mkv", settings=SETTINGS, job=ON_RAY, on_progress=on_progress
    )
    assert killed
    assert "a worker died; " in caplog.text
    assert (tmp_path / "out.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()
    assert (report.frames, report.faces) == (expected.frames, expected.faces)
    assert report.segments == expected.segments
    assert not job_folder_path(tmp_path / "out.mkv").exists()
    assert capfd.readouterr().out == ""


def test_workers_and_one_process_repair_a_film_to_the_same_bytes(
    cluster: None, tmp_path: Path
) -> None:
    """A repaired frame depends on its neighbors, which may belong to another worker's segment."""
    clip = Clip(
        size_hw=HW,
        ticks=tuple(range(20)),
        codec="ffv1",
        options={"g": "5"},
        picture=damaged_picture,
    )
    film, whole, result = (tmp_path / name for name in ("film.mkv", "whole.mkv", "out.mkv"))
    make_clip(film, clip)
    settings = replace(SETTINGS, repair=("dust", "scratches", "flicker"))
    one_process = JobSettings(segment_seconds=10)
    expected = restore_video(film, whole, settings=settings, job=one_process)
    assert expected.segments == 1
    assert min(expected.repairs[name] for name in ("specks", "frames with flicker")) > 10

    report = restore_video(film, result, settings=settings, job=ON_RAY)

    assert report.segments >= 4
    assert report.repairs == expected.repairs
    assert result.read_bytes() == whole.read_bytes()


WORKER = WorkerSettings(device="cpu", precision="fp32", threads=1)


def values_of(
    cluster: RayCluster, name: str, function: Callable[..., Iterator[int]]
) -> Iterator[int]:
    stream: Any = cluster.submit(name, function, (), WORKER)
    while (item := cluster.next_item(stream, name)) is not None:
        if item.value is not None:
            yield item.value


def test_an_error_in_a_task_is_raised_unchanged(cluster: None) -> None:
    with open_ray_cluster("cpu", workers=2) as opened:
        values = values_of(opened, "failing", fail)
        assert next(values) == 1
        with pytest.raises(MediaError, match=r"^out\.mkv: cannot write: No space left on device$"):
            next(values)


def test_a_bug_in_a_task_is_raised_with_the_traceback_of_the_worker(cluster: None) -> None:
    with open_ray_cluster("cpu", workers=2) as opened:
        values = values_of(opened, "failing", have_a_bug)
        assert next(values) == 1
        with pytest.raises(KeyError, match=r"(?s)in have_a_bug.*KeyError: 'a bug'"):
            next(values)


def test_a_task_that_kills_every_worker_is_not_retried_forever(cluster: None) -> None:
    with open_ray_cluster("cpu", workers=2) as opened:
        values = values_of(opened, "frames 0 to 9 of film.mkv", die)
        assert next(values) == 1
        with pytest.raises(WorkerError, match=r"frames 0 to 9 of film\.mkv: 3 workers died"):
            next(values)


def test_a_canceled_task_removes_its_files(cluster: None, tmp_path: Path) -> None:
    path = tmp_path / "segment"
    with open_ray_cluster("cpu", workers=2) as opened:
        stream = opened.submit("writing", write_until_canceled, (path,), WORKER)
        items = iter(lambda: opened.next_item(stream, "writing"), None)
        assert [next(items).value for _ in range(2)] == [None, 0]
        assert path.exists()
        opened.cancel([stream])
    assert not path.exists()


def test_a_gpu_request_is_refused_by_a_cluster_without_gpus(cluster: None) -> None:
    with (
        pytest.raises(DeviceError, match="the Ray cluster has no GPU"),
        open_ray_cluster("cuda", workers=None),
    ):
        pass
    with (
        pytest.raises(DeviceError, match="Ray chooses the GPU itself; use --device cuda"),
        open_ray_cluster("cuda:1", workers=None),
    ):
        pass


@pytest.mark.parametrize(
    ("workers", "expected"), [(None, (1, 2)), (1, (1, 2)), (2, (2, 1)), (9, (2, 1))]
)
def test_workers_and_threads_fill_the_cores(
    cluster: None, workers: int | None, expected: tuple[int, int]
) -> None:
    with open_ray_cluster("auto", workers=workers) as opened:
        assert (opened.plan.workers, opened.plan.threads) == expected
    assert ray.is_initialized()


NODE = {"CPU": 16.0, "GPU": 1.0, "memory": float(64 << 30)}


@pytest.mark.parametrize(
    ("nodes", "workers", "expected"),
    [
        ([NODE], None, WorkerPlan(workers=1, threads=8, num_gpus=1.0)),
        ([NODE], 2, WorkerPlan(workers=2, threads=8, num_gpus=0.5)),
        ([NODE, NODE], 2, WorkerPlan(workers=2, threads=8, num_gpus=1.0)),
        ([NODE, NODE], 3, WorkerPlan(workers=3, threads=8, num_gpus=0.5)),
        ([NODE], 3, WorkerPlan(workers=3, threads=5, num_gpus=0.3333)),
        ([NODE], 1000, WorkerPlan(workers=8, threads=2, num_gpus=0.125)),
        ([NODE, {"CPU": 2.0}], None, WorkerPlan(workers=1, threads=2, num_gpus=1.0)),
    ],
)
def test_more_workers_than_gpus_share_the_gpus(
    nodes: list[dict[str, float]], workers: int | None, expected: WorkerPlan
) -> None:
    plan = plan_workers(nodes, "auto", workers)
    assert plan == expected
    assert plan.task_options()["num_gpus"] == expected.num_gpus
    assert plan_workers(nodes, "cpu", workers).num_gpus == 0


@pytest.mark.parametrize(
    ("gpu_id", "visible", "expected"),
    [("0", None, "cuda:0"), ("3", "2,3", "cuda:1"), ("GPU-5a", "GPU-7b,GPU-5a", "cuda:1")],
)
def test_a_worker_uses_the_gpu_assigned_by_ray(
    gpu_id: str, visible: str | None, expected: str
) -> None:
    assert assigned_device(gpu_id, visible) == expected


def test_without_ray_a_one_line_error_names_the_extra_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    film = make_clip(tmp_path / "film.mkv", Clip())
    with pytest.raises(ConfigError, match=r"pip install 'vidrestore\[ray\]'"):
        restore_video(film, tmp_path / "out.mkv", settings=SETTINGS, job=ON_RAY)
    assert [path.name for path in tmp_path.iterdir()] == ["film.mkv"]


def test_an_unreachable_cluster_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    if ray.is_initialized():
        ray.shutdown()
    monkeypatch.setenv("RAY_ADDRESS", "nonsense")
    with (
        pytest.raises(WorkerError, match=r"no Ray cluster at nonsense \(RAY_ADDRESS\): .+"),
        open_ray_cluster("auto", workers=None),
    ):
        pass


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"workers": 2}, "workers requires the engine ray"),
        ({"engine": "ray", "workers": 0}, "at least 1"),
        ({"engine": "spark"}, "engine must be one of local, ray"),
    ],
)
def test_invalid_engine_settings_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        JobSettings(**wrong)  # type: ignore[arg-type]
