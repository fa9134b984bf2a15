"""Atomic output: written under a temporary name beside the target, renamed when complete."""

import errno
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from vidrestore.errors import MediaError
from vidrestore.storage.file_errors import file_errors
from vidrestore.storage.temp_files import held, remove_stale_temp_files, shortened, temporary_for

_LONGEST_NAME_BYTES = 255


@dataclass(slots=True)
class TempOutput:
    """An output under its temporary name."""

    path: Path
    complete: bool = False
    """Set when everything is written: only then is the output published."""


def check_target(target: Path, *, source_path: Path | None, overwrite: bool) -> None:
    """Refuse targets that must not or cannot be written.

    Raises:
        MediaError: The target is the source or would replace it, exists, is not a file, or is in
            a folder that does not exist or cannot be written.
    """
    place = resolved_output_path(target)
    if source_path is not None and _same_file(place, source_path):
        raise MediaError(f"{target}: source and output are the same file; choose another with -o")
    if place.exists() and not (place.is_file() or place.is_dir()):
        raise MediaError(f"{target}: is neither a file nor a folder; name another with -o")
    if place.exists() and not overwrite and not _is_empty_folder(place):
        raise MediaError(f"{target}: already exists; name another with -o, or use --overwrite")
    if source_path is not None and place.is_dir() and _lies_in(source_path, place):
        raise MediaError(f"{target}: the source is in this folder; name another with -o")
    parent = place.parent
    if not parent.is_dir():
        raise MediaError(f"{target}: the folder {parent} does not exist; create it first")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise MediaError(f"{target}: no permission to write in {parent}; choose another with -o")
    if len(os.fsencode(place.name)) > _LONGEST_NAME_BYTES:
        raise MediaError(f"{target}: the name is too long; choose a shorter one with -o")


def resolved_output_path(target: Path) -> Path:
    """Return the real path of a target, with symbolic links resolved.

    Raises:
        MediaError: The links form a loop.
    """
    try:
        return target.resolve()
    except (OSError, RuntimeError) as error:
        raise MediaError(f"{target}: its links form a loop; name another with -o") from error


def _same_file(place: Path, source: Path) -> bool:
    if place.exists() and source.exists():
        return place.samefile(source)
    return place == resolved_output_path(source)


def _lies_in(source: Path, folder: Path) -> bool:
    return source.is_file() and resolved_output_path(source).parent.samefile(folder)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


@contextmanager
def atomic_file(target: Path, *, overwrite: bool) -> Generator[TempOutput]:
    """Yield a temporary file beside ``target``; rename it to ``target`` at the end if complete.

    Args:
        target: Its final name. If it is a link, the file that it points to is replaced.
        overwrite: Whether to replace a file that was created in the meantime, too.

    Raises:
        MediaError: The folder cannot be written, the disk is full, or the name was taken in the
            meantime; then the output is kept under another name.
    """
    place = resolved_output_path(target)
    remove_stale_temp_files(place, target.suffix)
    pending = TempOutput(temporary_for(place, target.suffix))
    with file_errors(target, "write"):
        pending.path.touch(exist_ok=False)
    try:
        with held(pending.path):
            yield pending
            if pending.complete:
                _publish_file(pending.path, target, place, overwrite=overwrite)
    finally:
        pending.path.unlink(missing_ok=True)


def _publish_file(written: Path, target: Path, place: Path, *, overwrite: bool) -> None:
    with file_errors(target, "write"):
        _flush_to_disk(written)
        if overwrite or not os.path.lexists(place):
            written.replace(place)
            return
        kept = place.with_name(_free_name(place))
        written.rename(kept)
    raise MediaError(
        f"{target}: was created by something else during the run and is left as it is; "
        f"the output is in {kept}"
    )


def _free_name(place: Path) -> str:
    """Return a free name in the same folder: ``film.mkv`` becomes ``film-1.mkv``."""
    room = _LONGEST_NAME_BYTES - len(os.fsencode(place.suffix)) - len("-999999")
    stem = shortened(place.stem, room)
    names = (f"{stem}-{number}{place.suffix}" for number in count(1))
    return next(name for name in names if not os.path.lexists(place.with_name(name)))


@contextmanager
def atomic_folder(target: Path) -> Generator[TempOutput]:
    """Yield a temporary folder beside ``target``; rename it to ``target`` at the end if complete.

    If ``target`` already holds other files, the new ones are moved into it one by one.

    Raises:
        MediaError: The folder cannot be written, or the disk is full.
    """
    place = resolved_output_path(target)
    remove_stale_temp_files(place, target.suffix)
    pending = TempOutput(temporary_for(place, target.suffix))
    with file_errors(target, "write"):
        pending.path.mkdir()
    try:
        with held(pending.path):
            yield pending
            if pending.complete:
                with file_errors(target, "write"):
                    _publish_folder(pending.path, place)
    finally:
        shutil.rmtree(pending.path, ignore_errors=True)


def _publish_folder(written: Path, place: Path) -> None:
    if _is_empty_folder(place):
        place.rmdir()
    if not place.exists():
        written.rename(place)
        return
    moves = {each: place / each.name for each in written.iterdir()}
    # All or none: check that every file can be replaced before replacing the first.
    for taken in moves.values():
        if taken.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(taken))
    for each, final in moves.items():
        each.replace(final)


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
