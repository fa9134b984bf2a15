"""What a GPU does for a job gives the same bytes from one process and from workers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.faceclips import three_shot_film
from support.fake_restorer import InterruptError, load_fake_restorer
from support.gpu_decoding import use_fake_gpu
from support.local_cluster import LocalCluster, restore_distributed

from vidrestore import JobSettings, RestoreSettings, restore_video
from vidrestore.errors import DeviceError, MediaError
from vidrestore.jobs.distributed.worker_plan import plan_workers
from vidrestore.jobs.open_video import open_setup
from vidrestore.jobs.store.fingerprint import job_fingerprint, this_machine
from vidrestore.media import hardware_decoding
from vidrestore.media.input.video_info import probe
from vidrestore.pipeline import setup
from vidrestore.progress import Progress

SHORT = JobSettings(segment_seconds=0.2)


@pytest.fixture(autouse=True, scope="module")
def use_fake_restorer() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setup, "load_restorer", load_fake_restorer)
        yield


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return three_shot_film(tmp_path_factory.mktemp("film") / "film.mkv", frames=18)


def settings(**more: object) -> RestoreSettings:
    return RestoreSettings(codec="ffv1", device="cpu", precision="fp32", **more)  # type: ignore[arg-type]


def test_two_workers_with_stages_on_the_device_give_the_bytes_of_one_process(
    film: Path, tmp_path: Path
) -> None:
    chosen = settings(gpu_stages=True)
    report = restore_video(film, tmp_path / "one.mkv", settings=chosen, job=SHORT)
    clusters: list[LocalCluster] = []
    restore_distributed(film, tmp_path / "two.mkv", chosen, SHORT, workers=2, clusters=clusters)
    assert (tmp_path / "two.mkv").read_bytes() == (tmp_path / "one.mkv").read_bytes()
    assert sorted(clusters[0].segments) == [0, 1, 2]
    assert report.faces >= 10


def test_a_film_decoded_by_a_gpu_is_restored_to_the_same_bytes(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    restore_video(film, tmp_path / "cpu.mkv", settings=settings(), job=SHORT)
    opened = use_fake_gpu(monkeypatch)
    chosen = settings(hardware_decoding=True)
    restore_video(film, tmp_path / "gpu.mkv", settings=chosen, job=SHORT)
    restore_distributed(film, tmp_path / "workers.mkv", chosen, SHORT, workers=2)
    assert len(opened) > 4
    for name in ("gpu.mkv", "workers.mkv"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "cpu.mkv").read_bytes()


def test_a_worker_decodes_on_the_gpu_that_it_has(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = use_fake_gpu(monkeypatch)
    chosen = RestoreSettings(device="cuda:1", hardware_decoding=True)
    with open_setup(film, chosen) as setup:
        next(iter(setup.source))
    assert {*opened} == {1}
    assert plan_workers([{"CPU": 16.0, "GPU": 1.0}], "cuda", 2).num_gpus == 0.5


def test_a_run_continues_only_with_the_same_decoder(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.frames_done >= 12:
            raise InterruptError

    use_fake_gpu(monkeypatch)
    out = tmp_path / "out.mkv"
    with pytest.raises(InterruptError):
        restore_video(film, out, settings=settings(), job=SHORT, on_progress=interrupt)
    resumed = JobSettings(segment_seconds=0.2, resume=True)
    with pytest.raises(MediaError, match="hardware-decoding"):
        restore_video(film, out, settings=settings(hardware_decoding=True), job=resumed)


@pytest.mark.parametrize("name", ["gpu_stages", "hardware_decoding"])
def test_the_fingerprint_of_a_job_includes_what_a_gpu_does(film: Path, name: str) -> None:
    machine = this_machine("cpu", "fp32")
    plain, other = (
        job_fingerprint(probe(film), settings(**{name: on}), JobSettings(), machine)
        for on in (False, True)
    )
    changed = {key for key in {**plain, **other} if plain.get(key) != other.get(key)}
    assert changed == {"--" + name.replace("_", "-")}


def test_a_gpu_that_decodes_nothing_ends_the_run_before_it_starts(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_fake_gpu(monkeypatch)
    monkeypatch.setattr(hardware_decoding, "is_on_gpu", lambda _stream: False)
    with pytest.raises(DeviceError, match="leave out --hardware-decoding"):
        restore_video(film, tmp_path / "out.mkv", settings=settings(hardware_decoding=True))
    assert not list(tmp_path.iterdir())
