"""PSFR-GAN is trained with two maps: of the degraded image, and of the sharp one."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from support.runs import psfrgan, write_faces
from torch import Tensor, nn

from vidrestore.errors import ConfigError
from vidrestore.toml_config import from_mapping, read_config
from vidrestore.training.data.face_table import UNKNOWN_LABEL
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.engine.optimizer_step import OptimizerStep
from vidrestore.training.engine.run import RunConfig
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.tasks import psfrgan as task_module
from vidrestore.training.tasks.batches import to_device
from vidrestore.training.tasks.psfrgan import PsfrganConfig, PsfrganTask

CPU = torch.device("cpu")
CONFIGS = Path(__file__).parents[3] / "configs" / "train"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_faces(tmp_path / "data")


def build(root: Path, **changes: Any) -> PsfrganTask:
    torch.manual_seed(0)
    config = from_mapping(psfrgan(root) | changes, PsfrganConfig, where="test")
    return PsfrganTask(config, seed=0, device=CPU)


def inputs_of_one_step(task: PsfrganTask) -> dict[str, list[Tensor]]:
    """Return the maps that generator and discriminator saw, and the batch's labels."""
    seen: dict[str, list[Tensor]] = {"generator": [], "discriminator": [], "labels": []}

    def generator_hook(_: nn.Module, inputs: tuple[Tensor, Tensor]) -> None:
        seen["generator"].append(inputs[1])

    def discriminator_hook(_: nn.Module, inputs: tuple[Tensor]) -> None:
        seen["discriminator"].append(inputs[0][:, 3:])

    task.train_states["generator"].network.register_forward_pre_hook(generator_hook)
    task.train_states["discriminator"].network.register_forward_pre_hook(discriminator_hook)
    batches = next(iter(task.batches(first_step=0, context=DistributedContext())))
    seen["labels"] = [batch.labels for batch in batches]
    state = RunState(step=0, steps=9, seed=0, device=CPU)
    task.step(batches, state, OptimizerStep(device=CPU, dtype=torch.float32))
    return seen


def test_the_discriminator_gets_the_parsing_map_of_the_sharp_image(root: Path) -> None:
    inputs = inputs_of_one_step(build(root))
    (labels,) = inputs["labels"]
    labeled = labels != UNKNOWN_LABEL
    assert bool(labeled.any())
    assert len(inputs["discriminator"]) == 4, "fake and real, of either step"
    for sharp in inputs["discriminator"]:
        assert torch.equal(sharp.argmax(dim=1)[labeled], labels[labeled])
        assert torch.equal(sharp.sum(dim=1), labeled.float())
    (degraded,) = inputs["generator"]
    assert torch.equal(degraded.sum(dim=1), torch.ones_like(labels, dtype=torch.float32))
    assert not torch.equal(degraded, inputs["discriminator"][0])


def test_the_style_loss_uses_the_parsing_map_of_the_sharp_image_and_its_weight(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs: list[tuple[Tensor, dict[str, Any]]] = []

    def spy(restored: Any, target: Any, labels: Tensor, **options: Any) -> Tensor:
        inputs.append((labels, options))
        return restored[0].mean()

    monkeypatch.setattr(task_module, "semantic_style_loss", spy)
    monkeypatch.setattr(
        task_module, "load_feature_network", lambda _, layers: _FakeFeatures(len(layers))
    )
    task = build(root, style_weight=3.0)
    result = inputs_of_one_step(task)["labels"][0]
    ((labels, options),) = inputs
    assert torch.equal(labels, result)
    assert options == {"form": "released"}


class _FakeFeatures(nn.Module):
    def __init__(self, count: int) -> None:
        super().__init__()
        assert count == 3

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return (image,)


def test_a_face_without_labels_is_parsed_from_its_sharp_image(root: Path) -> None:
    for number in range(3):
        mask = np.full((128, 128), UNKNOWN_LABEL, np.uint8)
        cv2.imwrite(str(root / "faces" / f"{number}_mask.png"), mask)
    task = build(root)
    batches = next(iter(task.batches(first_step=0, context=DistributedContext())))
    restorer = task._restorer  # pyright: ignore[reportPrivateUsage]
    expected = restorer.parse_faces(to_device(batches[0], CPU).target)[1]
    for sharp in inputs_of_one_step(task)["discriminator"]:
        assert torch.equal(sharp, expected)


def test_without_parsing_maps_generator_and_discriminator_get_zeros(root: Path) -> None:
    inputs = inputs_of_one_step(build(root, uses_map=False))
    assert not any(bool(tensor.any()) for tensor in inputs["generator"] + inputs["discriminator"])


def test_pixels_are_compared_by_l1_and_l2(root: Path) -> None:
    task = build(root, l1_weight=2.0, l2_weight=3.0)
    batches = next(iter(task.batches(first_step=0, context=DistributedContext())))
    state = RunState(step=0, steps=9, seed=0, device=CPU)
    logged = task.step(batches, state, OptimizerStep(device=CPU, dtype=torch.float32))
    assert {"l1", "l2", "matching", "g_hinge", "d_hinge"} <= logged.keys()
    # Of the same differences, which are below 2: the mean square is above the squared mean.
    assert logged["l2"] / 3 >= (logged["l1"] / 2) ** 2
    with pytest.raises(ConfigError, match="one of l1_weight and l2_weight"):
        build(root, l1_weight=0.0)


def test_the_shipped_config_has_the_released_weights() -> None:
    config = read_config(CONFIGS / "psfrgan_512.toml", RunConfig).psfrgan
    assert config is not None
    assert (config.l1_weight, config.matching_weight, config.adversarial_weight) == (10, 10, 1)
    assert (config.style_form, config.resolved_style_weight()) == ("released", 1000)
    assert config.scale_reduction == "sum"
    assert (config.data.gray_probability, config.data.mirror) == (0.3, False)
    parser = read_config(CONFIGS / "parser_512.toml", RunConfig).parser
    assert parser is not None
    assert (parser.label_weight, parser.pixel_weight, parser.pixel_norm) == (1, 1, "l1")
    assert (parser.adam.lr, parser.adam.beta1, parser.adam.beta2) == (2e-4, 0.9, 0.999)
    assert (parser.batch.size, parser.data.mirror) == (8, False)
