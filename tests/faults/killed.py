"""Runs that are killed and resumed."""

import hashlib
import os
import subprocess
import sys
import time
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
from faults.bench import Bench, chapter
from support.clips import Sound
from support.faceclips import face_picture

fault = chapter("Killed runs")

_ROOT = Path(__file__).parents[2]
_KILLS = 20
_TRIES = 3 * _KILLS
_FRAMES = 12
_SIZE_HW = (120, 160)
_SERVER = """
import os, sys
from vidrestore.cli import main
import torch
import vidrestore.cli.display.progress_bars
import vidrestore.jobs.run
from torch import nn
from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.registry import RestorerSpec
from vidrestore.pipeline import setup
from vidrestore.restore.restorer import Restorer

class Paler(nn.Module):
    def forward(self, image):
        return RestorerOutput(image=image * 0.5)

def load_restorer(name, *, device, dtype, **_):
    spec = RestorerSpec(build=Paler, crop_size_px=512, license="none")
    return Restorer(Paler(), spec, device=device, dtype=torch.float32)

setup.load_restorer = load_restorer  # the network is not the point here
sys.stdout.write("ready\\n"); sys.stdout.flush()
for line in sys.stdin:
    words = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if child == 0:
        os.setsid()
        code = main(words)
        sys.stderr.flush()
        os._exit(int(code))
    sys.stdout.write(f"{child}\\n"); sys.stdout.flush()
    _, status = os.waitpid(child, 0)
    sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\\n"); sys.stdout.flush()
"""


@fault(
    "`kill -9`, twenty times at random moments",
    "the output appears only when it is complete; `--resume` gives the same bytes as an "
    "uninterrupted run and leaves no other files",
)
def killed_and_resumed(bench: Bench) -> None:
    sound = Sound(seconds=Fraction(_FRAMES, 25), beeps_seconds=(Fraction(1, 5),))
    film = bench.clip(ticks=range(_FRAMES), size_hw=_SIZE_HW, picture=face_picture, sounds=(sound,))
    target, record = bench.folder / "out.mkv", bench.folder / "out.jsonl"
    arguments = [str(film), "-o", str(target), "--codec", "ffv1", "--device", "cpu", "--quiet"]
    arguments += ["--segment", "0.04", "--record", str(record)]
    arguments += ["--steady", "0", "--batch-size", "2"]
    with _Runs() as runs:
        started = time.monotonic()
        assert runs.run(arguments) == 0
        assert '"faces":[{' in record.read_text()
        seconds = time.monotonic() - started
        uninterrupted = [_digest(path) for path in (target, record)]
        shares = np.random.default_rng(9).uniform(0.0, 1.0, _TRIES)
        killed = 0
        for share in shares:
            for path in (target, record):
                path.unlink(missing_ok=True)
            code = runs.run(arguments, kill_after=float(share) * seconds)
            if code == -9 and _is_unfinished(bench.folder):
                # A file with its final name is complete, even between two renames.
                assert not target.exists() or _digest(target) == uninterrupted[0]
                code = runs.run([*arguments, "--resume"])
                killed += 1
            else:
                # The first run was slower, because it imported what later ones share.
                seconds *= 0.8
                assert code in {0, -9}
                code = 0
            assert code == 0
            assert [_digest(path) for path in (target, record)] == uninterrupted
            names = sorted(path.name for path in bench.folder.iterdir())
            assert names == ["film.mkv", "out.jsonl", "out.mkv"]
            if killed == _KILLS:
                break
    assert killed == _KILLS


def _is_unfinished(folder: Path) -> bool:
    """Return whether a killed run has to be resumed: it left a job folder or no output."""
    return {path.name for path in folder.iterdir()} != {"film.mkv", "out.jsonl", "out.mkv"}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class _Runs:
    """Runs the program in forked processes that have everything imported."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            env={**os.environ, "PYTHONPATH": str(_ROOT), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._line() == "ready"

    def __enter__(self) -> "_Runs":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.communicate()

    def run(self, words: list[str], *, kill_after: float | None = None) -> int:
        """Return the exit code; -9 if it was killed before it ended."""
        assert self._server.stdin is not None
        self._server.stdin.write("\t".join(words) + "\n")
        self._server.stdin.flush()
        child = int(self._line())
        if kill_after is not None:
            time.sleep(kill_after)
            # The server waits for it before it answers, so the process id is still valid.
            with suppress(ProcessLookupError):
                os.kill(child, 9)
        return int(self._line())

    def _line(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline().strip()
