"""The steps of ``gpu_check.py``: each takes a device and returns what it measured, with a line."""

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from benchmark import ROOT, film, transcode
from benchmark_networks import load_or_fill
from gpu_check_device import nvdec, safeguard
from gpu_check_films import batches, stages, whole_film
from torch import Tensor

from vidrestore.devices import describe_device, prepare_device, resolve_device, resolve_precision
from vidrestore.restore.restorer import Restorer
from vidrestore.types import CROP_SIZE_PX

Result = dict[str, Any]
Run = Callable[[Tensor], Any]
_REPEATS = 5


def environment(device_name: str, tiny: bool) -> Result:
    """Return versions, and what the machine is."""
    device = resolve_device(device_name)
    gpu = describe_device(device) or platform.processor() or platform.machine()
    driver = ""
    if device.type == "cuda":
        query = ["nvidia-smi", "--query-gpu=driver_version,memory.total", "--format=csv,noheader"]
        driver = subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "device": gpu,
        "driver": driver,
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "pyav": av.__version__,
        "line": f"{gpu}; {driver or 'no driver'}; {os.cpu_count()} cores",
    }


def tests(device_name: str, tiny: bool) -> Result:
    """Run the tests that need a GPU."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "cuda", "tests", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={**os.environ, "VIDRESTORE_REQUIRE_CUDA": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.strip().splitlines()
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    result: Result = {"failed": failed, "line": lines[-1] if lines else "pytest printed nothing"}
    return result if done.returncode == 0 else {**result, "error": "; ".join(failed[:3]) or "tests"}


def networks(device_name: str, tiny: bool) -> Result:
    """Time lite and GFPGAN in batches: eager, compiled, and as a CUDA graph, with their start-up.

    A film pays for a start-up once it has ``pays_after_faces``.
    """
    device = resolve_device(device_name)
    prepare_device(device)
    dtype = resolve_precision("auto", device)
    results: Result = {}
    start_ups: Result = {}
    pays: Result = {}
    for name in ["lite"] if tiny else ["lite", "gfpgan-1.4"]:
        restorer = load_or_fill(name, device, dtype)
        for batch in (1, 2) if tiny else (1, 2, 4, 8, 16, 32, 64):
            timed = {
                way: _timed(start, restorer, batch)
                for way, start in _ways(restorer, batch, tiny=tiny).items()
            }
            results[f"{name} {batch}"] = {way: rate for way, (_, rate) in timed.items()}
            start_ups[f"{name} {batch}"] = {way: start for way, (start, _) in timed.items()}
            pays[f"{name} {batch}"] = {way: _pays_after(timed, way) for way in timed}
    best = {
        name: max(
            rate
            for key, rates in results.items()
            if key.startswith(name)
            for rate in rates.values()
        )
        for name in {key.split()[0] for key in results}
    }
    line = ", ".join(f"{name} {rate:.0f} faces/s" for name, rate in sorted(best.items()))
    return {
        "faces_per_second": results,
        "start_up_seconds": start_ups,
        "pays_after_faces": pays,
        "precision": str(dtype),
        "line": line,
    }


def _ways(restorer: Restorer, batch: int, *, tiny: bool) -> Mapping[str, Callable[[], Run]]:
    """Return what starts each way to run the network."""
    ways: dict[str, Callable[[], Run]] = {"eager": lambda: restorer.restore_images}
    if restorer.device.type != "cuda" or tiny:
        return ways
    if batch in (1, 16):  # each size is compiled by itself, for half a minute

        def compiled() -> Run:
            network = torch.compile(restorer.network, dynamic=False)
            return lambda crops: network(_network_input(crops))

        ways["compiled"] = compiled
    ways["graph"] = lambda: _graph(restorer, batch)
    return ways


def _pays_after(timed: Mapping[str, tuple[float, float]], way: str) -> float | None:
    """Return after how many faces a way is faster than eager in all; None if it never is."""
    (first, slow), (start_up, fast) = timed["eager"], timed[way]
    gain = 1 / slow - 1 / fast  # seconds a face
    return max(0.0, start_up - first) / gain if gain > 0 else None


def _network_input(crops_NCHW: Tensor) -> Tensor:
    return (crops_NCHW * 2.0 - 1.0).contiguous(memory_format=torch.channels_last)


def _graph(restorer: Restorer, batch: int) -> Run:
    """Return the network recorded once and replayed without Python."""
    side = restorer.spec.crop_size_px
    crops = torch.rand(batch, 3, side, side, device=restorer.device)
    stream = torch.cuda.Stream()
    with torch.inference_mode(), torch.cuda.stream(stream):
        for _ in range(3):
            restorer.network(_network_input(crops))
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.inference_mode(), torch.cuda.graph(graph):
        restorer.network(_network_input(crops))

    def replay(given_NCHW: Tensor) -> None:
        crops.copy_(given_NCHW)
        graph.replay()

    return replay


def _timed(start: Callable[[], Run], restorer: Restorer, batch: int) -> tuple[float, float]:
    """Return the seconds until the first result, and the faces per second after it."""
    side = restorer.spec.crop_size_px
    crops = torch.rand(batch, 3, side, side, device=restorer.device)
    times: list[float] = []
    with torch.inference_mode():
        started = time.perf_counter()
        run = start()
        for _ in range(_REPEATS + 2):
            run(crops)
            _wait(restorer.device)
            times.append(time.perf_counter() - started)
            started = time.perf_counter()
    return times[0], batch / float(np.median(times[2:]))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def memory(device_name: str, tiny: bool) -> Result:
    """Restore a large batch with little of the GPU's memory: it must be split, with equal bytes."""
    device = resolve_device(device_name)
    restorer = load_or_fill("lite", device, torch.float32)
    crops = torch.rand(64, 3, CROP_SIZE_PX, CROP_SIZE_PX, device=device)
    needed = torch.cuda.memory_allocated(device) + 6 * crops.numel() * crops.element_size()
    _, total = torch.cuda.mem_get_info(device)
    torch.cuda.set_per_process_memory_fraction(min(1.0, needed / total), device)
    first = restorer.restore_images(crops).cpu()
    split = restorer.reduced_batch_size
    again = restorer.restore_images(crops).cpu()
    result: Result = {
        "reduced_batch_size": split,
        "equal_bytes": torch.equal(first, again),
        "line": f"64 faces were restored in batches of {split}",
    }
    return result if split and torch.equal(first, again) else {**result, "error": result["line"]}


def ceilings(device_name: str, tiny: bool) -> Result:
    """Return frames a second of decoding, of x264, and of decoding by NVDEC, at 1080p."""
    frames = 12 if tiny else 250
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "film.mp4"
        film(source, hw=(360, 640) if tiny else (1080, 1920), frames=frames, rate=Fraction(25))
        rates = {"decode": frames / _seconds(lambda: _decode(source))}
        rates["x264"] = frames / _seconds(lambda: transcode(source, Path(name) / "out.mp4"))
        if device_name.startswith("cuda"):
            rates["nvdec"] = frames / _seconds(lambda: _decode(source, hardware="cuda"))
    line = ", ".join(f"{key} {value:.0f} frames/s" for key, value in rates.items())
    return {"frames_per_second": rates, "line": line}


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _decode(path: Path, hardware: str | None = None) -> None:
    from av.codec.hwaccel import HWAccel

    accel = None if hardware is None else HWAccel(hardware, allow_software_fallback=False)
    with av.open(str(path), hwaccel=accel) as container:
        container.streams.video[0].thread_type = "AUTO"
        for _ in container.decode(video=0):
            pass


def copies(device_name: str, tiny: bool) -> Result:
    """Return GB/s to and from the device, from pageable and from pinned memory."""
    device = resolve_device(device_name)
    rates: dict[str, float] = {}
    for kind in ("pageable", "pinned"):
        host = torch.empty(1 << 28, dtype=torch.uint8, pin_memory=kind == "pinned")
        on_device = host.to(device)
        for way, target, source in (("up", on_device, host), ("down", host, on_device)):
            target.copy_(source)
            _wait(device)
            started = time.perf_counter()
            target.copy_(source)
            _wait(device)
            rates[f"{kind} {way}"] = host.numel() / (time.perf_counter() - started) / 1e9
    line = ", ".join(f"{key} {value:.1f} GB/s" for key, value in rates.items())
    return {"gigabytes_per_second": rates, "line": line}


STEPS: Mapping[str, Callable[[str, bool], Result]] = {
    "environment": environment,
    "tests": tests,
    "film": whole_film,
    "networks": networks,
    "memory": memory,
    "ceilings": ceilings,
    "stages": stages,
    "batches": batches,
    "safeguard": safeguard,
    "nvdec": nvdec,
    "copies": copies,
}
