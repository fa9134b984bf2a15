"""Measure restorers alone, at several batch sizes, for ``benchmark.py``."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from compare_with_published import fill, smooth_picture
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from vidrestore.devices import resolve_precision
from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.mmrb import MMRB
from vidrestore.models.registry import RESTORERS, RestorerSpec
from vidrestore.pipeline.loading.load_models import load_restorer
from vidrestore.restore.restorer import Restorer
from vidrestore.weights.cache import find

# MMRB has no published weights, but its speed can be measured.
NETWORKS = {**RESTORERS, "mmrb": RestorerSpec(build=MMRB, crop_size_px=512, license="none")}
_CROPS = 4
"""Real crops on which half precision is compared with float32."""


def benchmark_network(
    name: str, *, device: torch.device, batches: Sequence[int], repeats: int, stills: Path
) -> dict[str, Any]:
    """Time one restorer, and compare bf16 with fp32.

    The weights are the published ones if they are on this machine, and otherwise filled by the rule
    in ``tests/golden``; the time does not depend on them.

    Args:
        name: A key of ``NETWORKS``.
        device: Where to run.
        batches: Crops per call.
        repeats: Number of timed calls, after two that are not.
        stills: Folder of faces of 512 pixels, for comparing precisions.
    """
    network = NETWORKS[name].build()
    gflop = gigaflop(network, NETWORKS[name].crop_size_px)
    results: dict[str, Any] = {
        "gflop_per_face": gflop,
        "parameters_millions": sum(parameter.numel() for parameter in network.parameters()) / 1e6,
        "weights": "published" if _has_weights(name) else "filled by rule",
    }
    fast = resolve_precision("auto", device)
    for dtype in dict.fromkeys((torch.float32, fast)):
        restorer = load_or_fill(name, device, dtype)
        limit = peak_tflops(device, dtype)
        part: dict[str, Any] = {"limit_tflop_per_second": limit}
        for batch in batches:
            ms = _ms_per_face(restorer, batch, repeats)
            part[f"batch_{batch}"] = {
                "ms_per_face": ms,
                "faces_per_second": 1000 / ms,
                "tflop_per_second": gflop / ms,
                "share_of_limit": gflop / ms / limit,
            }
        results[str(dtype).removeprefix("torch.")] = part
    results["bf16_psnr_db"] = half_precision_psnr(name, device, stills)
    return results


def _has_weights(name: str) -> bool:
    spec = NETWORKS[name]
    parts = list(spec.download_names.values())
    return spec.packaged_file is not None or bool(parts and all(find(part) for part in parts))


def load_or_fill(name: str, device: torch.device, dtype: torch.dtype) -> Restorer:
    """Return a restorer with its weights, or filled by the golden rule where they are missing."""
    if _has_weights(name):
        return load_restorer(name, device=device, dtype=dtype)
    network = NETWORKS[name].build()
    fill(network.eval(), "fan_in")
    return Restorer(network, NETWORKS[name], device=device, dtype=dtype)


def gigaflop(network: nn.Module, side_px: int) -> float:
    """Return the floating-point operations of one crop, two per multiply-add."""
    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        network.to("meta")(torch.zeros(1, 3, side_px, side_px))
    return counter.get_total_flops() / 1e9


def peak_tflops(device: torch.device, dtype: torch.dtype) -> float:
    """Return the rate of one large dense 3x3 convolution: the upper limit for a network."""
    image = torch.rand(16, 256, 64, 64, device=device, dtype=dtype)
    image = image.contiguous(memory_format=torch.channels_last)
    weight = torch.rand(256, 256, 3, 3, device=device, dtype=dtype)
    weight = weight.contiguous(memory_format=torch.channels_last)
    flop = 2 * 9 * 256 * 256 * image[:, 0].numel()
    times: list[float] = []
    with torch.inference_mode():
        for _ in range(7):
            started = time.perf_counter()
            F.conv2d(image, weight, padding=1)
            _wait(device)
            times.append(time.perf_counter() - started)
    return flop / float(np.median(times[2:])) / 1e12


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _ms_per_face(restorer: Restorer, batch: int, repeats: int) -> float:
    side = restorer.spec.crop_size_px
    crops = torch.rand(batch, 3, side, side, device=restorer.device)
    times: list[float] = []
    for _ in range(repeats + 2):
        started = time.perf_counter()
        restorer.restore_images(crops)
        _wait(restorer.device)
        times.append(time.perf_counter() - started)
    return 1000 * float(np.median(times[2:])) / batch


def half_precision_psnr(name: str, device: torch.device, stills: Path) -> dict[str, float]:
    """Return the PSNR of bf16 against fp32 over the range of the output, in dB."""
    golden = smooth_picture(3, NETWORKS[name].crop_size_px, 0)
    images = {"golden_input": golden}
    crops = [_still(path) for path in sorted(stills.glob("*.webp"))[:_CROPS]]
    if crops:
        images["real_crops"] = torch.stack(crops) * 2 - 1
    outputs = [
        {key: _unclipped(name, device, dtype, image) for key, image in images.items()}
        for dtype in (torch.float32, torch.bfloat16)
    ]
    return {key: _psnr(outputs[0][key], outputs[1][key]) for key in images}


def _unclipped(name: str, device: torch.device, dtype: torch.dtype, image: Tensor) -> Tensor:
    network = load_or_fill(name, device, dtype).network
    with torch.inference_mode():
        scaled = image.to(device).contiguous(memory_format=torch.channels_last)
        outputs: list[RestorerOutput] = [network(image[None]) for image in scaled]
    return torch.cat([output.image.float().cpu() for output in outputs])


def _psnr(reference: Tensor, other: Tensor) -> float:
    error = (reference - other).square().mean(dim=(1, 2, 3))
    span = reference.amax(dim=(1, 2, 3)) - reference.amin(dim=(1, 2, 3))
    return float((10 * torch.log10(span.square() / error)).min())


def _still(path: Path) -> Tensor:
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise SystemExit(f"{path}: not a readable image")
    rgb = np.ascontiguousarray(bgr[:, :, ::-1])
    return torch.from_numpy(rgb).permute(2, 0, 1).float() / 255
