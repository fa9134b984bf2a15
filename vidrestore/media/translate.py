"""The one place where failures of FFmpeg and of the system become ``MediaError``."""

import errno
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import av.error

from vidrestore.errors import MediaError
from vidrestore.media.demuxing import is_damage

_ADVICE = {
    errno.ENOENT: "no such file; check the name",
    errno.EACCES: "permission denied; check its permissions",
    errno.EPERM: "permission denied; check its permissions",
    errno.EROFS: "the file system is read-only; choose another folder with -o",
    errno.ENOSPC: "no space left on the device; free some, or choose another folder with -o",
    errno.EDQUOT: "the disk quota is used up; free some space, or choose another folder with -o",
    errno.EFBIG: "larger than the file system allows; choose another folder with -o",
    errno.EISDIR: "is a folder; name a file",
    errno.ENOTDIR: "part of this path is not a folder; check the name",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one with -o",
    errno.EIO: "input/output error; check the disk, or get another copy",
}
_DAMAGED = "not a film FFmpeg can read, or cut off before its index; check it or get another copy"


@contextmanager
def media_errors(path: Path, doing: Literal["read", "write"] = "read") -> Generator[None]:
    """Turn failures inside the block into ``MediaError``, naming ``path``."""
    try:
        yield
    except MediaError:
        raise
    except (av.error.FFmpegError, OSError) as error:
        raise MediaError(f"{path}: {_reason(error, doing)}") from error


def _reason(error: av.error.FFmpegError | OSError, doing: str) -> str:
    if error.errno in _ADVICE:
        return _ADVICE[error.errno]
    if doing == "read" and is_damage(error):
        return _DAMAGED
    return f"could not {doing} it: {error.strerror or error}"
