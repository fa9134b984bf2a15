"""A run is resumed if its settings resolve to those of the interrupted one, however written."""

from pathlib import Path
from typing import Any

import pytest
import torch
from support.clips import Clip, make_clip
from support.zoo import compact_file

from vidrestore import JobSettings, RestoreReport, RestoreSettings, restore_video
from vidrestore.errors import MediaError
from vidrestore.jobs.store import fingerprint
from vidrestore.jobs.store.job_folder import count_finished_segments, job_folder_path
from vidrestore.progress import Progress

SETTINGS: dict[str, Any] = {"codec": "ffv1", "device": "cpu", "safeguard": 0}
RESUME = JobSettings(segment_seconds=0.2, resume=True)


class StoppedError(Exception):
    """Stands in for whatever stops a run."""


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "film.mkv", Clip(ticks=tuple(range(40)), size_hw=(32, 32)))


def interrupt(film: Path, **settings: Any) -> Path:
    """Return the output of a run that was stopped after its first segments."""
    target = film.with_name("out.mkv")

    def stop(_progress: Progress) -> None:
        if count_finished_segments(target):
            raise StoppedError

    with pytest.raises(StoppedError):
        restore_video(
            film,
            target,
            settings=RestoreSettings(**{**SETTINGS, **settings}),
            job=JobSettings(segment_seconds=0.2),
            on_progress=stop,
        )
    return target


def resume(film: Path, **settings: Any) -> RestoreReport:
    chosen = RestoreSettings(**{**SETTINGS, **settings})
    return restore_video(film, film.with_name("out.mkv"), settings=chosen, job=RESUME)


@pytest.mark.skipif(torch.cuda.is_available(), reason="auto is a GPU here")
def test_a_run_on_device_auto_resumes_on_the_cpu_that_it_chose(film: Path) -> None:
    interrupt(film, device="auto")

    assert resume(film, device="cpu").frames == 40


def test_a_run_resumes_with_another_spelling_of_a_path(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(film.parent)
    network = compact_file(film.parent, 2)
    interrupt(film, background=network)

    assert resume(film, background=Path(network.name)).frames == 40


def test_replacing_the_background_weights_prevents_a_resume(film: Path) -> None:
    network = compact_file(film.parent, 2)
    target = interrupt(film, background=network)
    compact_file(film.parent, 2, seed=1)

    with pytest.raises(MediaError, match=r"cannot be resumed.*--background was SHA-256 .*"):
        resume(film, background=network)
    assert count_finished_segments(target)


def test_a_job_folder_from_an_older_version_is_refused_with_a_reason(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(fingerprint, "_FORMAT_NUMBER", "1")
        target = interrupt(film)

    with pytest.raises(MediaError, match=r"of another version of vidrestore.*--overwrite"):
        resume(film)
    assert count_finished_segments(target)


def test_a_job_folder_with_an_unknown_journal_format_is_refused_and_kept(film: Path) -> None:
    target = interrupt(film)
    folder = job_folder_path(target)
    (folder / "journal").write_text('1a2b3c4d {"segment":0}\n')
    (folder / "job.json").write_text('{"format of the fingerprint": "3"}')
    names = {path.name for path in folder.iterdir()}

    for job in (RESUME, JobSettings(segment_seconds=0.2)):
        with pytest.raises(MediaError, match=r"of another version of vidrestore.*--overwrite"):
            restore_video(film, target, settings=RestoreSettings(**SETTINGS), job=job)
    assert {path.name for path in folder.iterdir()} == names

    settings = RestoreSettings(**SETTINGS, overwrite=True)
    assert restore_video(film, target, settings=settings).frames == 40
    assert not folder.exists()
