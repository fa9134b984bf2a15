"""Samples that the prior draws: pairs of image and styles, each a function of its index."""

from pathlib import Path
from typing import Any

import pytest
import torch
from support.runs import data, on_mobile_prior, write_faces
from torch.nn import functional as F

from vidrestore.errors import ConfigError
from vidrestore.models.prior_restorer import PriorRestorer
from vidrestore.toml_config import from_mapping
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.engine.optimizer_step import OptimizerStep
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.tasks.generated_faces import GeneratedFaces
from vidrestore.training.tasks.restorer import RestorerTask
from vidrestore.training.tasks.restorer_config import RestorerConfig

CPU = torch.device("cpu")
NO_TERMS = {
    name: 0.0 for name in ("l1", "perceptual", "style", "identity", "adversarial", "component")
} | {"component_style": 0.0}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_faces(tmp_path / "data")


def config(root: Path, **changes: Any) -> RestorerConfig:
    raw = on_mobile_prior("prior")(root) | {
        "data": data(root, size_px=64),
        "prior_px": 32,
        "generated": {"probability": 0.5, "pool": 2, "repeats": 2},
        "loss_weights": NO_TERMS | {"pyramid": 1.0, "styles": 1.0},
    }
    return from_mapping(raw | changes, RestorerConfig, where="test")


def generated_faces(task: RestorerTask) -> GeneratedFaces:
    batches = task.batches(first_step=0, context=DistributedContext())
    next(batches)
    generated = task._generated  # pyright: ignore[reportPrivateUsage]
    assert generated is not None
    return generated


def test_a_sample_is_the_image_generated_from_its_style(root: Path) -> None:
    task = RestorerTask(config(root), seed=3, device=CPU)
    faces = generated_faces(task)
    index = next(index for index in range(20) if faces.is_generated(index))
    network = task.train_states["generator"].network
    assert isinstance(network, PriorRestorer)
    prior = network.stylegan_decoder
    with torch.no_grad():
        drawn = prior.synthesize(prior.to_w_plus(faces.style(index)[None])).clamp(-1, 1)
    sample = faces[index]
    assert sample.target.shape == (3, 64, 64)
    assert float(sample.resolution_ratio) == 0.5
    enlarged = F.interpolate(drawn, (64, 64), mode="bicubic").clamp(-1, 1)
    assert torch.equal(sample.target, enlarged[0])
    assert not torch.equal(sample.degraded, sample.target)
    assert torch.equal(faces[index].degraded, sample.degraded)


def test_a_pool_of_generated_faces_is_degraded_repeatedly_and_then_replaced(root: Path) -> None:
    faces = generated_faces(RestorerTask(config(root), seed=3, device=CPU))
    styles = [faces.style(index) for index in range(6)]
    assert torch.equal(styles[0], styles[2])
    assert torch.equal(styles[1], styles[3])
    assert not torch.equal(styles[0], styles[1])
    assert not torch.equal(styles[0], styles[4])


def test_an_encoder_alone_learns_styles_without_generating_images(root: Path) -> None:
    changed = {"generated": {"probability": 1.0}, "draw_noise": False}
    task = RestorerTask(config(root, **changed), seed=0, device=CPU)
    steps = OptimizerStep(device=CPU, dtype=torch.float32)
    batches = task.batches(first_step=0, context=DistributedContext())
    logged = [
        task.step(next(batches), RunState(step=step, steps=2, seed=0, device=CPU), steps)
        for step in range(2)
    ]
    assert all(set(terms) == {"pyramid", "styles"} for terms in logged)
    network = task.train_states["generator"].network
    moved = {name for name, each in network.named_parameters() if each.grad is not None}
    assert any(name.startswith("final_linear") for name in moved)
    assert not any(name.startswith(("stylegan_decoder", "conditions")) for name in moved)


def test_a_smaller_output_is_compared_with_a_smaller_target(root: Path) -> None:
    weights = NO_TERMS | {"pyramid": 0.0, "l1": 1.0}
    task = RestorerTask(config(root, loss_weights=weights), seed=0, device=CPU)
    steps = OptimizerStep(device=CPU, dtype=torch.float32)
    batches = task.batches(first_step=0, context=DistributedContext())
    run_state = RunState(step=0, steps=1, seed=0, device=CPU)
    assert set(task.step(next(batches), run_state, steps)) == {"l1"}
    scores, preview = task.validate(run_state)
    assert set(scores) == {"l1", "l1_input"}
    assert preview.images.shape[-1] == 32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "gfpgan-clean"}, 'apply to network "prior" only'),
        ({"generated": None}, "styles needs a table"),
        ({"loss_weights": NO_TERMS | {"styles": 1.0, "adversarial": 0.1}}, "prior_px"),
        ({"generated": {"probability": 0.0}}, "probability"),
        ({"generated": {"pool": 0}}, "pool"),
    ],
)
def test_conflicting_settings_of_generated_faces_are_refused(
    root: Path, changes: dict[str, Any], message: str
) -> None:
    raw = {key: value for key, value in changes.items() if value is not None}
    if changes.get("generated", 0) is None:
        settings = on_mobile_prior("prior")(root) | {"loss_weights": NO_TERMS | {"styles": 1.0}}
        with pytest.raises(ConfigError, match=message):
            from_mapping(settings, RestorerConfig, where="test")
        return
    with pytest.raises(ConfigError, match=message):
        config(root, **raw)
