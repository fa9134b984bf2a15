"""Tasks that fail in a worker process of Ray; workers import them by name."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from vidrestore.errors import MediaError
from vidrestore.jobs.distributed.worker import WorkerSettings


def fail(_worker: WorkerSettings) -> Iterator[int]:
    """Yield once, then fail as a task of ours does."""
    yield 1
    raise MediaError("out.mkv: cannot write: No space left on device")


def have_a_bug(_worker: WorkerSettings) -> Iterator[int]:
    """Yield once, then fail as no task of ours does."""
    yield 1
    raise KeyError("a bug")


def die(_worker: WorkerSettings) -> Iterator[int]:
    """Yield once, then end the process at every attempt."""
    yield 1
    os.kill(os.getpid(), signal.SIGKILL)


def write_until_canceled(_worker: WorkerSettings, path: Path) -> Iterator[int]:
    """Yield for a minute, and remove a file at the end."""
    path.touch()
    try:
        for number in range(600):
            yield number
            time.sleep(0.1)
    finally:
        path.unlink()
