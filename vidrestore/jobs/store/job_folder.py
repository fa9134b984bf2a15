"""The folder of a job: hidden, beside the output, and removed once the output is complete."""

import fcntl
import hashlib
import json
import shutil
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import IO

from vidrestore.errors import MediaError
from vidrestore.jobs.store.analysis_log import LOG_FILE, prefix_checksums
from vidrestore.jobs.store.analysis_state import STATE_FILE, AnalysisState
from vidrestore.jobs.store.fingerprint import FORMAT
from vidrestore.jobs.store.journal import Journal, JournalEntry
from vidrestore.jobs.store.pending_segments import PENDING_FILE
from vidrestore.storage.file_errors import file_errors
from vidrestore.storage.sync import flush_and_sync
from vidrestore.storage.temp_files import temporary_paths

_MAX_NAME_BYTES = 255
_FINGERPRINT, _JOURNAL, _LOCK, _PUBLISHED = "job.json", "journal", "lock", "published"


def job_folder_path(target: Path) -> Path:
    """Return the path of the job folder of an output."""
    name = f".{target.name}.vidrestore"
    if len(name.encode(errors="surrogateescape")) > _MAX_NAME_BYTES:
        digest = hashlib.sha256(target.name.encode(errors="surrogateescape")).hexdigest()
        name = f".{digest[:32]}.vidrestore"
    return target.with_name(name)


def count_finished_segments(target: Path) -> int:
    """Return the number of finished segments that an interrupted run of an output has kept."""
    folder = job_folder_path(target)
    journaled = len(Journal(folder / _JOURNAL).entries())
    pending = Journal(folder / PENDING_FILE).all_entries()
    return journaled + sum(entry.segment >= journaled for entry in pending)


def owns_existing_outputs(target: Path, outputs: Iterable[Path]) -> bool:
    """Return whether every output that exists was published by the interrupted job of ``target``.

    A run can be killed after it renamed its first output and before it renamed its last one.
    Renaming keeps the inode, by which the output is known again.

    Args:
        target: The output that the job folder belongs to.
        outputs: Real paths of all outputs of the job.
    """
    published = _published(job_folder_path(target))
    return all(_device_inode(path) in published for path in outputs if path.exists())


def _published(folder: Path) -> set[tuple[int, ...]]:
    try:
        text = (folder / _PUBLISHED).read_text(encoding="utf-8")
        return {tuple(pair) for pair in json.loads(text)}
    except (OSError, ValueError, TypeError):
        return set()


def _device_inode(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """A job in progress, whose folder this process has locked."""

    folder: Path
    target: Path
    journal: Journal
    entries: tuple[JournalEntry, ...]
    """Finished segments from the first on, whose files are intact."""
    pending: tuple[JournalEntry, ...] = ()
    """Finished segments that wait for an earlier one; only if segments finish out of order."""
    analysis_state: AnalysisState = field(default_factory=AnalysisState)
    """How far the film is analyzed, if segments finish out of order."""

    @property
    def log_path(self) -> Path:
        """The analysis log."""
        return self.folder / LOG_FILE

    def note_outputs(self, outputs: Iterable[Path]) -> None:
        """Note which temporary files are about to be renamed, for ``owns_existing_outputs``.

        Args:
            outputs: Real paths of all outputs of the job.

        Raises:
            MediaError: The job folder cannot be written.
        """
        path = self.folder / _PUBLISHED
        with file_errors(path, "write"):
            temporary = (temporary_paths(output, output.suffix) for output in outputs)
            pairs = {_device_inode(path) for paths in temporary for path in paths}
            text = json.dumps(sorted(pairs | _published(self.folder)))
            with path.open("wb") as file:
                file.write(text.encode())
                flush_and_sync(file)


@contextmanager
def open_job(
    target: Path,
    fingerprint: Mapping[str, str],
    *,
    resume: bool,
    overwrite: bool,
    keep_pending: bool = False,
    is_resumable: bool = True,
) -> Generator[Job]:
    """Open and lock the folder of a job, and check the segments kept in it.

    If the block succeeds, the folder is removed. If it raises, the folder is kept if a segment is
    finished.

    Args:
        target: The output.
        fingerprint: Everything that the bytes of a segment depend on, by name.
        resume: Keep finished segments, if there are any.
        overwrite: Discard finished segments.
        keep_pending: Also keep segments that wait for an earlier one, and an analysis that is ahead
            of them.
        is_resumable: Whether another run could continue; otherwise nothing is kept for it.

    Raises:
        MediaError: Another run has locked it, it holds segments and neither ``resume`` nor
            ``overwrite`` is given, or it belongs to another film or other settings.
    """
    folder = job_folder_path(target)
    with file_errors(target, "write"):
        folder.mkdir(exist_ok=True)
        lock = (folder / _LOCK).open("ab")
    try:
        _lock(lock, target)
        if not resume and not overwrite and count_finished_segments(target):
            raise MediaError(
                f"{target}: an interrupted run left finished segments in {folder.name}; "
                "continue with --resume, or start over with --overwrite"
            )
        journal = Journal(folder / _JOURNAL)
        entries = _intact_entries(folder, journal, fingerprint, target) if resume else ()
        pending, state = (), AnalysisState()
        if resume and keep_pending and _stored_fingerprint(folder) == fingerprint:
            pending, state = _intact_pending(folder, entries)
        try:
            _clear(folder, (*entries, *pending), is_analyzed=state != AnalysisState())
            _store_fingerprint(folder, fingerprint)
            yield Job(
                folder=folder,
                target=target,
                journal=journal,
                entries=entries,
                pending=pending,
                analysis_state=state,
            )
        except BaseException:
            if not (is_resumable and count_finished_segments(target)):
                shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        lock.close()


def _lock(lock: IO[bytes], target: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise MediaError(f"{target}: another run is writing it; wait for it to end") from error


def _intact_entries(
    folder: Path, journal: Journal, fingerprint: Mapping[str, str], target: Path
) -> tuple[JournalEntry, ...]:
    """Return the entries up to the first one whose files are damaged."""
    entries = journal.entries()
    if entries or Journal(folder / PENDING_FILE).all_entries():
        _check_fingerprint(folder, fingerprint, target)
    checksums = prefix_checksums(folder / LOG_FILE, [entry.analysis_bytes for entry in entries])
    intact = list(takewhile(lambda entry: entry.is_intact(folder), entries))
    while intact and checksums.get(intact[-1].analysis_bytes) != intact[-1].analysis_crc32:
        intact.pop()
    # Always rewrite: an entry appended behind a truncated line would never be read.
    journal.rewrite(tuple(intact))
    return tuple(intact)


def _intact_pending(
    folder: Path, entries: tuple[JournalEntry, ...]
) -> tuple[tuple[JournalEntry, ...], AnalysisState]:
    """Return the intact segments that wait for earlier ones, and the state of the analysis."""
    journal = Journal(folder / PENDING_FILE)
    pending = [entry for entry in journal.all_entries() if entry.segment >= len(entries)]
    state = AnalysisState.read(folder)
    sizes = [state.size_bytes, *(entry.analysis_bytes for entry in pending)]
    checksums = prefix_checksums(folder / LOG_FILE, sizes)
    if not state.size_bytes or checksums.get(state.size_bytes) != state.crc32:
        state = AnalysisState.after(entries[-1]) if entries else AnalysisState()
    intact = tuple(
        entry
        for entry in pending
        if entry.analysis_bytes <= state.size_bytes
        and checksums.get(entry.analysis_bytes) == entry.analysis_crc32
        and entry.is_intact(folder)
    )
    journal.rewrite(intact)
    return intact, state


def _check_fingerprint(folder: Path, fingerprint: Mapping[str, str], target: Path) -> None:
    stored = _stored_fingerprint(folder)
    if stored is None:
        raise MediaError(
            f"{target}: {folder.name} of an earlier run cannot be read; start over with --overwrite"
        )
    if stored.get(FORMAT) != fingerprint.get(FORMAT):
        raise MediaError(
            f"{target}: the interrupted run in {folder.name} is of another version of "
            "vidrestore; finish it with that version, or start over with --overwrite"
        )
    for name in sorted({*stored, *fingerprint}):
        old, new = stored.get(name, "nothing"), fingerprint.get(name, "nothing")
        if old != new:
            raise MediaError(
                f"{target}: cannot be resumed, because {name} was {old} and is now {new}; "
                "restore the old value, or start over with --overwrite"
            )


def _stored_fingerprint(folder: Path) -> dict[str, str] | None:
    try:
        return json.loads((folder / _FINGERPRINT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _store_fingerprint(folder: Path, fingerprint: Mapping[str, str]) -> None:
    path = folder / _FINGERPRINT
    with file_errors(path, "write"), path.open("wb") as file:
        file.write(json.dumps(dict(fingerprint), indent=1, sort_keys=True).encode())
        flush_and_sync(file)


def _clear(folder: Path, entries: tuple[JournalEntry, ...], *, is_analyzed: bool) -> None:
    """Remove everything that does not belong to a finished segment."""
    needed = {_LOCK}
    if is_analyzed:
        needed |= {LOG_FILE, STATE_FILE, PENDING_FILE}
    if entries:
        needed |= {_FINGERPRINT, _JOURNAL, LOG_FILE, _PUBLISHED}
        needed |= {Path(file.name).parts[0] for entry in entries for file in entry.files}
    for path in folder.iterdir():
        if path.name in needed:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
