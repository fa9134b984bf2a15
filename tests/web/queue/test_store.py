import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from vidrestore.errors import ConfigError
from vidrestore.web.queue.job import QueuedJob
from vidrestore.web.queue.store import JobQueue

HOSTILE = "<img src=x onerror=alert(1)> \udcff \u2028.mkv"


OpenQueue: TypeAlias = Callable[[Path], JobQueue]


@pytest.fixture
def open_queue() -> Iterator[OpenQueue]:
    """Return what opens queues; they are closed at the end."""
    opened: list[JobQueue] = []

    def open_it(folder: Path) -> JobQueue:
        opened.append(JobQueue(folder))
        return opened[-1]

    yield open_it
    for queue in opened:
        queue.close()


def test_jobs_survive_a_restart_in_their_order_whatever_their_names(
    tmp_path: Path, open_queue: OpenQueue
) -> None:
    queue = open_queue(tmp_path / "state")
    first = queue.add(tmp_path / HOSTILE, tmp_path / "a.mkv", ["--detail=0.5"])
    second = queue.add(tmp_path / "film.mkv", tmp_path / "b.mkv", [])
    queue.update(second.id, state="failed", error="no video stream")
    before = queue.jobs()
    queue.close()

    queue = open_queue(tmp_path / "state")
    assert queue.jobs() == before
    assert queue.get(first.id).source.name == HOSTILE
    assert queue.get(second.id).error == "no video stream"


def test_a_state_folder_is_used_by_one_server_at_a_time(
    tmp_path: Path, open_queue: OpenQueue
) -> None:
    queue = open_queue(tmp_path)
    with pytest.raises(ConfigError, match="another vidrestore web uses it"):
        open_queue(tmp_path)

    queue.close()
    open_queue(tmp_path)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"format": 2, "jobs": []}', '{"format": 1, "jobs": [{"id": "x"}]}',
             '{"format": 1, "jobs": [{"id": "../x", "source": "a", "output": "b", "words": []}]}']
)  # fmt: skip
def test_a_file_that_is_not_a_queue_is_refused_and_not_replaced(
    tmp_path: Path, text: str, open_queue: OpenQueue
) -> None:
    (tmp_path / "queue.json").write_text(text)

    with pytest.raises(ConfigError, match="move it away"):
        open_queue(tmp_path)
    assert (tmp_path / "queue.json").read_text() == text


def test_a_change_that_cannot_be_saved_is_not_applied(
    tmp_path: Path, open_queue: OpenQueue
) -> None:
    queue = open_queue(tmp_path)
    job = queue.add(tmp_path / "film.mkv", tmp_path / "a.mkv", [])
    (tmp_path / "queue.tmp").mkdir()

    with pytest.raises(OSError, match="queue"):
        queue.update(job.id, state="done")
    assert queue.get(job.id).state == "waiting"
    assert json.loads((tmp_path / "queue.json").read_text())["jobs"][0]["state"] == "waiting"


@pytest.mark.parametrize("taken", ["a.mkv", "a.mkv.review.html", "a.mkv.report.json"])
def test_a_result_is_never_replaced(tmp_path: Path, taken: str, open_queue: OpenQueue) -> None:
    queue = open_queue(tmp_path / "state")
    (tmp_path / taken).write_bytes(b"made before")

    with pytest.raises(ConfigError, match=f"{taken}: this result already exists"):
        queue.add(tmp_path / "film.mkv", tmp_path / "a.mkv", [])
    assert queue.jobs() == []


def test_two_jobs_cannot_write_one_file(tmp_path: Path, open_queue: OpenQueue) -> None:
    queue = open_queue(tmp_path / "state")
    queue.add(tmp_path / "film.mkv", tmp_path / "a.mkv", [])

    with pytest.raises(ConfigError, match="this result already exists"):
        queue.add(tmp_path / "other.mkv", tmp_path / "a.mkv", [])


def test_only_stopped_jobs_resume_and_only_jobs_not_running_are_removed(
    tmp_path: Path,
    open_queue: OpenQueue,
) -> None:
    queue = open_queue(tmp_path / "state")
    job = queue.add(tmp_path / "film.mkv", tmp_path / "a.mkv", [])
    with pytest.raises(ConfigError, match="nothing to resume"):
        queue.retry(job.id)
    queue.update(job.id, state="running")
    with pytest.raises(ConfigError, match="cancel it first"):
        queue.remove(job.id)

    queue.update(job.id, state="canceled")
    assert (queue.retry(job.id).state, queue.get(job.id).is_resumed) == ("waiting", True)
    folder = queue.files(job.id).folder
    assert folder.is_dir()
    queue.remove(job.id)
    assert not folder.exists()
    with pytest.raises(ConfigError, match="no longer in the queue"):
        queue.get(job.id)


def test_jobs_running_at_a_crash_continue_first(tmp_path: Path, open_queue: OpenQueue) -> None:
    queue = open_queue(tmp_path / "state")
    jobs = [queue.add(tmp_path / f"{n}.mkv", tmp_path / f"out{n}.mkv", []) for n in range(4)]
    queue.update(jobs[0].id, state="done")
    queue.update(jobs[2].id, state="running", pid=1)
    queue.update(jobs[3].id, state="running", pid=2)

    def is_running(job: QueuedJob) -> bool:
        return job.pid == 2

    (orphan,) = queue.recover(is_running)
    assert orphan.id == jobs[3].id
    waiting = queue.next_waiting()
    assert waiting is not None
    assert (waiting.id, waiting.is_resumed) == (jobs[2].id, True)
