"""Temporary files that show whether their process lives, and the removal of those of the dead.

A process that is killed cannot clean up behind itself. So every temporary file is locked while its
process lives; the system takes the lock away when it ends, however it ends. The next run for the
same target removes what nobody holds.
"""

import os
import re
import secrets
import shutil
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_LONGEST_NAME_BYTES = 255
_TOKEN_BYTES = 4
_TOKEN = "[0-9a-f]{8}"
_SPARE_BYTES = len(".12345678.partial.video.")


def temporary_for(place: Path, suffix: str) -> Path:
    """Return a new name beside ``place``, however long its own is.

    Args:
        place: Where the output will lie.
        suffix: Ending of the temporary name, as encoders go by it.
    """
    token = secrets.token_hex(_TOKEN_BYTES)
    return place.with_name(f"{_beginning(place, suffix)}.{token}.partial{suffix}")


def shortened(stem: str, room_bytes: int) -> str:
    """Return as much of a name as fits into some bytes."""
    return os.fsencode(stem)[:room_bytes].decode(errors="ignore")


@contextmanager
def held(path: Path) -> Generator[None]:
    """Mark a temporary file or folder that exists as in use, as long as the block runs."""
    handle = os.open(path, os.O_RDONLY)
    try:
        _locked(handle)
        yield
    finally:
        os.close(handle)


def temporary_paths(place: Path, suffix: str) -> list[Path]:
    """Return the temporary files and folders that exist for an output.

    Raises:
        OSError: The folder of the output cannot be listed.
    """
    name = re.compile(
        f"{re.escape(_beginning(place, suffix))}\\.{_TOKEN}\\.partial(\\.video)?{re.escape(suffix)}"
    )
    return [path for path in place.parent.iterdir() if name.fullmatch(path.name)]


def remove_stale_temp_files(place: Path, suffix: str) -> None:
    """Remove what runs for the same target left when they were killed.

    What cannot be removed stays: it is in nobody's way.
    """
    with suppress(OSError):
        for path in temporary_paths(place, suffix):
            with suppress(OSError):
                _remove_unheld(path)


def _remove_unheld(path: Path) -> None:
    if path.is_symlink():
        return
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK if sys.platform != "win32" else os.O_RDONLY)
    try:
        if not _locked(handle):
            return
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    """Lock an open file; False where another process holds it, or none can be locked here."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _beginning(place: Path, suffix: str) -> str:
    room = _LONGEST_NAME_BYTES - _SPARE_BYTES - len(os.fsencode(suffix))
    return f".{shortened(place.stem, room)}"
