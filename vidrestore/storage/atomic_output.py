"""Atomic output: written under a temporary name next to the target, renamed when complete."""

import errno
import os
import re
import shutil
from collections.abc import Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from vidrestore.errors import MediaError
from vidrestore.storage.file_errors import file_errors
from vidrestore.storage.standard_streams import is_standard_stream
from vidrestore.storage.temp_files import (
    locked,
    remove_stale_temp_files,
    temp_path_for,
    truncated_name,
)

_MAX_NAME_BYTES = 255


_NUMBER = re.compile(r"\d+")


@dataclass(slots=True)
class TempOutput:
    """An output under its temporary name."""

    path: Path
    complete: bool = False
    """Set when everything is written: only then the output gets its name."""


def check_target(target: Path, *, source_path: Path | None, overwrite: bool) -> None:
    """Refuse targets that must not or cannot be written.

    Raises:
        MediaError: The target is the source or would replace it, exists, is not a file, or is in
            a folder that does not exist or cannot be written.
    """
    if is_standard_stream(target):
        raise MediaError("-: only the restored film goes to standard output; name a file")
    resolved = resolved_output_path(target)
    if source_path is not None and _is_same_file(resolved, source_path):
        raise MediaError(f"{target}: source and output are the same file; choose another with -o")
    if resolved.exists() and not (resolved.is_file() or resolved.is_dir()):
        raise MediaError(f"{target}: neither a file nor a folder; choose another with -o")
    if resolved.exists() and not overwrite and not _is_empty_folder(resolved):
        raise MediaError(f"{target}: already exists; choose another with -o, or use --overwrite")
    if source_path is not None and resolved.is_dir() and _is_in_folder(source_path, resolved):
        raise MediaError(f"{target}: the source is in this folder; choose another with -o")
    parent = resolved.parent
    if not parent.is_dir():
        raise MediaError(f"{target}: the folder {parent} does not exist; create it first")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise MediaError(f"{target}: no permission to write in {parent}; choose another with -o")
    if len(os.fsencode(resolved.name)) > _MAX_NAME_BYTES:
        raise MediaError(f"{target}: the name is too long; choose a shorter one with -o")


def resolved_output_path(target: Path) -> Path:
    """Return the real path of a target, with symbolic links resolved.

    Raises:
        MediaError: The links form a loop.
    """
    try:
        return target.resolve()
    except (OSError, RuntimeError) as error:
        raise MediaError(
            f"{target}: its symbolic links form a loop; choose another with -o"
        ) from error


def _is_same_file(output: Path, source: Path) -> bool:
    if output.exists() and source.exists():
        return output.samefile(source)
    return output == resolved_output_path(source)


def _is_in_folder(source: Path, folder: Path) -> bool:
    return source.is_file() and resolved_output_path(source).parent.samefile(folder)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


@contextmanager
def atomic_file(target: Path, *, overwrite: bool) -> Generator[TempOutput]:
    """Yield a temporary file next to ``target``; rename it to ``target`` at the end if complete.

    Args:
        target: Its final name. If it is a link, the file that it points to is replaced.
        overwrite: Whether to replace a file that was created in the meantime.

    Raises:
        MediaError: The folder cannot be written, the disk is full, or the name was taken in the
            meantime; then the output is kept under another name.
    """
    resolved = resolved_output_path(target)
    remove_stale_temp_files(resolved, target.suffix)
    pending = TempOutput(temp_path_for(resolved, target.suffix))
    with file_errors(target, "write"):
        pending.path.touch(exist_ok=False)
    try:
        with locked(pending.path):
            yield pending
            if pending.complete:
                _publish_file(pending.path, target, resolved, overwrite=overwrite)
    finally:
        pending.path.unlink(missing_ok=True)


def write_text(target: Path, text: str, *, overwrite: bool) -> None:
    """Write a text file, which appears with all of its text; see ``atomic_file``."""
    with atomic_file(target, overwrite=overwrite) as pending:
        with file_errors(target, "write"):
            pending.path.write_text(text, encoding="utf-8", newline="\n")
        pending.complete = True


@contextmanager
def partial_file(target: Path) -> Generator[Path]:
    """Yield ``TARGET.part`` to write to; it replaces ``target`` if the block raises nothing."""
    path = target.with_name(f"{target.name}.part")
    yield path
    path.replace(target)


def _publish_file(written: Path, target: Path, resolved: Path, *, overwrite: bool) -> None:
    with file_errors(target, "write"):
        _flush_to_disk(written)
        if overwrite or not os.path.lexists(resolved):
            written.replace(resolved)
            return
        alternative = resolved.with_name(_free_name(resolved))
        written.rename(alternative)
    raise MediaError(
        f"{target}: appeared during the run and was not replaced; the output is {alternative}"
    )


def _free_name(path: Path) -> str:
    """Return a free name in the same folder: ``film.mkv`` becomes ``film-1.mkv``."""
    max_bytes = _MAX_NAME_BYTES - len(os.fsencode(path.suffix)) - len("-999999")
    stem = truncated_name(path.stem, max_bytes)
    names = (f"{stem}-{number}{path.suffix}" for number in count(1))
    return next(name for name in names if not os.path.lexists(path.with_name(name)))


@contextmanager
def atomic_folder(target: Path, *, companions: Collection[str] = ()) -> Generator[TempOutput]:
    """Yield a temporary folder next to ``target``; rename it to ``target`` at the end if complete.

    If ``target`` already contains files, the new ones are moved into it one by one. Files there
    whose names differ from new ones in their numbers alone are removed, and so are companions of
    an earlier sequence.

    Args:
        target: Its final name.
        companions: Names of files that belong to the new ones, of which not all must be written.

    Raises:
        MediaError: The folder cannot be written, or the disk is full.
    """
    resolved = resolved_output_path(target)
    remove_stale_temp_files(resolved, target.suffix)
    pending = TempOutput(temp_path_for(resolved, target.suffix))
    with file_errors(target, "write"):
        pending.path.mkdir()
    try:
        with locked(pending.path):
            yield pending
            if pending.complete:
                with file_errors(target, "write"):
                    _publish_folder(pending.path, resolved, companions)
    finally:
        shutil.rmtree(pending.path, ignore_errors=True)


def _publish_folder(written: Path, target: Path, companions: Collection[str]) -> None:
    if _is_empty_folder(target):
        target.rmdir()
    if not target.exists():
        written.rename(target)
        return
    moves = {path: target / path.name for path in written.iterdir()}
    # All or none: check that every file can be replaced before replacing the first.
    for final_path in moves.values():
        if final_path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(final_path))
    names = {path.name for path in moves}
    stale = _same_sequence(target, names)
    stale += [target / name for name in companions if name not in names]
    for path, final_path in moves.items():
        path.replace(final_path)
    for path in stale:
        path.unlink(missing_ok=True)


def _same_sequence(folder: Path, names: set[str]) -> list[Path]:
    """Return the files of a folder that differ from some names in their numbers alone.

    They are frames of an earlier, longer sequence, and would be taken for more of this one.
    """
    patterns = {_NUMBER.sub("#", name) for name in names}
    return [
        path
        for path in folder.iterdir()
        if path.name not in names and path.is_file() and _NUMBER.sub("#", path.name) in patterns
    ]


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
