"""The queue on the disk: one JSON file that is replaced as a whole, used by one page at a time."""

import json
import secrets
import shutil
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from vidrestore.errors import ConfigError
from vidrestore.storage.file_errors import file_errors
from vidrestore.storage.sync import flush_and_sync
from vidrestore.storage.temp_files import try_lock
from vidrestore.web.queue.job import JobFiles, QueuedJob

_QUEUE, _LOCK, _JOBS = "queue.json", "lock", "jobs"
_FORMAT = 1
_ID_BYTES = 8


class JobQueue:
    """The jobs of a state folder, in the order in which they are restored.

    Safe for threads. Every change is on the disk when its method returns.
    """

    def __init__(self, folder: Path) -> None:
        """Open the queue of a state folder, and lock it.

        Args:
            folder: The state folder; it is made if it does not exist.

        Raises:
            ConfigError: Another page uses it, or the file of the queue cannot be read.
            MediaError: The folder cannot be written.
        """
        self._folder = folder
        self._mutex = threading.RLock()
        with file_errors(folder, "write"):
            (folder / _JOBS).mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = (folder / _LOCK).open("ab")
        _lock(self._lock, folder)
        try:
            self._jobs = {job.id: job for job in self._read()}
        except ConfigError:
            self.close()
            raise

    def close(self) -> None:
        """Release the state folder."""
        self._lock.close()

    def jobs(self) -> list[QueuedJob]:
        """Return all jobs, the first to be restored first."""
        with self._mutex:
            return list(self._jobs.values())

    def outputs(self) -> set[Path]:
        """Return the results of all jobs; some are not there yet."""
        return {job.output for job in self.jobs()}

    def get(self, job_id: str) -> QueuedJob:
        """Return one job.

        Raises:
            ConfigError: There is none with this id.
        """
        with self._mutex:
            if job_id not in self._jobs:
                raise ConfigError("this film is no longer in the queue; choose another")
            return self._jobs[job_id]

    def files(self, job_id: str) -> JobFiles:
        """Return the paths of a job's files in the state folder; the job must exist."""
        return JobFiles(self._folder / _JOBS / self.get(job_id).id)

    def add(
        self,
        source: Path,
        output: Path,
        words: Iterable[str],
        *,
        kind: str = "film",
        size_wh: tuple[int, int] = (0, 0),
    ) -> QueuedJob:
        """Add a film at the end.

        Args:
            source: Film, folder of frames or image.
            output: The file to write.
            words: Options of the settings.
            kind: See ``QueuedJob``.
            size_wh: See ``QueuedJob``.

        Raises:
            ConfigError: The output exists, or another job writes it.
        """
        job = QueuedJob(
            id=secrets.token_hex(_ID_BYTES),
            source=source,
            output=output,
            words=tuple(words),
            kind=kind,
            size_wh=size_wh,
        )
        with self._mutex:
            existing = [path for path in (output, job.review, job.report) if path.exists()]
            if output in self.outputs() or existing:
                name = existing[0].name if existing else output.name
                raise ConfigError(
                    f"{name}: this result already exists, or is in the queue; choose another name"
                )
            with file_errors(self._folder, "write"):
                (self._folder / _JOBS / job.id).mkdir(mode=0o700)
            self._change({**self._jobs, job.id: job})
        return job

    def update(self, job_id: str, **changes: Any) -> QueuedJob:
        """Change fields of a job and return it."""
        with self._mutex:
            job = replace(self.get(job_id), **changes)
            self._change({**self._jobs, job_id: job})
            return job

    def retry(self, job_id: str) -> QueuedJob:
        """Let a job that was canceled or failed wait again; it continues where it stopped.

        Raises:
            ConfigError: It waits, runs or is done.
        """
        with self._mutex:
            job = self.get(job_id)
            if job.state not in ("canceled", "failed"):
                raise ConfigError(f"{job.source.name}: is {job.state}; there is nothing to resume")
            return self.update(job_id, state="waiting", is_resumed=True, error="")

    def remove(self, job_id: str) -> QueuedJob:
        """Remove a job; its result stays.

        Raises:
            ConfigError: It is running.
        """
        with self._mutex:
            job = self.get(job_id)
            if job.state == "running":
                raise ConfigError(f"{job.source.name}: is running; cancel it first")
            folder = self.files(job_id).folder
            self._change({key: other for key, other in self._jobs.items() if key != job_id})
            shutil.rmtree(folder, ignore_errors=True)
            return job

    def move_to_front(self, job_id: str) -> None:
        """Let a waiting job be the next."""
        with self._mutex:
            job = self.get(job_id)
            others = [other for other in self._jobs.values() if other.id != job_id]
            ahead = [other for other in others if other.state != "waiting"]
            behind = [other for other in others if other.state == "waiting"]
            self._change({entry.id: entry for entry in (*ahead, job, *behind)})

    def next_waiting(self) -> QueuedJob | None:
        """Return the job to restore next."""
        return next((job for job in self.jobs() if job.state == "waiting"), None)

    def recover(self, is_running: Callable[[QueuedJob], bool]) -> list[QueuedJob]:
        """Let the jobs of a page that crashed continue, and return those that still run.

        Args:
            is_running: Whether the process of a job still restores it.
        """
        with self._mutex:
            running = [job for job in self.jobs() if job.state == "running"]
            for job in running:
                if not is_running(job):
                    self.update(job.id, state="waiting", is_resumed=True, pid=None)
                    self.move_to_front(job.id)
            return [job for job in self.jobs() if job.state == "running"]

    def _change(self, jobs: dict[str, QueuedJob]) -> None:
        """Write the jobs to the disk, and only then use them."""
        path = self._folder / _QUEUE
        temporary = path.with_suffix(".tmp")
        values = {"format": _FORMAT, "jobs": [job.to_json() for job in jobs.values()]}
        with file_errors(path, "write"):
            with temporary.open("wb") as file:
                file.write(json.dumps(values, indent=1).encode("utf-8", "surrogateescape"))
                flush_and_sync(file)
            temporary.replace(path)
        self._jobs = jobs

    def _read(self) -> list[QueuedJob]:
        path = self._folder / _QUEUE
        if not path.exists():
            return []
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if values["format"] != _FORMAT:
                raise ValueError(f"format {values['format']}")
            return [QueuedJob.from_json(entry) for entry in values["jobs"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{path}: is not a queue that this version can read ({error}); move it away to "
                "start with an empty one"
            ) from error


def _lock(lock: IO[bytes], folder: Path) -> None:
    if not try_lock(lock):
        lock.close()
        raise ConfigError(
            f"{folder}: another vidrestore web uses it; stop that one, or name another --state"
        )
