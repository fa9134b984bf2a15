"""What a run leaves: weights of both ends, curves, and a sheet of stills before and after."""

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
from vidrestore.training.engine.run_state import Moment
from vidrestore.training.on_device.config import DeviceRunConfig
from vidrestore.training.on_device.curves import draw_curves
from vidrestore.training.on_device.data.bank import FaceBank
from vidrestore.training.on_device.data.batches import DegradedFaces
from vidrestore.training.on_device.networks import network_of, write_ends
from vidrestore.training.split_files import PART_BYTES, split_file

WEIGHTS, CURVES, SHEET = "lite.safetensors", "curves.png", "sheet.png"


class Outcome(NamedTuple):
    """A run that is done."""

    config: DeviceRunConfig
    ends: Mapping[str, Mapping[str, Tensor]]
    """Averaged weights of ``fidelity`` and ``detail``, or of one."""
    steps: int
    bank: FaceBank


def write_outcome(outcome: Outcome, folder: Path) -> list[Path]:
    """Write what a run leaves into its folder; return the paths.

    Weights are written of the ends that stages keep, and in parts, too, where the file is large.
    """
    written: list[Path] = []
    if outcome.ends:
        weights = write_ends(
            outcome.ends,
            folder / WEIGHTS,
            default_detail=outcome.config.default_detail,
            steps=outcome.steps,
            config=to_mapping(outcome.config),
        )
        written.append(weights)
        if weights.stat().st_size > PART_BYTES:
            written.append(split_file(weights))
        cv2.imwrite(str(folder / SHEET), _sheet(outcome)[:, :, ::-1])
        written.append(folder / SHEET)
    if draw_curves(folder / "log.jsonl", folder / CURVES):
        written.append(folder / CURVES)
    return written


def _sheet(outcome: Outcome) -> NDArray[np.uint8]:
    """Return held-out faces as RGB: degraded, by each end, original; a face to a row."""
    config = outcome.config
    stage = replace(config.stages[-1], codec_share=0.0)
    faces = outcome.bank.held_out(side_px=stage.side_px)
    device = faces.image.device
    first = Moment(step=0, steps=1, seed=config.seed, rank=0, device=device)
    shown = DegradedFaces(outcome.bank, config.data, stage, moment=first).fixed(
        faces, seed=config.seed
    )
    restored = [
        _restored(network_of(outcome.ends[name]).to(device), shown.degraded)
        for name in ("fidelity", "detail")
        if name in outcome.ends
    ]
    columns = [_tiles(each) for each in (shown.degraded, *restored, shown.clean)]
    rows = [np.concatenate(tiles, axis=1) for tiles in zip(*columns, strict=True)]
    return np.concatenate(rows)


@torch.inference_mode()
def _restored(network: nn.Module, degraded_NCHW: Tensor) -> Tensor:
    # One by one: a sheet must not need more memory than training did.
    return torch.cat([network(each[None]).image for each in degraded_NCHW])


def _tiles(image_NCHW: Tensor) -> list[NDArray[np.uint8]]:
    levels = ((image_NCHW.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1)
    return list(np.ascontiguousarray(levels.cpu().numpy()))
