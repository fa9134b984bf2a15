"""The temporal loss steadies a restorer, and is measured on windows and on smaller outputs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.runs import data, run, write_clips, write_faces
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.metrics.temporal import warping_error
from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.toml_config import from_mapping
from vidrestore.training.data.clip_pairs import ClipsConfig, FramePair
from vidrestore.training.data.dataset import DatasetConfig
from vidrestore.training.degradations.recipes.table import mix_recipes
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.engine.run import RunConfig
from vidrestore.training.tasks import build
from vidrestore.training.tasks.batches import BatchConfig
from vidrestore.training.tasks.temporal import TemporalTerm, crop_pair
from vidrestore.types import FloatArray

CPU = torch.device("cpu")
SIDE_PX = 32
NAMES = ("adversarial", "component", "component_style", "identity", "perceptual", "style")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_faces(tmp_path_factory.mktemp("data"))
    write_clips(root)
    return root


class Small(nn.Module):
    """Stands in for ``lite``: adds what two convolutions draw."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Conv2d(3, 8, 5, padding=2), nn.Conv2d(8, 3, 5, padding=2)

    def forward(self, image_NCHW: Tensor) -> RestorerOutput:
        feat = F.leaky_relu(self.first(image_NCHW), 0.2)
        return RestorerOutput(image=image_NCHW + self.head(feat))


def trained(root: Path, folder: Path, *, temporal: float) -> nn.Module:
    """Train a small network to remove noise, which it is left to do frame by frame or steadily."""
    weights = dict.fromkeys((*NAMES, "pyramid"), 0.0) | {"l1": 1.0, "temporal": temporal}
    task: dict[str, Any] = {
        "network": "lite",
        "data": data(root, size_px=SIDE_PX),
        "batch": {"size": 2, "num_workers": 0},
        "generator": {"lr": 5e-3, "beta1": 0.9},
        "loss_weights": weights,
        "ema_decay": 0.5,
    }
    if temporal:
        task["clips"] = {"folder": str(root / "clips" / "train"), "pairs": 2, "num_workers": 0}
    raw = {"steps": 40, "precision": "fp32", "validate_every": 999, "restorer": task}
    network = Small()
    state = run(from_mapping(raw, RunConfig, where="test"), folder)
    network.load_state_dict(state["networks"]["generator"]["network"])
    return network


def degraded_clips(root: Path) -> tuple[list[Tensor], list[FloatArray]]:
    """Return a moving picture, degraded in several ways, and the frames without."""
    noise = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(5))
    scene = F.interpolate(noise, size=(64, 64), mode="bicubic").clamp(0, 1)[0]
    clean = [
        scene[:, 4 : 4 + SIDE_PX, x : x + SIDE_PX].permute(1, 2, 0).contiguous().numpy()
        for x in range(6)
    ]
    recipe = mix_recipes(from_mapping(data(root), DatasetConfig, where="test").recipes)
    draws = [recipe.draw(np.random.default_rng(number)) for number in range(4)]
    degraded = [np.stack([pair.degraded for pair in draw.degrade_clip(clean)]) for draw in draws]
    return [torch.from_numpy(frames).permute(0, 3, 1, 2) for frames in degraded], clean


def test_a_network_trained_with_the_loss_flickers_less(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "build_lite", Small)
    degraded, clean = degraded_clips(root)
    errors: list[float] = []
    for temporal in (0.0, 5.0):
        network = trained(root, tmp_path / str(temporal), temporal=temporal)
        with torch.no_grad():
            restored = [network(clip * 2 - 1).image / 2 + 0.5 for clip in degraded]
        clips = [[*clip.permute(0, 2, 3, 1).contiguous().numpy()] for clip in restored]
        errors.append(float(np.mean([warping_error(frames, clean) for frames in clips])))
    assert errors[1] < 0.6 * errors[0]


def term(root: Path, *, subtracts_target: bool = False) -> tuple[TemporalTerm, FramePair]:
    """Return the term, and the first pairs that it reads."""
    clips = ClipsConfig(
        folder=root / "clips" / "train",
        pairs=2,
        subtracts_target=subtracts_target,
        num_workers=0,
    )
    config = from_mapping(data(root, size_px=SIDE_PX), DatasetConfig, where="test")
    batch = BatchConfig(size=4, num_workers=0)
    temporal = TemporalTerm(clips, config, batch, seed=0, device=CPU)
    temporal.start(first_step=0, context=DistributedContext())
    (pair,) = temporal.next_step()
    return temporal, pair


def test_without_the_target_a_perfect_restorer_costs_nothing(root: Path) -> None:
    def perfect(_degraded: Tensor) -> Tensor:
        return torch.cat([pair.target[:, 0], pair.target[:, 1]])

    def brighter(_degraded: Tensor) -> Tensor:
        return torch.cat([pair.target[:, 0], pair.target[:, 1] + 0.1])

    temporal, pair = term(root)
    blurred_by_warping = float(temporal.loss(perfect, pair))
    assert 0 < blurred_by_warping < 0.3 * float(temporal.loss(brighter, pair))
    temporal, pair = term(root, subtracts_target=True)
    assert float(temporal.loss(perfect, pair)) == 0
    trusted = float(pair.weight.mean())
    assert float(temporal.loss(brighter, pair)) == pytest.approx(0.1 * trusted, rel=0.1)


def test_windows_and_smaller_outputs_move_with_the_faces(root: Path) -> None:
    # A slope that moves by two pixels.
    slope = torch.arange(SIDE_PX).float().expand(1, 3, SIDE_PX, SIDE_PX) / 20
    frames = torch.stack([slope, slope + 2 / 20], dim=1)
    flow = torch.tensor([2.0, 0.0]).expand(1, SIDE_PX, SIDE_PX, 2)
    pair = FramePair(frames, frames, flow, torch.ones(1, SIDE_PX, SIDE_PX))
    temporal, _ = term(root)

    def half(degraded: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(degraded, SIDE_PX // 2)

    for size in (lambda degraded: degraded, half):
        assert float(temporal.loss(size, pair)) == pytest.approx(0, abs=1e-6)
        still = float(
            temporal.loss(lambda degraded, size=size: size(degraded[:1]).repeat(2, 1, 1, 1), pair)
        )
        assert still == pytest.approx(2 / 20, rel=0.1)
    window = crop_pair(pair, y=5, x=3, side=16)
    assert window.degraded.shape == (1, 2, 3, 16, 16)
    assert float(temporal.loss(lambda degraded: degraded, window)) == pytest.approx(0, abs=1e-6)
