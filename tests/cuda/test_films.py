"""Films restored on a GPU: the same bytes every time, and nearly the same frames as on a CPU."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from vidrestore import RestoreSettings, restore_video
from vidrestore.media.input.source import open_source

pytestmark = pytest.mark.cuda
EXAMPLE = Path(__file__).parents[2] / "examples" / "astronaut.mp4"


def restore_example(folder: Path, name: str, **settings: object) -> Path:
    target = folder / f"{name}.mkv"
    chosen = {"end_seconds": Fraction(4, 5), "codec": "ffv1", **settings}
    report = restore_video(EXAMPLE, target, settings=RestoreSettings(**chosen))  # type: ignore[arg-type]
    assert report.faces > 10
    return target


def luma(path: Path) -> np.ndarray:
    with open_source(path) as source:
        return np.stack([np.asarray(frame.planes[0], dtype=np.float32) for frame in source])


def test_two_gpu_runs_give_the_same_bytes(cuda: torch.device, tmp_path: Path) -> None:
    first, other = (restore_example(tmp_path, name, device="cuda") for name in ("one", "other"))
    assert first.read_bytes() == other.read_bytes()


def test_gpu_and_cpu_restore_a_film_alike(cuda: torch.device, tmp_path: Path) -> None:
    gpu, cpu = (
        luma(restore_example(tmp_path, device, device=device, precision="fp32"))
        for device in ("cuda", "cpu")
    )
    source = luma(EXAMPLE)[: len(cpu)]
    assert float(np.abs(gpu - cpu).mean()) < 0.02 * float(np.abs(cpu - source).mean() + 1)
    assert float(np.square(gpu - cpu).mean()) < 1.0
