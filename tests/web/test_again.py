"""A restored film is restored again with other strengths of its tracks, into another file."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vidrestore.web.page.handlers import Handlers
from vidrestore.web.queue.job import JobState
from vidrestore.web.queue.store import JobQueue
from vidrestore.web.services import free_path


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[JobQueue]:
    opened = JobQueue(tmp_path / "state")
    yield opened
    opened.close()


def handlers_with(queue: JobQueue) -> Handlers:
    services: Any = SimpleNamespace(queue=queue, runner=SimpleNamespace(wake=lambda: None))
    return Handlers(services)


def job(queue: JobQueue, folder: Path, *words: str, state: JobState = "done") -> str:
    added = queue.add(folder / "a.mkv", folder / "a.restored.mkv", words)
    return queue.update(added.id, state=state).id


def test_new_strengths_replace_those_of_the_job_and_the_output_is_numbered(
    queue: JobQueue, tmp_path: Path
) -> None:
    first = job(queue, tmp_path, "--detail=0", "--track-strength=1=0.5")

    second, _ = handlers_with(queue).again(first, "2=0.25,1=1")
    assert second is not None
    assert queue.get(second).words == ("--detail=0", "--track-strength=2=0.25,1=1")
    assert queue.get(second).output == tmp_path / "a.restored-2.mkv"
    queue.update(second, state="done")

    third, _ = handlers_with(queue).again(second, "")
    assert third is not None
    assert queue.get(third).words == ("--detail=0",)
    assert queue.get(third).output == tmp_path / "a.restored-3.mkv"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1=0.5", "no strength was changed"),
        ("1=2", "0 to 1"),
        ("<b>", "&lt;b&gt;"),
        ("1=0,1=1", "track 1 twice"),
    ],
)
def test_unchanged_or_invalid_strengths_are_refused(
    queue: JobQueue, tmp_path: Path, text: str, message: str
) -> None:
    first = job(queue, tmp_path, "--track-strength=1=0.5")

    added, html = handlers_with(queue).again(first, text)

    assert added is None
    assert message in html
    assert len(queue.jobs()) == 1


def test_only_a_restored_film_is_restored_again(queue: JobQueue, tmp_path: Path) -> None:
    waiting = job(queue, tmp_path, state="waiting")

    for chosen in (waiting, None):
        assert handlers_with(queue).again(chosen, "1=0")[0] is None


def test_the_output_path_of_a_waiting_job_is_not_free(tmp_path: Path) -> None:
    (tmp_path / "a.mkv").touch()
    taken = {tmp_path / "a-2.mkv"}

    assert free_path(tmp_path, "a", ".mkv", taken=taken) == tmp_path / "a-3.mkv"
