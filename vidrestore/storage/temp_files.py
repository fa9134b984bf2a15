"""Locked temporary files, and the removal of stale ones.

A process that is killed cannot remove its temporary files. So each is locked while its process
lives; the system releases the lock when the process ends, however it ends. The next run for the
same target removes the files that are not locked.
"""

import os
import re
import secrets
import shutil
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

if sys.platform != "win32":
    import fcntl

_MAX_NAME_BYTES = 255
_TOKEN_BYTES = 4
_TOKEN = "[0-9a-f]{8}"
_SPARE_BYTES = len(".12345678.partial.video.")


def temp_path_for(output: Path, suffix: str) -> Path:
    """Return a new temporary path next to ``output``; a long name is shortened.

    Args:
        output: The path of the output.
        suffix: Suffix of the temporary name; muxers choose the format by it.
    """
    token = secrets.token_hex(_TOKEN_BYTES)
    return output.with_name(f"{_prefix(output, suffix)}.{token}.partial{suffix}")


def truncated_name(name: str, max_bytes: int) -> str:
    """Return the start of a name that fits into ``max_bytes``."""
    return os.fsencode(name)[:max_bytes].decode(errors="ignore")


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Lock an existing temporary file or folder while the block runs."""
    handle = os.open(path, os.O_RDONLY)
    try:
        try_lock(handle)
        yield
    finally:
        os.close(handle)


def temporary_paths(output: Path, suffix: str) -> list[Path]:
    """Return the existing temporary files and folders of an output.

    Raises:
        OSError: The folder of the output cannot be listed.
    """
    name = re.compile(
        f"{re.escape(_prefix(output, suffix))}\\.{_TOKEN}\\.partial(\\.video)?{re.escape(suffix)}"
    )
    return [path for path in output.parent.iterdir() if name.fullmatch(path.name)]


def remove_stale_temp_files(output: Path, suffix: str) -> None:
    """Remove the temporary files of killed runs with the same output.

    Files that cannot be removed stay; they disturb nothing.
    """
    with suppress(OSError):
        for path in temporary_paths(output, suffix):
            with suppress(OSError):
                _remove_unlocked(path)


def _remove_unlocked(path: Path) -> None:
    if path.is_symlink():
        return
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK if sys.platform != "win32" else os.O_RDONLY)
    try:
        if not try_lock(handle):
            return
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    finally:
        os.close(handle)


def try_lock(file: int | IO[bytes]) -> bool:
    """Lock an open file; return False if another process has locked it, or locking fails."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _prefix(output: Path, suffix: str) -> str:
    max_bytes = _MAX_NAME_BYTES - _SPARE_BYTES - len(os.fsencode(suffix))
    return f".{truncated_name(output.stem, max_bytes)}"
