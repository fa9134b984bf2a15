"""Standard input and output as files of a film: ``-``."""

import errno
import os
import stat
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from select import select

from vidrestore.errors import MediaError, PipeClosedError
from vidrestore.prefetch import StoppedError, stop_requested
from vidrestore.storage.file_errors import Action, explain

if sys.platform == "linux":
    import fcntl

_STDIN, _STDOUT, _STDERR = 0, 1, 2
_POLL_SECONDS = 0.1
_PIPE_BYTES = 1 << 20
"""Size of a pipe's buffer: the maximum for unprivileged users on Linux, so a frame needs few
writes."""
_film_fd = _STDOUT
"""Where a film is written to that goes to standard output."""


def is_standard_stream(path: Path) -> bool:
    """Whether a name stands for standard input or output."""
    return str(path) == "-"


@contextmanager
def reserved_stdout() -> Generator[None]:
    """Keep standard output for a film: what else is printed there goes to standard error.

    Raises:
        MediaError: Standard output is closed.
    """
    global _film_fd
    try:
        sys.stdout.flush()
        _film_fd = os.dup(_STDOUT)
        os.dup2(_STDERR, _STDOUT)
    except (OSError, AttributeError) as error:
        raise MediaError("-o -: standard output is closed; name a file") from error
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(_film_fd, _STDOUT)
        # Not closed: a thread that was not waited for may still write to it.
        _film_fd = _STDOUT


class StandardInput:
    """Reads standard input; a wait for more ends with the thread that waits."""

    def __init__(self) -> None:
        """Open it.

        Raises:
            MediaError: It is closed, or a terminal.
        """
        self._fd = _STDIN
        if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]  (None if closed)
            raise MediaError("standard input is closed; name a file")
        if _is_terminal(self._fd, "read"):
            raise MediaError(
                "standard input is the terminal; send it frames: ffmpeg -i FILE -f yuv4mpegpipe - "
                "| vidrestore - -o FILE"
            )
        _enlarge_pipe(self._fd)

    def read(self, count: int) -> bytearray:
        """Return the next bytes; fewer than ``count`` only at the end.

        Raises:
            MediaError: Reading fails.
        """
        data = bytearray(count)
        view, done = memoryview(data), 0
        while done < count:
            count_read = self._read_into(view[done:])
            if count_read == 0:
                break
            done += count_read
        view.release()
        del data[done:]
        return data

    def read_line(self, max_bytes: int) -> bytes:
        """Return the bytes up to the next line feed, with it; without it only at the end.

        Raises:
            MediaError: Reading fails.
        """
        line = bytearray()
        while len(line) < max_bytes and not line.endswith(b"\n"):
            following = self.read(1)
            if not following:
                break
            line += following
        return bytes(line)

    def _read_into(self, view: memoryview) -> int:
        while True:
            try:
                while not select([self._fd], [], [], _POLL_SECONDS)[0]:
                    if stop_requested():
                        raise StoppedError
                return os.readv(self._fd, [view])
            except BlockingIOError:
                continue
            except OSError as error:
                raise _failure("standard input", error, "read") from error


class StandardOutput:
    """Writes to standard output, and returns early where the thread that writes is to stop."""

    def __init__(self) -> None:
        """Open it.

        Raises:
            MediaError: It is closed, or a terminal.
        """
        self._fd = _film_fd
        if _is_terminal(self._fd, "write"):
            raise MediaError(
                "-o -: standard output is the terminal; name a file, or send the frames on: "
                "vidrestore FILE -o - | ffmpeg -i - OUTPUT"
            )
        _enlarge_pipe(self._fd)

    def write(self, data: bytes | memoryview) -> None:
        """Write all bytes.

        Raises:
            PipeClosedError: The program that reads has closed the pipe.
            MediaError: Writing fails for another reason.
        """
        rest = memoryview(data).cast("B")
        while rest and not stop_requested():
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:
                select([], [self._fd], [], _POLL_SECONDS)
            except BrokenPipeError as error:
                raise PipeClosedError(errno.EPIPE, "standard output was closed") from error
            except OSError as error:
                raise _failure("standard output", error, "write") from error


def _is_terminal(fd: int, action: Action) -> bool:
    try:
        os.fstat(fd)
    except OSError as error:
        stream = "input" if action == "read" else "output"
        raise MediaError(f"standard {stream} is closed; name a file") from error
    return os.isatty(fd)


def _enlarge_pipe(fd: int) -> None:
    if sys.platform == "linux" and stat.S_ISFIFO(os.fstat(fd).st_mode):
        with suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _failure(name: str, error: OSError, action: Action) -> MediaError:
    return MediaError(f"{name}: {explain(error.errno, error.strerror or str(error), action)}")
