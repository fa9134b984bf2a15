"""Losses of the stages, and updates that ask the device for nothing."""

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
    masked_hinge_loss,
    phase_loss,
    sharpen,
    tone_loss,
    unit_feature_loss,
)
from vidrestore.training.on_device.optimizer_step import DeviceOptimizerStep
from vidrestore.training.on_device.stage_trainer import StageTrainer, load_loss_networks

CPU = torch.device("cpu")
FIRST = RunState(step=0, steps=40, seed=0, device=CPU)


def smooth(seed: int, *, count: int = 1, side: int = 64) -> Tensor:
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 1) * 2 - 1


def test_eyes_and_mouth_count_and_the_corners_do_not() -> None:
    boxes = torch.tensor([[[10.0, 20, 20, 30], [40, 20, 50, 30], [20, 44, 44, 60]]])
    places = component_weight_map(boxes, side_px=64)
    assert places.shape == (1, 1, 64, 64)
    for x, y in ((15, 25), (45, 25), (32, 52)):
        assert places[0, 0, y, x] > 0.99
    assert places[0, 0, 0, 0] == places[0, 0, 0, 63] == 0


def test_a_change_of_tone_is_no_change_of_detail() -> None:
    image = smooth(0) + 0.05 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    brighter = image + 0.2
    assert (fine_detail(brighter) - fine_detail(image)).abs().max() < 1e-5
    nowhere = torch.zeros(1, 1, 64, 64)
    assert torch.isclose(tone_loss(brighter, image, nowhere), torch.tensor(0.2), atol=1e-5)
    assert torch.isclose(tone_loss(brighter, image, nowhere + 1), torch.tensor(0.4), atol=1e-5)


def test_only_taught_faces_follow_the_teacher_and_their_number_does_not_count() -> None:
    restored, teacher = smooth(1, count=4), smooth(2, count=4)
    everything = detail_error(restored, teacher, torch.ones(4, dtype=torch.bool))
    assert torch.allclose(everything, fine_detail(restored) - fine_detail(teacher), atol=1e-6)
    half = detail_error(restored, teacher, torch.tensor([True, False, True, False]))
    assert half[1].abs().max() == half[3].abs().max() == 0
    assert torch.allclose(half[::2], 2 * everything[::2], atol=1e-5)
    assert not detail_error(restored, teacher, torch.zeros(4, dtype=torch.bool)).any()


def test_sharpening_adds_detail_and_no_tone() -> None:
    image = 0.1 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    some = torch.tensor([0.5])
    assert torch.equal(sharpen(image, torch.zeros(1)), image)
    found = sharpen(image, some)
    assert fine_detail(found).std() > 1.3 * fine_detail(image).std()
    assert (found.mean() - image.mean()).abs() < 1e-2
    assert torch.allclose(sharpen(torch.ones(1, 3, 64, 64), some), torch.ones(1, 3, 64, 64))
    both = sharpen(image.repeat(2, 1, 1, 1), torch.tensor([0.0, 0.5]))
    assert torch.equal(both, torch.cat([image, found]))


def test_a_grid_with_the_period_of_the_network_costs_and_noise_hardly() -> None:
    target = smooth(0)
    grid = torch.zeros(1, 3, 64, 64)
    grid[..., ::4, ::4] = 0.16
    noise = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    noise *= grid.std() / noise.std()
    assert phase_loss(target, target) == 0
    assert phase_loss(target + grid, target) > 5 * phase_loss(target + noise, target)
    other_period = torch.zeros(1, 3, 64, 64)
    other_period[..., ::5, ::5] = 0.16
    assert phase_loss(target + other_period, target) < phase_loss(target + grid, target) / 3


def test_the_adversarys_features_come_from_the_layers_that_its_score_is_made_of() -> None:
    torch.manual_seed(0)
    judge = TextureDiscriminator(base_ch=4, detail_gain=6.0).eval()
    picture, degraded = smooth(5), smooth(6)
    scores, features = discriminator_features(judge, picture, degraded)
    assert torch.equal(scores, judge(picture, degraded))
    assert [feature.shape[1:] for feature in features] == [
        (4, 32, 32),
        (8, 16, 16),
        (16, 8, 8),
        (16, 8, 8),
    ]


def test_features_are_compared_by_direction() -> None:
    one = [torch.rand(2, 4, 3, 3), torch.rand(2, 8, 2, 2)]
    assert unit_feature_loss([3 * each for each in one], one) < 1e-10
    opposite = unit_feature_loss([-each for each in one], one)
    assert torch.isclose(opposite, torch.tensor(4.0))


def test_blurred_originals_do_not_teach_the_adversary() -> None:
    real, fake = torch.randn(3, 1, 4, 4), torch.randn(3, 1, 4, 4)
    everything = masked_hinge_loss(real, fake, torch.ones(3, dtype=torch.bool))
    assert torch.isclose(everything, hinge_discriminator_loss(real, fake))
    some = masked_hinge_loss(real, fake, torch.tensor([True, False, True]))
    real[1] = 100
    assert torch.isclose(some, masked_hinge_loss(real, fake, torch.tensor([True, False, True])))
    none = masked_hinge_loss(real, fake, torch.zeros(3, dtype=torch.bool))
    assert torch.isclose(none, nn.functional.relu(1 + fake).mean())


def test_two_views_agree_where_their_results_are_one_moved_picture() -> None:
    image = smooth(3, count=2)
    shift = torch.tensor([[0.4, -0.3], [-0.2, 0.1]])
    own, other = shift_batch(image, shift), shift_batch(image, -shift)
    batch = FaceBatch(own, own, torch.ones(2), torch.zeros(2, 3, 4), SecondView(other, shift))
    assert consistency_loss(own, other, batch) < 2e-3
    still = consistency_loss(image, image, batch)
    assert still > 5 * consistency_loss(own, other, batch)
    noisy = other + 0.1 * torch.randn(other.shape, generator=torch.Generator().manual_seed(0))
    assert consistency_loss(own, noisy, batch) > 0.02


def test_windows_stay_in_the_picture_most_often_about_its_middle() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_face_window(rng, side=32, within=64) for _ in range(200)]
    assert all(0 <= each.y <= 32 and 0 <= each.x <= 32 and each.side == 32 for each in drawn)
    assert len(set(drawn)) > 50
    assert abs(np.mean([each.x for each in drawn]) - 16) < 2
    assert np.std([each.x for each in drawn]) < 8
    assert draw_face_window(rng, side=128, within=64) == (0, 0, 64)


def line(value: float) -> tuple[TrainState, Tensor]:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, value)
    return TrainState(
        network=network, optimizer_config=AdamConfig(lr=0.1), fused=True
    ), network.weight


def optimizer_step() -> DeviceOptimizerStep:
    return DeviceOptimizerStep(device=CPU, dtype=torch.float32, max_grad_norm=1.0)


def test_an_update_without_a_finite_gradient_is_left_out_and_counted() -> None:
    part, weight = line(1.0)
    apply = optimizer_step()
    apply.apply(part, {"loss": weight.square().sum()}, FIRST)
    moved = weight.detach().clone()
    assert moved.item() == pytest.approx(0.9)
    apply.apply(part, {"loss": (weight * float("nan")).sum()}, FIRST)
    assert torch.equal(weight, moved)
    assert apply.take_skipped(of=20, step=2) == 1
    assert apply.take_skipped(of=20, step=2) == 0
    apply.apply(part, {"loss": weight.square().sum()}, FIRST)
    assert weight.item() < moved.item()


def test_a_run_that_is_not_finite_any_more_stops() -> None:
    part, weight = line(1.0)
    apply = optimizer_step()
    apply.apply(part, {"loss": (weight * float("inf")).sum()}, FIRST)
    with pytest.raises(NonFiniteLossError, match="step 7: 1 of the last 2 updates"):
        apply.take_skipped(of=2, step=7)


class OneBatch:
    """The same batch in every step."""

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
    bank = DeviceFaces(config.data.faces, held_out=1, num_workers=0, seed=0, device=CPU)
    source = DegradedFaces(bank, config.data, config.stages[0], run_state=FIRST)
    return {"config": config, "bank": bank, "source": source}


def test_the_loss_of_one_batch_goes_down(fixture: dict[str, Any]) -> None:
    config, source = fixture["config"], fixture["source"]
    torch.manual_seed(0)
    trainer = StageTrainer(
        config,
        config.stages[0],
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
    averaged = build_lite_from(trainer.generator.ema.state)
    batch = source.batch(FIRST)
    with torch.no_grad():
        error = (averaged(batch.degraded).image - batch.target).abs().mean()
    assert error < (batch.degraded - batch.target).abs().mean()


def test_batches_are_their_steps_alone(fixture: dict[str, Any]) -> None:
    source = fixture["source"]
    one, other = (source.batch(replace(FIRST, step=step)) for step in (3, 4))
    again = source.batch(replace(FIRST, step=3))
    assert torch.equal(one.degraded, again.degraded)
    assert torch.equal(one.boxes_xyxy, again.boxes_xyxy)
    assert not torch.equal(one.degraded, other.degraded)
    assert one.degraded.shape == one.target.shape == (2, 3, 64, 64)


def test_faces_held_out_are_never_drawn_and_mirrors_know_left_from_right(
    fixture: dict[str, Any],
) -> None:
    bank: DeviceFaces = fixture["bank"]
    faces = bank.draw(200, torch.Generator().manual_seed(0), side_px=128)
    held = bank.held_out(side_px=128).image[0]
    both = torch.stack([held, held.flip(2)])
    assert not any(bool((each == both).flatten(1).all(dim=1).any()) for each in faces.image)
    center = (faces.boxes_xyxy[..., 0] + faces.boxes_xyxy[..., 2]) / 2
    assert bool((center[:, 0] < center[:, 1]).all())
    for image, boxes in zip(faces.image[:8], faces.boxes_xyxy[:8], strict=True):
        for box in boxes[:2]:
            x, y = (int(((box[at] + box[at + 2]) / 2).round()) for at in (0, 1))
            assert image[:, y, x].mean() < 0.3  # the pupil
    assert bank.all_sharp(side_px=128)
    assert len(bank) == 6


class Reads(TorchDispatchMode):
    """Counts operations that give a number of the device to the host."""

    names = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "unique")

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if any(each in name for each in self.names):
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


def test_a_step_reads_nothing_from_the_device(fixture: dict[str, Any]) -> None:
    config, bank = fixture["config"], fixture["bank"]
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
    full = replace(config.stages[0], loss_weights=weights, adversary=AdamConfig(lr=1e-4))
    source = DegradedFaces(bank, config.data, full, run_state=FIRST)
    trainer = StageTrainer(
        replace(config, stages=(full,)),
        full,
        state=read_starting_state("untrained"),
        source=source,
        loss_networks=load_loss_networks(replace(config, stages=(full,)), CPU),
        teacher=None,
        optimizer_step=optimizer_step(),
    )
    trainer.step(FIRST)
    with Reads() as reads:
        logged = trainer.step(replace(FIRST, step=1))
    assert reads.seen == []
    assert len(logged) == 10
    with Reads() as reads:
        float(logged["ssim"])
    assert reads.seen == ["_local_scalar_dense"]
