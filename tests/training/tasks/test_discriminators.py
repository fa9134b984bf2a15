"""LossNetworks of a restorer: what they look at, and that all processes do the same."""

from pathlib import Path

import pytest
import torch

from vidrestore.toml_config import from_mapping
from vidrestore.training.data.dataset import FaceSample
from vidrestore.training.engine.optimizer_step import OptimizerStep
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.tasks.discriminators import (
    CropWindow,
    GanBatch,
    TextureDiscriminatorTrainer,
)
from vidrestore.training.tasks.restorer_config import RestorerConfig

CPU = torch.device("cpu")
MOMENT = RunState(step=0, steps=1, seed=0, device=CPU)


@pytest.fixture
def trainer() -> TextureDiscriminatorTrainer:
    config = from_mapping(
        {
            "network": "lite",
            "data": {"root": str(Path()), "sources": [], "recipes": [], "size_px": 64},
            "batch": {"size": 2},
            "generator": {"lr": 1e-3},
            "texture_discriminator": {"lr": 1e-3},
            "texture_px": 32,
            "real_resolution_ratio": 0.9,
            "loss_weights": {
                "log_l1": 1.0,
                "pyramid": 0.0,
                "adversarial": 0.0,
                "component": 0.0,
                "component_style": 0.0,
                "identity": 0.0,
                "texture_adversarial": 0.5,
            },
        },
        RestorerConfig,
        where="test",
    )
    torch.manual_seed(0)
    return TextureDiscriminatorTrainer(config, CPU)


def gan_batch(details: list[float]) -> GanBatch:
    generator = torch.Generator().manual_seed(1)

    def images(side: int) -> torch.Tensor:
        return torch.rand(len(details), 3, side, side, generator=generator)

    sample = FaceSample(
        degraded=images(64),
        target=images(64),
        resolution_ratio=torch.tensor(details),
        boxes_xyxy=torch.zeros(len(details), 3, 4),
        labels=torch.zeros(len(details), 64, 64, dtype=torch.int64),
    )
    restored = images(48).requires_grad_()
    return GanBatch(sample, CropWindow(8, 4, 48), restored, CropWindow(10, 6, 32))


def test_the_discriminator_scores_only_sharp_faces_and_only_inside_its_window(
    trainer: TextureDiscriminatorTrainer,
) -> None:
    faces = gan_batch([1.0, 0.5])
    trainer.generator_terms(faces)["g_texture"].backward()
    gradient = faces.restored.grad
    assert gradient is not None
    assert bool((gradient[0, :, 10:42, 6:38] != 0).all())
    assert float(gradient[1].abs().sum()) == 0.0
    outside = gradient[0].clone()
    outside[:, 10:42, 6:38] = 0
    assert float(outside.abs().sum()) == 0.0


def test_processes_with_and_without_sharp_faces_have_the_same_terms(
    trainer: TextureDiscriminatorTrainer,
) -> None:
    """Terms are averaged over processes one by one, gradients parameter by parameter."""
    sharp, blurred = gan_batch([1.0]), gan_batch([0.5])
    names = trainer.generator_terms(sharp).keys()
    result = trainer.generator_terms(blurred)
    assert result.keys() == names
    result["g_texture"].backward()
    assert float(blurred.restored.grad.abs().sum()) == 0.0  # type: ignore[union-attr]

    optimizer_step = OptimizerStep(device=CPU, dtype=torch.float32)
    logged = trainer.update([blurred.detach()], MOMENT, optimizer_step)
    assert logged == {"d_texture": 0.0}
    part = trainer.train_states["texture"]
    assert all(tensor.grad is not None for _, tensor in part.trained_parameters())
    assert trainer.update([sharp.detach()], MOMENT, optimizer_step).keys() == logged.keys()


def test_full_faces_are_the_original_with_the_restored_window_inside() -> None:
    faces = gan_batch([1.0])
    full_faces = faces.whole()
    assert torch.equal(faces.window.crop(full_faces), faces.restored)
    assert torch.equal(full_faces[..., :8, :], faces.sample.target[..., :8, :])
    full_faces.sum().backward()
    torch.testing.assert_close(faces.restored.grad, torch.ones_like(faces.restored))


def test_windows_are_drawn_everywhere_inside_the_image() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = [CropWindow.draw(generator, side=3, within=4) for _ in range(50)]
    assert {window.y for window in drawn} == {window.x for window in drawn} == {0, 1}
    assert CropWindow.draw(generator, side=4, within=4) == CropWindow(0, 0, 4)
