"""The folder of a job: hidden, beside the output, and removed once the output is complete."""

import fcntl
import hashlib
import json
import shutil
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from vidrestore.errors import MediaError
from vidrestore.jobs.store.analysis_log import prefix_crc32
from vidrestore.jobs.store.fingerprint import FORMAT
from vidrestore.jobs.store.journal import Journal, JournalEntry
from vidrestore.jobs.store.pending_segments import (
    AHEAD,
    MARK,
    AnalysisState,
    prefix_checksums,
    read_mark,
)
from vidrestore.storage.file_errors import file_errors
from vidrestore.storage.sync import flush_and_sync
from vidrestore.storage.temp_files import temporary_paths

_LONGEST_NAME_BYTES = 255
_IDENTITY, _JOURNAL, _ANALYSIS, _LOCK = "job.json", "journal", "analysis", "lock"
_PUBLISHED = "published"


def job_folder_path(target: Path) -> Path:
    """Return the path of the job folder of an output."""
    name = f".{target.name}.vidrestore"
    if len(name.encode(errors="surrogateescape")) > _LONGEST_NAME_BYTES:
        digest = hashlib.sha256(target.name.encode(errors="surrogateescape")).hexdigest()
        name = f".{digest[:32]}.vidrestore"
    return target.with_name(name)


def count_finished_segments(target: Path) -> int:
    """Return the number of finished segments that an interrupted run of an output has kept."""
    folder = job_folder_path(target)
    kept = len(Journal(folder / _JOURNAL).entries())
    ahead = Journal(folder / AHEAD).entries_in_any_order()
    return kept + sum(entry.segment >= kept for entry in ahead)


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
    """Finished segments from the first on, whose files are checked."""
    ahead: tuple[JournalEntry, ...] = ()
    """Finished segments that wait for an earlier one; only in a run with many workers."""
    mark: AnalysisState = field(default_factory=AnalysisState)
    """State of the analysis."""

    @property
    def analysis_path(self) -> Path:
        """Log of the faces found in the film."""
        return self.folder / _ANALYSIS

    @property
    def analysis_bytes(self) -> int:
        """Size of the part of that log that is known to be complete."""
        return self.entries[-1].analysis_bytes if self.entries else 0

    def part(self, segment: int, kind: str) -> Path:
        """Return the path of a segment's file."""
        return self.folder / f"{segment:06d}.{kind}"

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
    identity: Mapping[str, str],
    *,
    resume: bool,
    overwrite: bool,
    keep_ahead: bool = False,
) -> Generator[Job]:
    """Open and lock the folder of a job, and check the segments kept in it.

    If the block succeeds, the folder is removed. If it raises, the folder is kept if a segment is
    finished.

    Args:
        target: The output.
        identity: Everything that the bytes of a segment depend on, by name.
        resume: Keep finished segments, if there are any.
        overwrite: Discard finished segments.
        keep_ahead: Also keep segments out of order, and an analysis that is ahead of them.

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
        entries = _checked(folder, journal, identity, target) if resume else ()
        ahead, mark = (), AnalysisState()
        if resume and keep_ahead and _stored_identity(folder / _IDENTITY) == identity:
            ahead, mark = _checked_ahead(folder, entries)
        try:
            _clear(folder, (*entries, *ahead), has_mark=mark != AnalysisState())
            _store_identity(folder / _IDENTITY, identity)
            yield Job(
                folder=folder,
                target=target,
                journal=journal,
                entries=entries,
                ahead=ahead,
                mark=mark,
            )
        except BaseException:
            if not count_finished_segments(target):
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


def _checked(
    folder: Path, journal: Journal, identity: Mapping[str, str], target: Path
) -> tuple[JournalEntry, ...]:
    """Return the entries up to the first one whose files are not complete."""
    entries = journal.entries()
    if entries or Journal(folder / AHEAD).entries_in_any_order():
        _check_identity(folder / _IDENTITY, identity, target)
    whole: list[JournalEntry] = []
    for entry in entries:
        if not all(file.is_whole(folder) for file in entry.files):
            break
        whole.append(entry)
    while whole:
        last = whole[-1]
        found = prefix_crc32(folder / _ANALYSIS, last.analysis_bytes)
        if found == last.analysis_crc32:
            break
        whole.pop()
    # Always rewrite: an entry appended behind a truncated line would never be read.
    journal.rewrite(tuple(whole))
    return tuple(whole)


def _checked_ahead(
    folder: Path, entries: tuple[JournalEntry, ...]
) -> tuple[tuple[JournalEntry, ...], AnalysisState]:
    """Return the complete segments that wait for earlier ones, and the state of the analysis."""
    beside = Journal(folder / AHEAD)
    waiting = [each for each in beside.entries_in_any_order() if each.segment >= len(entries)]
    mark = read_mark(folder) or AnalysisState()
    sizes = [mark.size_bytes, *(entry.analysis_bytes for entry in waiting)]
    found = prefix_checksums(folder / _ANALYSIS, sizes)
    if entries and (found.get(mark.size_bytes) != mark.crc32 or not mark.size_bytes):
        last = entries[-1]
        mark = AnalysisState(
            size_bytes=last.analysis_bytes,
            crc32=last.analysis_crc32,
            damaged_packets=last.damaged_packets,
            repaired_timestamps=last.repaired_timestamps,
        )
    elif found.get(mark.size_bytes) != mark.crc32:
        mark = AnalysisState()
    ahead = tuple(
        entry
        for entry in waiting
        if entry.analysis_bytes <= mark.size_bytes
        and found.get(entry.analysis_bytes) == entry.analysis_crc32
        and all(file.is_whole(folder) for file in entry.files)
    )
    beside.rewrite(ahead)
    return ahead, mark


def _check_identity(path: Path, identity: Mapping[str, str], target: Path) -> None:
    before = _stored_identity(path)
    if before is None:
        raise MediaError(
            f"{target}: {path.parent.name} of an earlier run cannot be read; "
            "start over with --overwrite"
        )
    if before.get(FORMAT) != identity.get(FORMAT):
        raise MediaError(
            f"{target}: the interrupted run in {path.parent.name} is of another version of "
            "vidrestore; finish it with that version, or start over with --overwrite"
        )
    for name in sorted({*before, *identity}):
        old, new = before.get(name, "nothing"), identity.get(name, "nothing")
        if old != new:
            raise MediaError(
                f"{target}: cannot be resumed, because {name} was {old} and is now {new}; "
                "restore the old value, or start over with --overwrite"
            )


def _stored_identity(path: Path) -> dict[str, str] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _store_identity(path: Path, identity: Mapping[str, str]) -> None:
    with file_errors(path, "write"), path.open("wb") as file:
        file.write(json.dumps(dict(identity), indent=1, sort_keys=True).encode())
        flush_and_sync(file)


def _clear(folder: Path, entries: tuple[JournalEntry, ...], *, has_mark: bool) -> None:
    """Remove all that does not belong to a finished segment."""
    kept = {_LOCK}
    if has_mark:
        kept |= {_ANALYSIS, MARK, AHEAD}
    if entries:
        kept |= {_IDENTITY, _JOURNAL, _ANALYSIS, _PUBLISHED}
        kept |= {Path(file.name).parts[0] for entry in entries for file in entry.files}
    for path in folder.iterdir():
        if path.name in kept:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
