"""Run Python in a new process that finds the package and the helpers of the tests."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_python(
    *words: str | Path, folder: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run ``python words`` to its end, whatever its exit status.

    Args:
        words: As on the command line: ``-c`` and code, or a script, then its arguments.
        folder: Working directory; the present one if None.
    """
    paths = (str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", ""))
    return subprocess.run(
        [sys.executable, *map(str, words)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
