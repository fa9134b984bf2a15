"""The steps of ``gpu_check.py`` that restore films."""

import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from benchmark import EXAMPLE, ROOT, film

from vidrestore import RestoreSettings, restore_video
from vidrestore.media.input.source import open_source

Result = dict[str, Any]
_MOST_APART = 0.05
"""Levels of luma by which ``--gpu-stages`` may change a film on average."""


def whole_film(device_name: str, tiny: bool) -> Result:
    """Restore a film on the device and on the CPU; compare luma, and two runs byte for byte."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = RestoreSettings(
            codec="ffv1", end_seconds=Fraction(1, 2) if tiny else Fraction(3), device=device_name
        )
        paths = [folder / f"{name}.mkv" for name in ("one", "two", "cpu")]
        report = restore_video(EXAMPLE, paths[0], settings=settings)
        restore_video(EXAMPLE, paths[1], settings=settings)
        restore_video(EXAMPLE, paths[2], settings=replace(settings, device="cpu"))
        first, second = (_luma(path) for path in paths[::2])
        same = paths[0].read_bytes() == paths[1].read_bytes()
        difference = float(np.abs(first - second).mean())
        line = f"{report.faces} faces; two runs {'equal' if same else 'DIFFER'}; "
        line += f"mean difference to the CPU {difference:.4f} levels"
        result: Result = {"equal_bytes": same, "mean_difference": difference, "line": line}
        return result if same else {**result, "error": "two runs give different bytes"}


def _luma(path: Path) -> np.ndarray:
    with open_source(path) as source:
        return np.stack([np.asarray(frame.planes[0], dtype=np.float32) for frame in source])


def stages(device_name: str, tiny: bool) -> Result:
    """Restore a 1080p film with one face in 1, 4 and 16 processes at once."""
    frames = 8 if tiny else 150
    results: Result = {}
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "film.mp4"
        film(source, hw=(360, 640) if tiny else (1080, 1920), frames=frames, rate=Fraction(25))
        report = restore_video(
            source, Path(name) / "alone.mp4", settings=RestoreSettings(device=device_name)
        )
        results["ms_by_stage"] = {
            stage: 1000 * seconds / frames for stage, seconds in report.timing.items()
        }
        for count in (1,) if tiny else (1, 4, 16):
            started = time.perf_counter()
            runs = [
                subprocess.Popen(
                    [
                        sys.executable,
                        "-m",
                        "vidrestore",
                        str(source),
                        "-o",
                        str(Path(name) / f"{count}_{index}.mp4"),
                        "--device",
                        device_name,
                    ],
                    cwd=ROOT,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                )
                for index in range(count)
            ]
            codes = [run.communicate() and run.returncode for run in runs]
            if any(codes):
                return {**results, "error": f"{count} processes ended with {codes}"}
            rate = count * frames / (time.perf_counter() - started)
            results[f"frames_per_second_{count}"] = rate
    rates = [
        f"{key.rpartition('_')[2]}: {value:.1f}"
        for key, value in results.items()
        if key.startswith("frames")
    ]
    return {**results, "line": "frames/s by processes, start included: " + ", ".join(rates)}


def batches(device_name: str, tiny: bool) -> Result:
    """Restore a 1080p film with and without ``--gpu-stages``; compare frames a second and luma."""
    frames = 8 if tiny else 150
    results: Result = {}
    films: list[np.ndarray] = []
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "film.mp4"
        film(source, hw=(360, 640) if tiny else (1080, 1920), frames=frames, rate=Fraction(25))
        settings = RestoreSettings(device=device_name, codec="ffv1")
        for on in (False, True):
            target, key = Path(name) / f"{on}.mkv", "on" if on else "off"
            started = time.perf_counter()
            report = restore_video(source, target, settings=replace(settings, gpu_stages=on))
            timing = report.timing
            seconds = time.perf_counter() - started - timing.get("load", 0.0)
            results[f"frames_per_second_{key}"] = frames / seconds
            results[f"ms_by_stage_{key}"] = {
                stage: 1000 * seconds / frames for stage, seconds in timing.items()
            }
            results[f"notes_{key}"] = list(report.notes)
            films.append(_luma(target))
    apart = np.abs(films[0] - films[1])
    results |= {"most_apart": float(apart.max()), "mean_apart": float(apart.mean())}
    line = ", ".join(f"{key} {results[f'frames_per_second_{key}']:.1f}" for key in ("off", "on"))
    line = f"frames/s {line}; luma differs by {apart.mean():.5f} levels, at most {apart.max():.0f}"
    result = {**results, "line": line}
    return result if apart.mean() < _MOST_APART else {**result, "error": line}
