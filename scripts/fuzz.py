"""Damaged files of every kind through the whole program: nothing may crash, hang or stay behind.

    python scripts/fuzz.py                              # three minutes, the same every time
    python scripts/fuzz.py --seed 7 --minutes 30        # other damage, for longer
    python scripts/fuzz.py --kind mkv,png,journal       # of these kinds only
    python scripts/fuzz.py --case mkv:17                # one case again; --keep DIR keeps its file

Small valid files are made of each kind, one of them is damaged by a fixed rule of seed, kind and
number, and the program runs on it in a separate process with little memory and time. It must end
well or refuse in one line; then there must be no output and no temporary file. The exit code is 1
where it does not, and every such case is listed with the command that repeats it.
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
from fuzz_kinds import KINDS, Kind
from fuzz_mutations import mutated

from vidrestore.cli import main as program
from vidrestore.devices import resolve_device
from vidrestore.faces.config import DetectorConfig
from vidrestore.pipeline import setup as prepared
from vidrestore.pipeline.loading.load_models import load_detector, load_restorer

_MOST_SECONDS = 40
"""On a busy machine the longest cases take a few."""
_MORE_MEMORY_BYTES = 3 << 30
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
_SIGNALS = {each.value: each.name for each in signal.Signals}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a case."""

    what: str
    """``ok``, ``refused`` or ``DEFECT``."""
    why: str = ""


@dataclass(slots=True)
class Tally:
    """What came of all cases."""

    counts: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    defects: list[str] = field(default_factory=list[str])


def main() -> None:
    """Run."""
    options = _options()
    # A process is forked for every case: no thread of a pool may be awaited there.
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="fuzz.") as folder:
        _load_once()
        kinds = {name: KINDS[name] for name in options.kind}
        seeds = {name: _made(kind, Path(folder), name) for name, kind in kinds.items()}
        for name, number in _cases(options):
            verdict = _tried(kinds[name], seeds[name], Path(folder) / "case", name, number, options)
            tally.counts.setdefault(name, Counter())[verdict.what] += 1
            if options.verbose:
                print(f"{name}:{number}: {verdict.what} {verdict.why}", flush=True)
            if verdict.what == "DEFECT":
                again = f"python scripts/fuzz.py --seed {options.seed} --case {name}:{number}"
                tally.defects.append(f"{again}    # {verdict.why}")
                print(f"DEFECT {name}:{number}: {verdict.why}", flush=True)
    _show(tally)
    sys.exit(1 if tally.defects else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--kind", type=lambda text: text.split(","), default=list(KINDS))
    parser.add_argument("--cases", type=int, help="end after so many, whatever the time")
    parser.add_argument("--verbose", action="store_true", help="tell what came of every case")
    parser.add_argument("--case", help="KIND:NUMBER, to repeat it")
    parser.add_argument("--keep", type=Path, help="folder for the files of defects")
    options = parser.parse_args()
    if options.case is not None:
        options.kind = [options.case.split(":")[0]]
    unknown = [name for name in options.kind if name not in KINDS]
    if unknown:
        parser.error(f"unknown kind {unknown[0]}; choose from {', '.join(KINDS)}")
    return options


def _cases(options: argparse.Namespace) -> "Sequence[tuple[str, int]] | Any":
    """Yield kinds in turn, numbered, until time or number are used up."""
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


def _tried(
    kind: Kind,
    seed: Path,
    folder: Path,
    name: str,
    number: int,
    options: argparse.Namespace,
) -> Verdict:
    """Damage a file and run the program on it."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(seed, folder)
    rng = np.random.default_rng([options.seed, int.from_bytes(name.encode()), number])
    targets = [path for path in sorted(folder.rglob("*")) if kind.is_damaged(path)]
    target = targets[int(rng.integers(len(targets)))]
    target.write_bytes(mutated(target.read_bytes(), rng))
    if options.keep is not None:
        kept = options.keep / f"{name}-{number}"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(folder, kept)
    before = _contents(folder)
    verdict = _judged(kind, folder, before, *_run(lambda: kind.run(program, folder)))
    if options.keep is not None and verdict.what != "DEFECT" and options.case is None:
        shutil.rmtree(options.keep / f"{name}-{number}")
    return verdict


def _made(kind: Kind, folder: Path, name: str) -> Path:
    """Return a folder of valid files.

    They are made in a separate process, so that processes forked later do not miss threads of this
    one, and in the folder where the cases run: some of the files hold their own path.
    """
    place = folder / "case"

    def work() -> int:
        kind.make(place)
        return 0

    place.mkdir()
    status, said = _run(work)
    if status != 0:
        raise SystemExit(f"cannot make {name}: {said}")
    return place.rename(folder / name)


def _judged(
    kind: Kind, folder: Path, before: Mapping[str, str], status: int | None, said: str
) -> Verdict:
    last = said.strip().splitlines()[-1] if said.strip() else ""
    if status is None:
        return Verdict("DEFECT", f"not done after {_MOST_SECONDS} s")
    if status < 0:
        return Verdict("DEFECT", f"ended by {_SIGNALS.get(-status, -status)}: {last}")
    if "Traceback" in said:
        return Verdict("DEFECT", last)
    after = _contents(folder)
    new = [name for name in after if name not in before and _LEFTOVER.search(name.split("/")[0])]
    # What was finished is kept where the program says how to go on.
    left = [name for name in new if _JOB not in name or "--resume" not in said]
    if left and not kind.keeps_job:
        return Verdict("DEFECT", f"left behind: {left[0]}")
    gone = [name for name in before if name not in after and not kind.keeps_job]
    if gone:
        return Verdict("DEFECT", f"is gone: {gone[0]}")
    touched = [name for name in before if after.get(name, before[name]) != before[name]]
    if touched and not kind.keeps_job:
        return Verdict("DEFECT", f"was touched: {touched[0]}")
    if status == 0:
        wrong = kind.wrong_with(folder)
        return Verdict("DEFECT", wrong) if wrong else Verdict("ok")
    if status != 1:
        return Verdict("DEFECT", f"exit code {status}: {last}")
    if not last.startswith("error: "):
        return Verdict("DEFECT", f"no plain error: {last}")
    if any((folder / output).exists() for output in kind.outputs):
        return Verdict("DEFECT", f"an output is there after: {last}")
    return Verdict("refused", last)


def _contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _run(work: Callable[[], int]) -> tuple[int | None, str]:
    """Run in a separate process; return its exit code (-N for a signal) and its output."""
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            _as_child(work, said.fileno())
        status = _waited(child)
        said.seek(0)
        return status, said.read().decode(errors="replace")


def _as_child(work: Callable[[], int], said: int) -> None:
    code = 70
    try:
        os.dup2(said, 1)
        os.dup2(said, 2)
        # Threads of FFmpeg take address space, too.
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        most = size + _MORE_MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        code = int(work())
    except BaseException:  # noqa: BLE001  (told by the exit code and the traceback)
        import traceback

        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _waited(child: int) -> int | None:
    end = time.monotonic() + _MOST_SECONDS
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _load_once() -> None:
    """Give every case the modules and networks of this process; loading them is not the point."""
    for name in _LOADED_LATE:
        importlib.import_module(f"vidrestore.{name}")
    device = resolve_device("cpu")
    detector = load_detector("mtcnn", device=device, config=DetectorConfig())
    restorer = load_restorer("lite", device=device, dtype=torch.float32)
    loaded = prepared.load_restorer

    def restorer_of(model: str, **settings: Any) -> Any:
        return restorer if model == "lite" else loaded(model, **settings)

    def detector_of(*_: Any, **__: Any) -> Any:
        return detector

    prepared.load_restorer = restorer_of
    prepared.load_detector = detector_of


def _show(tally: Tally) -> None:
    columns = ("ok", "refused", "DEFECT")
    print(f"{'kind':12}" + "".join(f"{column:>9}" for column in columns))
    for name, counts in tally.counts.items():
        print(f"{name:12}" + "".join(f"{counts[column]:9}" for column in columns))
    for line in tally.defects:
        print(line)


if __name__ == "__main__":
    main()
