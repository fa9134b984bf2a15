"""The folder of a job: hidden, beside the output, and removed once the output is complete."""

import hashlib
import shutil
from collections.abc import Collection, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from vidrestore.errors import MediaError
from vidrestore.jobs.store.fingerprint import FORMAT
from vidrestore.jobs.store.journal import (
    JOURNAL_FILE,
    Job,
    JobState,
    JournalContent,
    JournalEntry,
    device_inode,
    read_journal,
)
from vidrestore.storage.file_errors import file_errors
from vidrestore.storage.temp_files import try_lock

_MAX_NAME_BYTES = 255
_LOCK = "lock"
_OLD_FINGERPRINT = "job.json"
"""Name of a file in job folders of earlier versions, which kept the journal in several files."""


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
    return sum(
        entry.is_intact(folder, read=False) for entry in read_journal(folder).entries.values()
    )


def owns_existing_outputs(target: Path, outputs: Iterable[Path]) -> bool:
    """Return whether every output that exists was published by the interrupted job of ``target``.

    A run can be killed after it renamed its first output and before it renamed its last one.
    Renaming keeps the inode, by which the output is known again. ``outputs`` are real paths.
    """
    published = read_journal(job_folder_path(target)).published
    return all(device_inode(path) in published for path in outputs if path.exists())


def consecutive(entries: Mapping[int, JournalEntry]) -> list[JournalEntry]:
    """Return the finished segments from the first on, up to the first one that is missing."""
    in_order: list[JournalEntry] = []
    while entry := entries.get(len(in_order)):
        in_order.append(entry)
    return in_order


@contextmanager
def open_job(
    target: Path,
    fingerprint: Mapping[str, str],
    *,
    resume: bool,
    overwrite: bool,
    out_of_order: bool = False,
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
        out_of_order: Also keep segments that were finished before an earlier one, and an analysis
            that is ahead of them.
        is_resumable: Whether another run could continue; otherwise nothing is kept for it.

    Raises:
        MediaError: Another run has locked it, it holds segments and neither ``resume`` nor
            ``overwrite`` is given, or it belongs to another film, other settings or another
            version.
    """
    folder = job_folder_path(target)
    with file_errors(target, "write"):
        folder.mkdir(exist_ok=True)
        lock = (folder / _LOCK).open("ab")
    try:
        if not try_lock(lock):
            raise MediaError(f"{target}: another run is writing it; wait for it to end")
        if (folder / _OLD_FINGERPRINT).exists() and (resume or not overwrite):
            raise _other_version(folder, target)
        if not resume and not overwrite and count_finished_segments(target):
            raise MediaError(
                f"{target}: an interrupted run left finished segments in {folder.name}; "
                "continue with --resume, or start over with --overwrite"
            )
        content = JournalContent(fingerprint=fingerprint)
        if resume:
            content = _resumed(folder, fingerprint, target, out_of_order=out_of_order)
        files = (file for entry in content.entries.values() for file in entry.files)
        try:
            _clear(folder, {_LOCK, JOURNAL_FILE, *(file.name.split("/")[0] for file in files)})
            with Job(folder, content) as job:
                yield job
        except BaseException:
            if not (is_resumable and count_finished_segments(target)):
                shutil.rmtree(folder, ignore_errors=True)
            raise
        with suppress(OSError):
            _clear(folder, ())
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        lock.close()


def _resumed(
    folder: Path, fingerprint: Mapping[str, str], target: Path, *, out_of_order: bool
) -> JournalContent:
    """Return what can be kept of an interrupted run."""
    content = read_journal(folder)
    if content.fingerprint != fingerprint:
        if count_finished_segments(target):
            raise _change(content.fingerprint or {}, fingerprint, folder, target)
        return JournalContent(fingerprint=fingerprint)
    count = len(content.entries)
    intact = (entry for entry in content.entries.values() if entry.is_intact(folder))
    content.entries = {entry.segment: entry for entry in intact}
    entries = consecutive(content.entries)
    if not out_of_order and len(entries) < count:
        content.entries = dict(enumerate(entries))
        content.state = entries[-1].state if entries else JobState()
    return content


def _other_version(folder: Path, target: Path) -> MediaError:
    return MediaError(
        f"{target}: the interrupted run in {folder.name} is of another version of vidrestore; "
        "finish it with that version, or start over with --overwrite"
    )


def _change(
    stored: Mapping[str, str], fingerprint: Mapping[str, str], folder: Path, target: Path
) -> MediaError:
    """Return the error of a fingerprint that is not the stored one."""
    if stored.get(FORMAT) != fingerprint.get(FORMAT):
        return _other_version(folder, target)
    names = sorted({*stored, *fingerprint})
    name = next(key for key in names if stored.get(key) != fingerprint.get(key))
    old, new = stored.get(name, "nothing"), fingerprint.get(name, "nothing")
    return MediaError(
        f"{target}: cannot be resumed, because {name} was {old} and is now {new}; restore the old "
        "value, or start over with --overwrite"
    )


def _clear(folder: Path, needed: Collection[str]) -> None:
    """Remove all files but those ``needed``; the journal last.

    By the journal, ``--resume`` knows the outputs of a run that is killed meanwhile.
    """
    for path in sorted(folder.iterdir(), key=lambda path: path.name == JOURNAL_FILE):
        if path.name in needed:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
