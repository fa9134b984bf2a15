"""What the process returns to the shell, and the one line that says why."""

import errno
from enum import IntEnum

from vidrestore.devices import out_of_memory
from vidrestore.errors import VidrestoreError

_ADVICE = {
    errno.ENOSPC: "free some space, or write to another disk",
    errno.EDQUOT: "your quota is used up: free some space, or write to another disk",
    errno.EFBIG: "the file system holds no file of this size: write to another disk",
    errno.EROFS: "the disk is read-only: write to another one",
    errno.EACCES: "you may not do this there: check the permissions",
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n)",
}


class ExitCode(IntEnum):
    """What the process returns to the shell."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INTERRUPTED = 130  # 128 + SIGINT
    PIPE_CLOSED = 141  # 128 + SIGPIPE
    TERMINATED = 143  # 128 + SIGTERM


class TerminatedError(KeyboardInterrupt):
    """The process was asked to end by SIGTERM; unwinds as Ctrl-C does."""


def expected_line(error: Exception) -> str | None:
    """Return the one line that explains ``error``, or None for one that nobody expects."""
    if isinstance(error, VidrestoreError):
        return " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno is not None:
        parts = [str(error.filename)] if error.filename is not None else []
        parts.append(error.strerror or type(error).__name__)
        line = ": ".join(parts)
        return f"{line}; {_ADVICE[error.errno]}" if error.errno in _ADVICE else line
    if out_of_memory(error):
        return "not enough memory; try a smaller --batch-size, or --device cpu"
    return None
