"""Turns errors of the file system into ``MediaError``."""

import errno
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from vidrestore.errors import MediaError

ADVICE = {
    errno.ENOENT: "no such file; check the name",
    errno.EACCES: "permission denied; check its permissions",
    errno.EPERM: "permission denied; check its permissions",
    errno.EROFS: "the file system is read-only; choose another folder with -o",
    errno.ENOSPC: "no space left on the device; free some, or choose another folder with -o",
    errno.EDQUOT: "the disk quota is used up; free some space, or choose another folder with -o",
    errno.EFBIG: "larger than the file system allows; choose another folder with -o",
    errno.EISDIR: "is a folder; choose a file",
    errno.ENOTDIR: "part of this path is not a folder; check the name",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one with -o",
    errno.EIO: "input/output error; check the disk, or get another copy",
}
"""Error number -> what is wrong and what to do."""

Action = Literal["read", "write"]


@contextmanager
def file_errors(path: Path, action: Action = "read") -> Generator[None]:
    """Turn an ``OSError`` inside the block into a ``MediaError`` that names ``path``."""
    try:
        yield
    except OSError as error:
        reason = explain(error.errno, error.strerror or str(error), action)
        raise MediaError(f"{path}: {reason}") from error


def explain(number: int | None, text: str, action: Action) -> str:
    """Return what is wrong and what to do.

    Args:
        number: The error number, if there is one.
        text: What the system says, for an error without advice.
        action: What was attempted.
    """
    if number in ADVICE:
        return ADVICE[number]
    return f"could not {action} it: {text}"
