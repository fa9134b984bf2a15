"""Losses of the stages, and updates that do not synchronize."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.devicetraining import (
    FIDELITY,
    RATES,
    run_config,
    stage,
    training_root,
    use_small_restorer,
)
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from vidrestore.errors import NonFiniteLossError
from vidrestore.models.texture_discriminator import TextureDiscriminator
from vidrestore.training.engine.optimizers import AdamConfig
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.engine.train_state import TrainState
from vidrestore.training.losses.adversarial import hinge_discriminator_loss
from vidrestore.training.on_device.config import StageWeights
from vidrestore.training.on_device.data.batches import (
    DegradedFaces,
    FaceBatch,
    SecondView,
    shift_batch,
)
from vidrestore.training.on_device.data.device_faces import DeviceFaces
from vidrestore.training.on_device.lite_weights import build_lite_from, read_starting_state
from vidrestore.training.on_device.losses import (
    component_weight_map,
    consistency_loss,
    detail_error,
    discriminator_features,
    draw_face_window,
    fine_detail,
    load_loss_networks,
    masked_hinge_loss,
    phase_loss,
    sharpen,
    tone_loss,
    unit_feature_loss,
)
from vidrestore.training.on_device.networks import LiteNetwork
from vidrestore.training.on_device.optimizer_step import DeviceOptimizerStep
from vidrestore.training.on_device.stage_trainer import StageTrainer

CPU = torch.device("cpu")
FIRST = RunState(step=0, steps=40, seed=0, device=CPU)


def smooth_image(seed: int, *, count: int = 1, side: int = 64) -> Tensor:
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 1) * 2 - 1


def test_component_weights_are_1_in_eyes_and_mouth_and_0_in_corners() -> None:
    boxes = torch.tensor([[[10.0, 20, 20, 30], [40, 20, 50, 30], [20, 44, 44, 60]]])
    weights = component_weight_map(boxes, side_px=64)
    assert weights.shape == (1, 1, 64, 64)
    for x, y in ((15, 25), (45, 25), (32, 52)):
        assert weights[0, 0, y, x] > 0.99
    assert weights[0, 0, 0, 0] == weights[0, 0, 0, 63] == 0


def test_brightness_changes_tones_and_not_fine_detail() -> None:
    image = smooth_image(0) + 0.05 * torch.randn(
        1, 3, 64, 64, generator=torch.Generator().manual_seed(1)
    )
    brighter = image + 0.2
    assert (fine_detail(brighter) - fine_detail(image)).abs().max() < 1e-5
    no_weight = torch.zeros(1, 1, 64, 64)
    assert torch.isclose(tone_loss(brighter, image, no_weight), torch.tensor(0.2), atol=1e-5)
    assert torch.isclose(tone_loss(brighter, image, no_weight + 1), torch.tensor(0.4), atol=1e-5)


def test_the_detail_error_is_0_without_a_teacher_and_normalized_by_the_rest() -> None:
    restored, teacher = smooth_image(1, count=4), smooth_image(2, count=4)
    full = detail_error(restored, teacher, torch.ones(4, dtype=torch.bool))
    assert torch.allclose(full, fine_detail(restored) - fine_detail(teacher), atol=1e-6)
    half = detail_error(restored, teacher, torch.tensor([True, False, True, False]))
    assert half[1].abs().max() == half[3].abs().max() == 0
    assert torch.allclose(half[::2], 2 * full[::2], atol=1e-5)
    assert not detail_error(restored, teacher, torch.zeros(4, dtype=torch.bool)).any()


def test_sharpening_adds_detail_and_keeps_tones() -> None:
    image = 0.1 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    gain = torch.tensor([0.5])
    assert torch.equal(sharpen(image, torch.zeros(1)), image)
    sharpened = sharpen(image, gain)
    assert fine_detail(sharpened).std() > 1.3 * fine_detail(image).std()
    assert (sharpened.mean() - image.mean()).abs() < 1e-2
    assert torch.allclose(sharpen(torch.ones(1, 3, 64, 64), gain), torch.ones(1, 3, 64, 64))
    both = sharpen(image.repeat(2, 1, 1, 1), torch.tensor([0.0, 0.5]))
    assert torch.equal(both, torch.cat([image, sharpened]))


def test_the_phase_loss_is_high_for_a_grid_with_the_network_period_alone() -> None:
    target = smooth_image(0)
    grid = torch.zeros(1, 3, 64, 64)
    grid[..., ::4, ::4] = 0.16
    noise = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    noise *= grid.std() / noise.std()
    assert phase_loss(target, target) == 0
    assert phase_loss(target + grid, target) > 5 * phase_loss(target + noise, target)
    other_period = torch.zeros(1, 3, 64, 64)
    other_period[..., ::5, ::5] = 0.16
    assert phase_loss(target + other_period, target) < phase_loss(target + grid, target) / 3


def test_discriminator_features_are_those_of_its_score() -> None:
    torch.manual_seed(0)
    discriminator = TextureDiscriminator(base_ch=4, detail_gain=6.0).eval()
    image, degraded = smooth_image(5), smooth_image(6)
    scores, features = discriminator_features(discriminator, image, degraded)
    assert torch.equal(scores, discriminator(image, degraded))
    assert [feature.shape[1:] for feature in features] == [
        (4, 32, 32),
        (8, 16, 16),
        (16, 8, 8),
        (16, 8, 8),
    ]


def test_features_are_compared_by_direction() -> None:
    features = [torch.rand(2, 4, 3, 3), torch.rand(2, 8, 2, 2)]
    assert unit_feature_loss([3 * layer for layer in features], features) < 1e-10
    opposite = unit_feature_loss([-layer for layer in features], features)
    assert torch.isclose(opposite, torch.tensor(4.0))


def test_the_masked_hinge_loss_ignores_blurred_originals() -> None:
    real, fake = torch.randn(3, 1, 4, 4), torch.randn(3, 1, 4, 4)
    full = masked_hinge_loss(real, fake, torch.ones(3, dtype=torch.bool))
    assert torch.isclose(full, hinge_discriminator_loss(real, fake))
    masked = masked_hinge_loss(real, fake, torch.tensor([True, False, True]))
    real[1] = 100
    assert torch.isclose(masked, masked_hinge_loss(real, fake, torch.tensor([True, False, True])))
    none = masked_hinge_loss(real, fake, torch.zeros(3, dtype=torch.bool))
    assert torch.isclose(none, nn.functional.relu(1 + fake).mean())


def test_shifted_views_of_one_image_are_consistent() -> None:
    image = smooth_image(3, count=2)
    shift = torch.tensor([[0.4, -0.3], [-0.2, 0.1]])
    first, second = shift_batch(image, shift), shift_batch(image, -shift)
    batch = FaceBatch(first, first, torch.ones(2), torch.zeros(2, 3, 4), SecondView(second, shift))
    assert consistency_loss(first, second, batch) < 2e-3
    unshifted = consistency_loss(image, image, batch)
    assert unshifted > 5 * consistency_loss(first, second, batch)
    noisy = second + 0.1 * torch.randn(second.shape, generator=torch.Generator().manual_seed(0))
    assert consistency_loss(first, noisy, batch) > 0.02


def test_windows_are_inside_the_image_and_mostly_near_its_middle() -> None:
    rng = np.random.default_rng(0)
    windows = [draw_face_window(rng, side=32, image_side=64) for _ in range(200)]
    assert all(0 <= window.y <= 32 and 0 <= window.x <= 32 for window in windows)
    assert {window.side for window in windows} == {32}
    assert len(set(windows)) > 50
    assert abs(np.mean([window.x for window in windows]) - 16) < 2
    assert np.std([window.x for window in windows]) < 8
    assert draw_face_window(rng, side=128, image_side=64) == (0, 0, 64)


def linear_state(value: float) -> tuple[TrainState, Tensor]:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, value)
    return TrainState(
        network=network, optimizer_config=AdamConfig(lr=0.1), fused=True
    ), network.weight


def optimizer_step() -> DeviceOptimizerStep:
    return DeviceOptimizerStep(device=CPU, dtype=torch.float32, max_grad_norm=1.0)


def test_an_update_with_a_gradient_that_is_not_finite_is_skipped_and_counted() -> None:
    state, weight = linear_state(1.0)
    updater = optimizer_step()
    updater.apply(state, {"loss": weight.square().sum()}, FIRST)
    updated = weight.detach().clone()
    assert updated.item() == pytest.approx(0.9)
    updater.apply(state, {"loss": (weight * float("nan")).sum()}, FIRST)
    assert torch.equal(weight, updated)
    assert updater.take_skipped(updates=20, step=2) == 1
    assert updater.take_skipped(updates=20, step=2) == 0
    updater.apply(state, {"loss": weight.square().sum()}, FIRST)
    assert weight.item() < updated.item()


def test_a_run_stops_if_half_of_the_updates_are_skipped() -> None:
    state, weight = linear_state(1.0)
    updater = optimizer_step()
    updater.apply(state, {"loss": (weight * float("inf")).sum()}, FIRST)
    with pytest.raises(NonFiniteLossError, match="step 7: 1 of the last 2 updates"):
        updater.take_skipped(updates=2, step=7)


class OneBatch:
    """Provides the same batch in every step."""

    all_sharp = True

    def __init__(self, batch: FaceBatch) -> None:
        self._batch = batch

    def batch(self, run_state: RunState) -> FaceBatch:
        del run_state
        return self._batch


@pytest.fixture
def fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    use_small_restorer(monkeypatch)
    optimizer_config = RATES | {"lr": 4e-3}
    config = run_config(
        training_root(tmp_path), [stage("only", generator=optimizer_config, batch=2)]
    )
    faces = DeviceFaces(config.data.faces, held_out=1, num_workers=0, seed=0, device=CPU)
    source = DegradedFaces(faces, config.data, config.stages[0], run_state=FIRST)
    return {"config": config, "faces": faces, "source": source}


def test_the_loss_of_one_batch_goes_down(fixture: dict[str, Any]) -> None:
    config, source = fixture["config"], fixture["source"]
    torch.manual_seed(0)
    trainer = StageTrainer(
        config,
        config.stages[0],
        network=LiteNetwork(),
        state=read_starting_state("untrained"),
        source=OneBatch(source.batch(FIRST)),
        loss_networks=load_loss_networks(config, CPU),
        teacher=None,
        optimizer_step=optimizer_step(),
    )
    losses: list[dict[str, Tensor]] = [
        trainer.step(replace(FIRST, step=step)) for step in range(25)
    ]
    assert losses[0].keys() == FIDELITY.keys()
    for name in ("log_l1", "ssim"):
        assert losses[-1][name] < losses[0][name] - 0.02
    network = build_lite_from(trainer.generator.ema.state)
    batch = source.batch(FIRST)
    with torch.no_grad():
        error = (network(batch.degraded).image - batch.target).abs().mean()
    assert error < (batch.degraded - batch.target).abs().mean()


def test_a_batch_depends_on_its_step_alone(fixture: dict[str, Any]) -> None:
    source = fixture["source"]
    first, other = (source.batch(replace(FIRST, step=step)) for step in (3, 4))
    same = source.batch(replace(FIRST, step=3))
    assert torch.equal(first.degraded, same.degraded)
    assert torch.equal(first.boxes_xyxy, same.boxes_xyxy)
    assert not torch.equal(first.degraded, other.degraded)
    assert first.degraded.shape == first.target.shape == (2, 3, 64, 64)


def test_held_out_faces_are_not_drawn_and_mirrored_boxes_swap_sides(
    fixture: dict[str, Any],
) -> None:
    device_faces: DeviceFaces = fixture["faces"]
    faces = device_faces.draw(200, torch.Generator().manual_seed(0), side_px=128)
    held_out = device_faces.held_out(side_px=128).image[0]
    views = torch.stack([held_out, held_out.flip(2)])
    assert not any(bool((face == views).flatten(1).all(dim=1).any()) for face in faces.image)
    center = (faces.boxes_xyxy[..., 0] + faces.boxes_xyxy[..., 2]) / 2
    assert bool((center[:, 0] < center[:, 1]).all())
    for image, boxes in zip(faces.image[:8], faces.boxes_xyxy[:8], strict=True):
        for box in boxes[:2]:
            x, y = (int(((box[axis] + box[axis + 2]) / 2).round()) for axis in (0, 1))
            assert image[:, y, x].mean() < 0.3  # the pupil
    assert device_faces.all_sharp(side_px=128)
    assert len(device_faces) == 6


class HostReads(TorchDispatchMode):
    """Records operations that read values from the device."""

    names = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "unique")

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if any(part in name for part in self.names):
            self.operations.append(name)
        return func(*args, **(kwargs or {}))


def test_a_step_does_not_synchronize(fixture: dict[str, Any]) -> None:
    config, faces = fixture["config"], fixture["faces"]
    weights = StageWeights(
        log_l1=1.0,
        ssim=1.0,
        identity=0.5,
        tones=1.0,
        truth=1.0,
        components=1.0,
        features=0.1,
        adversary=0.1,
        matching=1.0,
        consistency=0.5,
    )
    stage_config = replace(config.stages[0], loss_weights=weights, adversary=AdamConfig(lr=1e-4))
    source = DegradedFaces(faces, config.data, stage_config, run_state=FIRST)
    trainer = StageTrainer(
        replace(config, stages=(stage_config,)),
        stage_config,
        network=LiteNetwork(),
        state=read_starting_state("untrained"),
        source=source,
        loss_networks=load_loss_networks(replace(config, stages=(stage_config,)), CPU),
        teacher=None,
        optimizer_step=optimizer_step(),
    )
    trainer.step(FIRST)
    with HostReads() as reads:
        logged = trainer.step(replace(FIRST, step=1))
    assert reads.operations == []
    assert len(logged) == 10
    with HostReads() as reads:
        float(logged["ssim"])
    assert reads.operations == ["_local_scalar_dense"]
