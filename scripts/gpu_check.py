"""Everything to know about a GPU in ten minutes: one line a step, and all results as JSON.

    python scripts/gpu_check.py --json gpu_check.json
    python scripts/gpu_check.py --device cpu --tiny   # the steps that need no GPU, small
    python scripts/gpu_check.py --steps networks copies

Steps run in order, each in a process with a time limit. A step that fails or hangs is reported, and
the next one runs. The exit code is 1 if any step failed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LIMIT_SECONDS = {
    "environment": 60,
    "tests": 180,
    "film": 120,
    "networks": 150,
    "memory": 60,
    "ceilings": 90,
    "stages": 240,
    "batches": 90,
    "safeguard": 60,
    "nvdec": 90,
    "copies": 30,
}
"""Steps in order."""
NEED_GPU = frozenset({"tests", "memory", "nvdec", "copies"})


def run_step(name: str, arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run one step in a process; return its result, or what went wrong, with its seconds."""
    result_path = folder / f"{name}.json"
    command = [sys.executable, __file__, "--run", name, "--json", str(result_path)]
    command += ["--device", arguments.device, *(["--tiny"] if arguments.tiny else [])]
    started = time.perf_counter()
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS[name] * arguments.patience,
            check=False,
        )
    except subprocess.TimeoutExpired:
        result: dict[str, Any] = {"error": f"not done after {LIMIT_SECONDS[name]} s"}
    else:
        if done.returncode == 0:
            result = json.loads(result_path.read_text())
        else:
            lines = (done.stdout + done.stderr).strip().splitlines()
            result = {"error": lines[-1] if lines else f"exit code {done.returncode}"}
    return {"seconds": round(time.perf_counter() - started, 1), **result}


def summary(name: str, result: dict[str, Any]) -> str:
    """Return the line of a step."""
    outcome = "FAILED: " + result["error"] if "error" in result else result.get("line", "done")
    return f"{name:<12}{result['seconds']:>7.1f} s  {outcome}"


def main() -> None:
    """Parse the command line and run the steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu")
    parser.add_argument("--steps", nargs="+", choices=list(LIMIT_SECONDS), default=None)
    parser.add_argument("--tiny", action="store_true", help="least work that runs everything")
    parser.add_argument("--patience", type=float, default=1.0, help="multiplies time limits")
    parser.add_argument("--json", type=Path, default=Path("gpu_check.json"))
    parser.add_argument("--run", choices=list(LIMIT_SECONDS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if arguments.run:
        from gpu_check_steps import STEPS

        result = STEPS[arguments.run](arguments.device, arguments.tiny)
        arguments.json.write_text(json.dumps(result))
        return
    names = arguments.steps or list(LIMIT_SECONDS)
    if arguments.device == "cpu":
        names = [name for name in names if name not in NEED_GPU]
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            results[name] = run_step(name, arguments, Path(folder))
            print(summary(name, results[name]), flush=True)
            arguments.json.write_text(json.dumps(results, indent=1))
    if any("error" in result for result in results.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
