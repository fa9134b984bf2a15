"""Run the program on damaged files: it must not crash, hang or leave files behind.

    python scripts/fuzz/run.py                          # three minutes, always the same
    python scripts/fuzz/run.py --seed 7 --minutes 30    # other damage, longer
    python scripts/fuzz/run.py --kind mkv,png,job       # these types of files only
    python scripts/fuzz/run.py --case mkv:17            # repeat a case; --keep DIR keeps its files

The script makes small valid files of each type and damages one of them; seed, type and number
decide how. The program then runs on it in a separate process with limited memory and time. It must
succeed, or refuse the file in one line and leave neither an output nor a temporary file. The script
lists each case where it does not, with the command that repeats it, and exits with 1.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import hashlib
import importlib
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from file_types import FILE_TYPES, FileType
from mutations import mutate

from vidrestore.cli import main as program
from vidrestore.devices import resolve_device
from vidrestore.pipeline import setup
from vidrestore.pipeline.loading.load_models import load_detector, load_restorer

_MAX_SECONDS = 40
"""The longest cases take a few seconds on a busy machine."""
_EXTRA_MEMORY_BYTES = 3 << 30
_JOB = ".vidrestore"
_LEFTOVER = re.compile(r"\.partial|\.vidrestore$|\.tmp$")
_LOADED_LATE = (
    "cli.display.progress_bars",
    "cli.display.summary",
    "cli.info",
    "cli.restore",
    "cli.verify",
    "jobs.run",
)
_SIGNALS = {number.value: number.name for number in signal.Signals}


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one case."""

    outcome: str
    """``ok``, ``refused`` or ``DEFECT``."""
    reason: str = ""


@dataclass(slots=True)
class Totals:
    """The results of all cases."""

    counts: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    defects: list[str] = field(default_factory=list[str])


def main() -> None:
    """Run the cases, print a table, and exit."""
    options = _options()
    # Each case runs in a forked process, which has none of the threads of a pool.
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    totals = Totals()
    with tempfile.TemporaryDirectory(prefix="fuzz.") as folder:
        _load_once()
        kinds = {name: FILE_TYPES[name] for name in options.kind}
        valid = {name: _make_files(kind, Path(folder), name) for name, kind in kinds.items()}
        for name, number in _cases(options):
            result = _run_case(
                kinds[name], valid[name], Path(folder) / "case", name, number, options
            )
            totals.counts.setdefault(name, Counter())[result.outcome] += 1
            if options.verbose:
                print(f"{name}:{number}: {result.outcome} {result.reason}", flush=True)
            if result.outcome == "DEFECT":
                command = f"python scripts/fuzz/run.py --seed {options.seed} --case {name}:{number}"
                totals.defects.append(f"{command}    # {result.reason}")
                print(f"DEFECT {name}:{number}: {result.reason}", flush=True)
    _print_table(totals)
    sys.exit(1 if totals.defects else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--kind", type=lambda text: text.split(","), default=list(FILE_TYPES))
    parser.add_argument("--cases", type=int, help="stop after this many cases, whatever the time")
    parser.add_argument("--verbose", action="store_true", help="print the result of every case")
    parser.add_argument("--case", help="repeat one case, KIND:NUMBER")
    parser.add_argument("--keep", type=Path, help="keep the files of defects in this folder")
    options = parser.parse_args()
    if options.case is not None:
        options.kind = [options.case.split(":")[0]]
    unknown = [name for name in options.kind if name not in FILE_TYPES]
    if unknown:
        parser.error(f"unknown kind {unknown[0]}; choose from {', '.join(FILE_TYPES)}")
    return options


def _cases(options: argparse.Namespace) -> "Sequence[tuple[str, int]] | Any":
    """Yield numbered cases of each kind in turn, until the time or the number is used up."""
    if options.case is not None:
        name, number = options.case.split(":")
        yield name, int(number)
        return
    end = time.monotonic() + 60 * options.minutes
    done = 0
    while True:
        for name in options.kind:
            if done == options.cases or (options.cases is None and time.monotonic() > end):
                return
            yield name, done // len(options.kind)
            done += 1


def _run_case(
    kind: FileType,
    valid: Path,
    folder: Path,
    name: str,
    number: int,
    options: argparse.Namespace,
) -> Result:
    """Damage a file and run the program on it."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(valid, folder)
    rng = np.random.default_rng([options.seed, int.from_bytes(name.encode()), number])
    targets = [path for path in sorted(folder.rglob("*")) if kind.is_damaged(path)]
    target = targets[int(rng.integers(len(targets)))]
    target.write_bytes(mutate(target.read_bytes(), rng))
    if options.keep is not None:
        kept_folder = options.keep / f"{name}-{number}"
        shutil.rmtree(kept_folder, ignore_errors=True)
        shutil.copytree(folder, kept_folder)
    before = _checksums(folder)
    result = _judge(kind, folder, before, *_run(lambda: kind.run(program, folder)))
    if options.keep is not None and result.outcome != "DEFECT" and options.case is None:
        shutil.rmtree(options.keep / f"{name}-{number}")
    return result


def _make_files(kind: FileType, folder: Path, name: str) -> Path:
    """Return a folder of valid files.

    A separate process makes them, so that this one starts no threads, which forked processes would
    lack. They are made in the folder where the cases run, because some files contain their path.
    """
    place = folder / "case"

    def work() -> int:
        kind.make(place)
        return 0

    place.mkdir()
    status, printed = _run(work)
    if status != 0:
        raise SystemExit(f"cannot make {name}: {printed}")
    return place.rename(folder / name)


def _judge(
    kind: FileType, folder: Path, before: Mapping[str, str], status: int | None, printed: str
) -> Result:
    last = printed.strip().splitlines()[-1] if printed.strip() else ""
    if status is None:
        return Result("DEFECT", f"still running after {_MAX_SECONDS} s")
    if status < 0:
        return Result("DEFECT", f"ended by {_SIGNALS.get(-status, -status)}: {last}")
    if "Traceback" in printed:
        return Result("DEFECT", last)
    after = _checksums(folder)
    new = [name for name in after if name not in before and _LEFTOVER.search(name.split("/")[0])]
    # A job folder may stay if the program says how to resume it.
    left = [name for name in new if _JOB not in name or "--resume" not in printed]
    if left and not kind.keeps_job:
        return Result("DEFECT", f"left behind: {left[0]}")
    gone = [name for name in before if name not in after and not kind.keeps_job]
    if gone:
        return Result("DEFECT", f"deleted: {gone[0]}")
    changed = [name for name in before if after.get(name, before[name]) != before[name]]
    if changed and not kind.keeps_job:
        return Result("DEFECT", f"changed: {changed[0]}")
    if status == 0:
        problem = kind.output_problem(folder)
        return Result("DEFECT", problem) if problem else Result("ok")
    if status != 1:
        return Result("DEFECT", f"exit code {status}: {last}")
    if not last.startswith("error: "):
        return Result("DEFECT", f"not an error message: {last}")
    if any((folder / output).exists() for output in kind.outputs):
        return Result("DEFECT", f"left an output, despite: {last}")
    return Result("refused", last)


def _checksums(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _run(work: Callable[[], int]) -> tuple[int | None, str]:
    """Run in a separate process; return its exit code (-N for a signal) and its output."""
    with tempfile.TemporaryFile() as printed:
        child = os.fork()
        if child == 0:
            _run_as_child(work, printed.fileno())
        status = _wait_for(child)
        printed.seek(0)
        return status, printed.read().decode(errors="replace")


def _run_as_child(work: Callable[[], int], output_fd: int) -> None:
    code = 70
    try:
        os.dup2(output_fd, 1)
        os.dup2(output_fd, 2)
        # The threads of FFmpeg take address space too.
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limit = size + _EXTRA_MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        code = int(work())
    except BaseException:  # noqa: BLE001  (reported by the exit code and the traceback)
        import traceback

        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _wait_for(child: int) -> int | None:
    end = time.monotonic() + _MAX_SECONDS
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _load_once() -> None:
    """Load modules and networks once, in this process, for all forked cases."""
    for name in _LOADED_LATE:
        importlib.import_module(f"vidrestore.{name}")
    device = resolve_device("cpu")
    detector = load_detector("mtcnn", device=device)
    restorer = load_restorer("lite", device=device, dtype=torch.float32)
    load_restorer_file = setup.load_restorer

    def restorer_of(model: str, **settings: Any) -> Any:
        return restorer if model == "lite" else load_restorer_file(model, **settings)

    def detector_of(*_: Any, **__: Any) -> Any:
        return detector

    setup.load_restorer = restorer_of
    setup.load_detector = detector_of


def _print_table(totals: Totals) -> None:
    columns = ("ok", "refused", "DEFECT")
    print(f"{'kind':12}" + "".join(f"{column:>9}" for column in columns))
    for name, counts in totals.counts.items():
        print(f"{name:12}" + "".join(f"{counts[column]:9}" for column in columns))
    for line in totals.defects:
        print(line)


if __name__ == "__main__":
    main()
