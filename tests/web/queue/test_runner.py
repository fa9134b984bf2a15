"""The queue restores by child processes: what happens to them, or to the page, loses nothing."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.web import wait_for

from vidrestore.web.queue.job import JobState, QueuedJob
from vidrestore.web.queue.runner import Runner
from vidrestore.web.queue.store import JobQueue

PROGRAM = (sys.executable, str(Path(__file__).parents[2] / "support" / "web_program.py"))


class Page:
    """A queue and its runner, which can be started again over the same folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.queue = JobQueue(folder / "state")
        self.runner = Runner(self.queue, program=PROGRAM)

    def add(self, name: str) -> QueuedJob:
        source = self.folder / f"{name}.mkv"
        number = len(self.queue.jobs())
        job = self.queue.add(source, self.folder / f"{name}{number}.out.mkv", ["--detail=0"])
        self.runner.wake()
        return job

    def wait(self, job: QueuedJob, state: JobState) -> QueuedJob:
        wait_for(lambda: self.queue.get(job.id).state == state)
        return self.queue.get(job.id)

    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.folder / "calls.jsonl").read_text().splitlines()]

    def close(self) -> None:
        self.runner.close()
        self.queue.close()


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    opened = Page(tmp_path)
    yield opened
    opened.close()


def test_films_are_restored_one_after_the_other(page: Page) -> None:
    jobs = [page.add("a"), page.add("b")]
    page.runner.start()
    jobs.append(page.add("c"))

    assert [page.wait(job, "done").pid for job in jobs] == [None] * 3
    assert [Path(call[0]).stem for call in page.calls()] == ["a", "b", "c"]
    for job, call in zip(jobs, page.calls(), strict=True):
        assert call[: len(job.arguments)] == job.arguments
        assert "--resume" not in call
        assert job.output.read_bytes() == b"restored"


def test_a_failed_film_has_its_error_and_does_not_stop_the_others(page: Page) -> None:
    broken, crash, good = page.add("broken"), page.add("crash"), page.add("good")
    page.runner.start()

    page.wait(good, "done")
    assert page.queue.get(broken.id).error == "broken.mkv: no video stream; get another copy"
    assert page.queue.get(crash.id).error == "ended with code -9"
    assert page.queue.get(crash.id).state == "failed"


def test_a_canceled_run_is_resumed(page: Page) -> None:
    slow = page.add("slow")
    page.runner.start()
    wait_for(lambda: page.runner.progress(slow.id))
    assert page.runner.progress(slow.id) == {
        "stage": "restoring",
        "frames_done": 3,
        "frames_total": 9,
    }
    page.runner.cancel(slow.id)
    page.wait(slow, "canceled")

    page.queue.retry(slow.id)
    page.runner.wake()
    page.wait(slow, "done")
    assert ["--resume" in call for call in page.calls()] == [False, True]


def test_a_canceled_waiting_film_never_starts(page: Page) -> None:
    waiting, good = page.add("slow"), page.add("good")
    page.runner.cancel(waiting.id)
    page.runner.start()

    page.wait(good, "done")
    assert page.queue.get(waiting.id).state == "canceled"
    assert len(page.calls()) == 1


def test_jobs_of_a_closed_server_continue_at_the_next_start(tmp_path: Path) -> None:
    page = Page(tmp_path)
    slow = page.add("slow")
    page.runner.start()
    wait_for(lambda: page.runner.progress(slow.id))
    page.close()

    again = Page(tmp_path)
    assert again.queue.get(slow.id).state == "waiting"
    again.runner.start()
    again.wait(slow, "done")
    again.close()
    assert ["--resume" in call for call in again.calls()] == [False, True]


CRASH = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from web.queue.test_runner import Page
page = Page(Path({folder!r}))
job = page.add("slow")
page.runner.start()
while not page.queue.get(job.id).pid or not page.runner.progress(job.id):
    time.sleep(0.02)
os._exit(1)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a process runs")
def test_a_run_that_outlives_a_crashed_server_is_not_started_twice(tmp_path: Path) -> None:
    tests = str(Path(__file__).parents[2])
    code = CRASH.format(tests=tests, folder=str(tmp_path))
    subprocess.run([sys.executable, "-c", code], check=False)
    page = Page(tmp_path)
    (job,) = page.queue.jobs()
    assert job.state == "running"
    assert job.pid is not None

    page.runner.start()
    time.sleep(0.5)
    assert len(page.calls()) == 1  # it is waited for
    with suppress(ProcessLookupError):
        os.kill(job.pid, 15)
    page.wait(job, "done")  # it ended without a result, and was resumed
    page.close()
    assert ["--resume" in call for call in page.calls()] == [False, True]
