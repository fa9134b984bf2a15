"""Restores the films of the queue, one at a time, each in a child process."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vidrestore.web.queue.job import QueuedJob
from vidrestore.web.queue.store import JobQueue

PROGRAM = (sys.executable, "-m", "vidrestore")
_POLL_SECONDS = 0.2
_KILL_SECONDS = 30.0
"""A run that does not end so long after it was asked to is killed; finished segments stay."""
_NICENESS = 10
_LOG_TAIL_BYTES = 4096


class Runner:
    """A thread that restores what waits. What happens to a child does not concern the page."""

    def __init__(self, queue: JobQueue, *, program: Sequence[str] = PROGRAM) -> None:
        """Let the films that a crash interrupted continue.

        Args:
            queue: The films.
            program: Words that start ``vidrestore``.
        """
        self._queue = queue
        self._program = tuple(program)
        self._orphans = queue.recover(_is_running)
        self._changed = threading.Event()
        self._claiming = threading.Lock()
        """Held while a waiting job becomes a running or a canceled one."""
        self._is_closing = False
        self._canceled_at: dict[str, float] = {}
        """Id of a job -> when it was canceled, in monotonic seconds."""
        self._thread = threading.Thread(target=self._run, name="runner", daemon=True)

    def start(self) -> None:
        """Start to restore."""
        self._thread.start()

    def close(self) -> None:
        """End the run of the current film; it waits for the next start, and continues then."""
        self._is_closing = True
        self._changed.set()
        self._thread.join(timeout=_KILL_SECONDS + 5)

    def wake(self) -> None:
        """Look at the queue now: a film was added."""
        self._changed.set()

    def cancel(self, job_id: str) -> None:
        """Cancel a film that waits or runs; its finished segments are kept.

        Raises:
            ConfigError: There is no such job.
        """
        with self._claiming:
            state = self._queue.get(job_id).state
            if state == "waiting":
                self._queue.update(job_id, state="canceled")
            elif state == "running":
                self._canceled_at.setdefault(job_id, time.monotonic())
                self._changed.set()

    def progress(self, job_id: str) -> dict[str, Any] | None:
        """Return what ``--progress`` wrote last; None before the first time."""
        try:
            return json.loads(self._queue.files(job_id).progress.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def _run(self) -> None:
        for orphan in self._orphans:
            self._wait_for_orphan(orphan)
        while not self._is_closing:
            job = self._claim()
            if job is None:
                self._changed.wait()
                self._changed.clear()
            else:
                self._restore(job)

    def _claim(self) -> QueuedJob | None:
        with self._claiming:
            job = self._queue.next_waiting()
            return None if job is None else self._queue.update(job.id, state="running", error="")

    def _restore(self, job: QueuedJob) -> None:
        files = self._queue.files(job.id)
        files.progress.unlink(missing_ok=True)
        words = [*self._program, *job.arguments, "--progress", str(files.progress), "--quiet"]
        if job.is_resumed:
            words.append("--resume")
        with files.log.open("ab") as log:
            # In a session apart: Ctrl-C in the terminal of the page must not reach it first.
            child = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        # The page and its previews, for which somebody waits, go first.
        os.setpriority(os.PRIO_PROCESS, child.pid, _NICENESS)
        self._queue.update(job.id, pid=child.pid)
        code = self._wait(job.id, child)
        was_canceled = self._canceled_at.pop(job.id, None) is not None
        if code == 0:
            self._queue.update(job.id, state="done", pid=None)
        elif self._is_closing and not was_canceled:
            self._queue.update(job.id, state="waiting", is_resumed=True, pid=None)
        elif was_canceled:
            self._queue.update(job.id, state="canceled", pid=None)
        else:
            error = _last_line(files.log) or f"ended with code {code}"
            self._queue.update(job.id, state="failed", error=error, pid=None)

    def _wait(self, job_id: str, child: "subprocess.Popen[bytes]") -> int:
        """Return the exit code of a child, which is ended if the job is canceled."""
        asked_at: float | None = None
        while True:
            try:
                return child.wait(timeout=_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                pass
            if asked_at is None:
                if self._is_closing or job_id in self._canceled_at:
                    asked_at = time.monotonic()
                    child.send_signal(signal.SIGTERM)
            elif time.monotonic() - asked_at > _KILL_SECONDS:
                child.kill()

    def _wait_for_orphan(self, job: QueuedJob) -> None:
        """Wait for a run that outlived the page that started it."""
        while _is_running(job) and not self._is_closing:
            if job.pid is not None and job.id in self._canceled_at:
                os.kill(job.pid, signal.SIGTERM)
            self._changed.wait(_POLL_SECONDS)
            self._changed.clear()
        if self._is_closing and _is_running(job):
            return
        if self._canceled_at.pop(job.id, None) is not None:
            self._queue.update(job.id, state="canceled", pid=None)
        elif job.report.exists() and job.output.exists():
            self._queue.update(job.id, state="done", pid=None)
        else:
            self._queue.update(job.id, state="waiting", is_resumed=True, pid=None)
            self._queue.move_to_front(job.id)


def _is_running(job: QueuedJob) -> bool:
    """Return whether the process that restored a job still does; only Linux can say."""
    try:
        words = Path(f"/proc/{job.pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return os.fsencode(job.output) in words


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - _LOG_TAIL_BYTES))
        lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("error: ") if lines else ""
