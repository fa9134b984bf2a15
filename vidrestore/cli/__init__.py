"""The command ``vidrestore``: the only package that prints, exits or reads arguments.

Each command imports what it needs when it runs, so that ``--help`` is quick.
"""

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import NoReturn

from vidrestore.cli.exit_codes import ExitCode, TerminatedError, UsageError, expected_line
from vidrestore.errors import PipeClosedError
from vidrestore.malloc_tuning import keep_freed_memory

COMMANDS = (
    "batch",
    "completions",
    "info",
    "profiles",
    "review",
    "train",
    "tune",
    "verify",
    "web",
    "weights",
)
"""Commands besides ``restore``; each is a module of this package with a function ``run``."""
_PRINTING = (["batch"], ["info"], ["weights"], ["verify"])
"""Commands whose result is what they print, as arguments."""
_AFTER_SIGNAL = {
    "batch": ": run the same command to continue",
    "info": "",
    "weights": "",
    "verify": "",
    "web": ": films that are not done continue at the next start",
    "train": ": run the same command to continue from last.pt",
    "tune": ": nothing was written",
}
"""Command -> what to print after a run that a signal ended."""


def entry_point(*command: str) -> NoReturn:
    """Run the command of this process and exit with its exit code.

    Args:
        command: Arguments before those of the command line, for scripts that run one subcommand.
    """
    # OpenMP reads this when torch is loaded. Without it, waiting threads spin and starve others.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_freed_memory()
    if not sys.warnoptions and "--debug" not in sys.argv:
        warnings.simplefilter("ignore")  # warnings of libraries, meant for programmers
    sys.exit(main([*command, *sys.argv[1:]]))


def main(argv: Sequence[str]) -> ExitCode:
    """Run one command and return its exit code.

    Args:
        argv: The arguments after the name of the program.
    """
    try:
        code = _run(argv)
        if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison]  (None if closed)
            sys.stdout.flush()
    except BrokenPipeError:
        _detach_stdout()
        return ExitCode.PIPE_CLOSED
    return code


def _run(argv: Sequence[str]) -> ExitCode:
    prints = argv[:1] in _PRINTING
    unwritten = _AFTER_SIGNAL.get("".join(argv[:1]), ": the output was not written")
    try:
        with _unwind_on_signal():
            return _dispatch(argv)
    except SystemExit as request:  # tyro exits after --help and after a usage error
        return ExitCode.OK if not request.code else ExitCode.USAGE
    except TerminatedError:
        return _print_end(ExitCode.TERMINATED, f"ended by SIGTERM{unwritten}")
    except KeyboardInterrupt:
        return _print_end(ExitCode.INTERRUPTED, f"interrupted{unwritten}")
    except Exception as error:
        line = expected_line(error)
        is_stdout_closed = isinstance(error, PipeClosedError)
        if line is None or is_stdout_closed or (prints and isinstance(error, BrokenPipeError)):
            raise
        if "--debug" in argv:
            traceback.print_exc()
        code = ExitCode.USAGE if isinstance(error, UsageError) else ExitCode.FAILED
        return _print_end(code, f"error: {line}")


def _dispatch(argv: Sequence[str]) -> ExitCode:
    if "--version" in argv:
        from vidrestore import __version__

        print(f"vidrestore {__version__}")
        return ExitCode.OK
    if argv and argv[0] in COMMANDS:
        return import_module(f"vidrestore.cli.{argv[0]}").run(argv[1:])
    from vidrestore.cli import restore

    return restore.run(argv)


def _print_end(code: ExitCode, line: str) -> ExitCode:
    print(line, file=sys.stderr)
    return code


def _detach_stdout() -> None:
    # The interpreter flushes stdout once more at exit and would complain about the closed pipe.
    with open(os.devnull, "w", encoding="ascii") as devnull:  # noqa: PTH123  (a device)
        os.dup2(devnull.fileno(), sys.stdout.fileno())


@contextmanager
def _unwind_on_signal() -> Generator[None]:
    """Let the first SIGINT or SIGTERM unwind the stack, and ignore the second.

    Impatient users press Ctrl-C twice; the second must not interrupt the removal of temporary
    files. The third has the system's default effect.
    """
    received: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1:
            raise TerminatedError if number == signal.SIGTERM else KeyboardInterrupt
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # A signal that the parent ignores stays ignored: a script may have started a background job.
    handled = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    try:
        for number in handled:
            signal.signal(number, on_signal)
    except ValueError:  # not the main thread: the caller handles signals
        yield
        return
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, before[number])
