"""Output that appears whole or not at all: written beside its target, renamed when done."""

import os
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vidrestore.errors import MediaError
from vidrestore.media.translate import media_errors


@dataclass(slots=True)
class Pending:
    """An output under its temporary name."""

    path: Path
    whole: bool = False
    """Set when everything is written: only then is the output published."""


def check_target(target: Path, *, source_path: Path | None, overwrite: bool) -> None:
    """Refuse targets that must not or cannot be written.

    Raises:
        MediaError: The target is the source, exists, or is in a folder that is not there or
            not ours to write.
    """
    if source_path is not None and _same_file(target, source_path):
        raise MediaError(f"{target}: is the source itself; name another file with -o")
    if target.exists() and not overwrite and not _is_empty_folder(target):
        raise MediaError(f"{target}: exists; name another with -o, or give --overwrite")
    parent = target.absolute().parent
    if not parent.is_dir():
        raise MediaError(f"{target}: there is no folder {parent}; make it first")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise MediaError(f"{target}: no permission to write in {parent}; choose another with -o")


def _same_file(target: Path, source: Path) -> bool:
    if target.exists() and source.exists():
        return target.samefile(source)
    return target.resolve() == source.resolve()


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.stem}.{secrets.token_hex(4)}.partial{target.suffix}")


@contextmanager
def pending_file(target: Path) -> Generator[Pending]:
    """Give a temporary file beside ``target``; rename it at the end if it is whole.

    Raises:
        MediaError: The folder cannot be written, or the disk is full.
    """
    pending = Pending(_temporary(target))
    try:
        with media_errors(target, "write"):
            pending.path.touch(exist_ok=False)
        yield pending
        if pending.whole:
            with media_errors(target, "write"):
                _flush_to_disk(pending.path)
                pending.path.replace(target)
    finally:
        pending.path.unlink(missing_ok=True)


@contextmanager
def pending_folder(target: Path) -> Generator[Pending]:
    """Give a temporary folder beside ``target``; rename it at the end if it is whole.

    Into a folder that has other files in it, the new ones are moved one by one.

    Raises:
        MediaError: The folder cannot be written, or the disk is full.
    """
    pending = Pending(_temporary(target))
    try:
        with media_errors(target, "write"):
            pending.path.mkdir()
        yield pending
        if pending.whole:
            with media_errors(target, "write"):
                _publish_folder(pending.path, target)
    finally:
        shutil.rmtree(pending.path, ignore_errors=True)


def _publish_folder(written: Path, target: Path) -> None:
    if _is_empty_folder(target):
        target.rmdir()
    if not target.exists():
        written.rename(target)
        return
    for each in written.iterdir():
        each.replace(target / each.name)


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
