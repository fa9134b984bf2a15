"""Writes the results of a run: weights, curves, and a sheet of faces before and after."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidrestore.toml_config import to_mapping
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.on_device.config import DeviceRunConfig
from vidrestore.training.on_device.curves import draw_curves
from vidrestore.training.on_device.data.batches import DegradedFaces
from vidrestore.training.on_device.data.device_faces import DeviceFaces
from vidrestore.training.on_device.lite_weights import write_weights
from vidrestore.training.on_device.networks import build_frozen, device_network
from vidrestore.training.split_files import PART_BYTES, split_file

CURVES, SHEET = "curves.png", "sheet.png"


class RunResults(NamedTuple):
    """Results of a completed run."""

    config: DeviceRunConfig
    ends: Mapping[str, Mapping[str, Tensor]]
    """Averaged weights of ``fidelity``, ``detail``, or both."""
    steps: int
    faces: DeviceFaces


def write_results(results: RunResults, folder: Path) -> list[Path]:
    """Write the results into the run's folder; return their paths.

    Large weights are also written in parts.
    """
    paths: list[Path] = []
    if results.ends:
        network = device_network(results.config)
        weights = write_weights(
            results.ends,
            folder / f"{network.name}.safetensors",
            model=network.name,
            license_name=network.license,
            default_detail=results.config.default_detail,
            steps=results.steps,
            config=to_mapping(results.config),
        )
        paths.append(weights)
        if weights.stat().st_size > PART_BYTES:
            paths.append(split_file(weights))
        cv2.imwrite(str(folder / SHEET), _sheet(results)[:, :, ::-1])
        paths.append(folder / SHEET)
    if draw_curves(folder / "log.jsonl", folder / CURVES):
        paths.append(folder / CURVES)
    return paths


def _sheet(results: RunResults) -> NDArray[np.uint8]:
    """Return an RGB sheet with a row per held-out face: degraded, restored by each end, target."""
    config, network = results.config, device_network(results.config)
    stage = replace(config.stages[-1], codec_ratio=0.0, generated_ratio=0.0)
    faces = results.faces.held_out(side_px=stage.side_px)
    device = faces.image.device
    run_state = RunState(step=0, steps=1, seed=config.seed, device=device)
    batch = DegradedFaces(results.faces, config.data, stage, run_state=run_state).degrade_fixed(
        faces, seed=config.seed
    )
    restored = [
        _restore(build_frozen(network, results.ends[name]).to(device), batch.degraded)
        for name in ("fidelity", "detail")
        if name in results.ends
    ]
    columns = [_to_tiles(images) for images in (batch.degraded, *restored, batch.target)]
    rows = [np.concatenate(tiles, axis=1) for tiles in zip(*columns, strict=True)]
    return np.concatenate(rows)


@torch.inference_mode()
def _restore(network: nn.Module, degraded_NCHW: Tensor) -> Tensor:
    # One at a time: the sheet must not need more memory than training.
    return torch.cat([network(image[None]).image for image in degraded_NCHW])


def _to_tiles(image_NCHW: Tensor) -> list[NDArray[np.uint8]]:
    levels = ((image_NCHW.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1)
    return list(np.ascontiguousarray(levels.cpu().numpy()))
