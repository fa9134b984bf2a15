"""Exit codes of the process, and the one line that explains an error."""

import errno
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from enum import IntEnum

from vidrestore.devices import out_of_memory
from vidrestore.errors import ConfigError, VidrestoreError

_ADVICE = {
    errno.ENOSPC: "free some space, or write to another disk",
    errno.EDQUOT: "your disk quota is used up; free some space, or write to another disk",
    errno.EFBIG: "the file system cannot hold a file of this size; write to another disk",
    errno.EROFS: "the disk is read-only; write to another one",
    errno.EACCES: "you do not have permission; check the permissions of the file and its folder",
    errno.EMFILE: "too many files are open; raise the limit (ulimit -n)",
}


class ExitCode(IntEnum):
    """Exit code of the process."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INTERRUPTED = 130  # 128 + SIGINT
    PIPE_CLOSED = 141  # 128 + SIGPIPE
    TERMINATED = 143  # 128 + SIGTERM


class TerminatedError(KeyboardInterrupt):
    """The process received SIGTERM; unwinds the stack as Ctrl-C does."""


class UsageError(ConfigError):
    """An option has a value that is out of range or contradicts another option."""


@contextmanager
def usage_errors(flags: Mapping[str, str] | None = None) -> Generator[None]:
    """Raise errors of settings as ``UsageError``: their values come from options.

    ``flags`` maps the names of settings to their options, which replace them at the beginning of a
    message.
    """
    try:
        yield
    except ConfigError as error:
        name, space, rest = str(error).partition(" ")
        raise UsageError((flags or {}).get(name, name) + space + rest) from error


def expected_line(error: Exception) -> str | None:
    """Return the one line that explains ``error``, or None if it is a bug."""
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
