"""Adaptive augmentation: how p follows the discriminator, and what images go through."""

from pathlib import Path
from typing import Any

import pytest
import torch
from support.runs import run, small_config, stylegan2, write_faces
from torch import Tensor

from vidrestore.errors import ConfigError
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.tasks.adaptive_augmentation import (
    AdaptiveAugmentation,
    AugmentationConfig,
    augment,
)

ALONE = DistributedContext()
IMAGES = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def adapted(scores: float, *, steps: int, start: float = 0.0) -> float:
    config = AugmentationConfig(interval=4, images_to_full=800)
    adaptive = AdaptiveAugmentation(config)
    adaptive.probability = start
    for step in range(steps):
        adaptive.observe(torch.full((8, 1), scores), ALONE)
        adaptive.adapt(step=step, batch=8)
    return adaptive.probability


def test_the_probability_rises_while_real_images_are_recognized_and_falls_otherwise() -> None:
    assert adapted(1.0, steps=3) == 0.0, "not before the interval is over"
    assert adapted(1.0, steps=4) == pytest.approx(0.04)
    assert adapted(1.0, steps=40) == pytest.approx(0.4)
    assert adapted(-1.0, steps=40, start=0.5) == pytest.approx(0.1)
    assert adapted(-1.0, steps=400, start=0.5) == 0.0
    assert adapted(1.0, steps=400, start=0.5) == 1.0


def test_images_are_unchanged_at_p_0_and_augmented_at_the_rate_p() -> None:
    assert augment(IMAGES, 0.0, rng=rng()) is IMAGES
    many = IMAGES[:1].expand(400, -1, -1, -1)
    same = (augment(many, 0.02, rng=rng()) - many).abs().amax(dim=(1, 2, 3)) < 1e-3
    # Of the 17 draws of a change, 13 are never neutral by chance.
    assert 0.6 < float(same.float().mean()) < 0.85
    assert float((augment(IMAGES, 1.0, rng=rng()) - IMAGES).abs().mean()) > 0.1


def test_processes_use_different_rows_of_the_same_draws() -> None:
    full = augment(IMAGES, 0.8, rng=rng(3))
    parts = [
        augment(half, 0.8, rng=rng(3), context=DistributedContext(rank=rank, size=2))
        for rank, half in enumerate(IMAGES.chunk(2))
    ]
    torch.testing.assert_close(torch.cat(parts), full)


def test_gradients_reach_the_images() -> None:
    image = IMAGES.clone().requires_grad_()
    augment(image, 0.9, rng=rng(1)).square().sum().backward()
    assert image.grad is not None
    assert bool((image.grad.abs().amax(dim=(1, 2, 3)) > 0).all())


def test_a_gray_image_changes_its_mean_color_by_brightness_and_contrast_only() -> None:
    """Hue and saturation leave gray alone: all channels stay equal."""
    gray = torch.full((50, 3, 8, 8), 0.3)
    changed: Tensor = augment(gray, 1.0, rng=rng(2))
    torch.testing.assert_close(changed[:, 0], changed[:, 2], atol=1e-5, rtol=0)


def test_a_run_adapts_the_probability_and_resumes(tmp_path: Path) -> None:
    root = write_faces(tmp_path / "data")
    settings: dict[str, Any] = stylegan2(root) | {
        "augmentation": {"initial": 0.5, "interval": 1, "images_to_full": 40}
    }
    whole = run(small_config("stylegan2", root, stylegan2=settings), tmp_path / "whole")
    run(small_config("stylegan2", root, stylegan2=settings, steps=2), tmp_path / "cut")
    resumed = run(small_config("stylegan2", root, stylegan2=settings), tmp_path / "cut")
    assert whole["task"]["augmentation"] == resumed["task"]["augmentation"]
    assert 0 < whole["task"]["augmentation"]["probability"] != 0.5
    for key, value in whole["networks"]["generator"]["network"].items():
        assert torch.equal(value, resumed["networks"]["generator"]["network"][key]), key


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="target must be in"):
        AugmentationConfig(target=1.0)
