"""What a resumed run must find as it was: the network for the whole picture is part of it."""

from pathlib import Path

import pytest
from support.clips import make_clip
from support.zoo import compact_file

from vidrestore import JobSettings, RestoreSettings
from vidrestore.jobs.estimate import dry_run
from vidrestore.jobs.store.fingerprint import job_fingerprint, this_machine
from vidrestore.media import VideoInfo, probe


@pytest.fixture
def info(tmp_path: Path) -> VideoInfo:
    return probe(make_clip(tmp_path / "film.mkv"))


def identity(info: VideoInfo, **settings: object) -> dict[str, str]:
    chosen = RestoreSettings(device="cpu", **settings)  # type: ignore[arg-type]
    return job_fingerprint(info, chosen, JobSettings(), this_machine(chosen))


def changed(one: dict[str, str], other: dict[str, str]) -> set[str]:
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


def test_the_network_and_the_size_of_its_output_are_part_of_a_job(info: VideoInfo) -> None:
    plain, small = identity(info), identity(info, background="compact")

    assert changed(plain, small) == {"setting background", "weights of the background"}
    assert changed(small, identity(info, background="compact", scale=2)) == {"setting scale"}
    assert changed(small, identity(info, background="realesrgan")) == {
        "setting background",
        "weights of the background",
    }


def test_other_bytes_under_the_same_name_are_another_network(
    info: VideoInfo, tmp_path: Path
) -> None:
    path = compact_file(tmp_path, 2)
    before = identity(info, background=path)
    compact_file(tmp_path, 2, seed=1)

    assert changed(before, identity(info, background=path)) == {"weights of the background"}


def test_a_dry_run_does_not_say_the_cost_for_every_sample(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    film = make_clip(tmp_path / "film.mkv")
    settings = RestoreSettings(codec="ffv1", device="cpu", background="compact")
    dry_run(film, tmp_path / "out.mkv", settings=settings, job=JobSettings())

    assert not [each for each in caplog.messages if "a tile" in each]
