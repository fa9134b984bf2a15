"""The check of a GPU runs its steps in order, whatever becomes of one, and leaves a JSON."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.golden import load_script
from support.gpu_decoding import use_fake_gpu
from support.programs import run_python

SCRIPT = Path(__file__).parents[2] / "scripts" / "gpu_check.py"
STEPS_ON_CPU = ("film", "networks", "ceilings", "stages", "batches", "safeguard")


def run_check(
    *words: str, target: Path
) -> tuple[subprocess.CompletedProcess[str], dict[str, dict]]:
    done = run_python(SCRIPT, "--device", "cpu", "--tiny", "--json", target, *words)
    return done, json.loads(target.read_text())


def test_a_step_runs_in_its_own_process_and_writes_a_line_and_json(tmp_path: Path) -> None:
    arguments = ("--steps", "environment", "--patience", "10")
    done, results = run_check(*arguments, target=tmp_path / "check.json")
    assert done.returncode == 0, done.stdout
    assert done.stdout.split()[0] == "environment"
    assert results["environment"]["cores"] == os.cpu_count()
    check: Any = load_script(SCRIPT)
    on_cpu = [name for name in check.LIMIT_SECONDS if name not in check.NEED_GPU]
    assert on_cpu == [
        "environment",
        "film",
        "networks",
        "ceilings",
        "stages",
        "batches",
        "safeguard",
    ]


@pytest.mark.slow
def test_all_steps_that_need_no_gpu_give_results_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPT.parent)
    module: Any = load_script(SCRIPT.with_name("gpu_check_steps.py"))
    results = {name: module.STEPS[name]("cpu", True) for name in STEPS_ON_CPU}
    assert all("error" not in result and result["line"] for result in results.values())
    assert results["film"]["equal_bytes"]
    assert results["film"]["mean_difference"] == 0.0
    assert results["networks"]["faces_per_second"]["lite 2"]["eager"] > 0
    assert results["networks"]["start_up_seconds"]["lite 2"]["eager"] > 0
    assert results["ceilings"]["frames_per_second"]["x264"] > 0
    assert results["stages"]["frames_per_second_1"] > 0
    assert results["batches"]["frames_per_second_on"] > 0
    assert results["batches"]["most_apart"] <= 1
    assert results["safeguard"]["changes_apart"] < 0.0001
    assert results["safeguard"]["edges_apart"] < 0.002


def test_a_way_pays_once_its_gain_outweighs_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPT.parent)
    module: Any = load_script(SCRIPT.with_name("gpu_check_steps.py"))
    timed = {"eager": (1.0, 100.0), "compiled": (31.0, 200.0), "graph": (2.0, 50.0)}
    assert module._pays_after(timed, "compiled") == pytest.approx(6000)
    assert module._pays_after(timed, "graph") is None


@pytest.mark.slow
def test_decoding_on_a_gpu_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPT.parent)
    module: Any = load_script(SCRIPT.with_name("gpu_check_device.py"))
    use_fake_gpu(monkeypatch)
    result = module.nvdec("cuda", True)
    assert "samples equal" in result["line"]
    assert set(result["frames_per_second"]) == {
        f"{codec} {way}" for codec in ("h264", "hevc") for way in ("processor", "gpu")
    }
    monkeypatch.setattr(module, "_same_samples", lambda *_frames: False)
    assert "h264 and hevc DIFFER" in module.nvdec("cuda", True)["error"]


def test_a_step_that_hangs_is_reported_and_the_next_one_runs(tmp_path: Path) -> None:
    arguments = ("--steps", "environment", "ceilings", "--patience", "0.0001")
    done, results = run_check(*arguments, target=tmp_path / "check.json")
    assert done.returncode == 1
    assert list(results) == ["environment", "ceilings"]
    assert all("not done after" in result["error"] for result in results.values())
    assert done.stdout.count("FAILED: not done after") == 2
