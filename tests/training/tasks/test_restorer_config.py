"""What a restorer is trained with unless its config says otherwise, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from support.runs import data, on_mobile_prior, restorer, write_faces
from torch import Tensor

from vidrestore.errors import ConfigError, WeightsError
from vidrestore.models.stylegan2.generator import StyleGAN2Generator
from vidrestore.toml_config import from_mapping, read_config
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.engine.optimizer_step import OptimizerStep
from vidrestore.training.engine.run import RunConfig
from vidrestore.training.engine.run_state import RunState
from vidrestore.training.tasks.restorer import RestorerTask
from vidrestore.training.tasks.restorer_config import RestorerConfig

CPU = torch.device("cpu")
CONFIGS = Path(__file__).parents[3] / "configs" / "train"


def config(root: Path, network: str, **changes: Any) -> RestorerConfig:
    raw = restorer(network)(root) | changes
    if network != "lite":
        raw["loss_weights"] = {
            "perceptual": 0.0,
            "style": 0.0,
            "identity": 0.0,
            "adversarial": 0.0,
            "component": 0.0,
            "component_style": 0.0,
        } | changes.get("loss_weights", {})
    raw = {key: value for key, value in raw.items() if value is not None}
    return from_mapping(raw, RestorerConfig, where="test")


def rates(task: RestorerTask) -> dict[str, float]:
    """Return the factor of the learning rate of every trained parameter of the restorer."""
    state = task.train_states["generator"]
    names = {id(parameter): name for name, parameter in state.network.named_parameters()}
    return {
        names[id(parameter)]: group["lr_scale"]
        for group in state.optimizer.param_groups
        for parameter in group["params"]
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_faces(tmp_path / "data")


def write_prior(root: Path) -> Path:
    network = StyleGAN2Generator(
        out_size=32, num_style_feat=16, num_mlp=2, channel_multiplier=1.0, narrow=0.0625
    )
    torch.save({"params_ema": network.state_dict()}, root / "prior.pth")
    return root / "prior.pth"


def test_the_prior_of_gfpgan_is_frozen_unless_a_learning_rate_is_given(root: Path) -> None:
    given = {"pretrained": {"prior": str(write_prior(root))}}
    fixed = RestorerTask(config(root, "gfpgan", prior_lr_scale=None, **given), seed=0, device=CPU)
    assert {name.split(".")[0] for name in rates(fixed)} == {
        *("conv_body_first", "conv_body_down", "final_conv", "conv_body_up", "toRGB"),
        *("final_linear", "condition_scale", "condition_shift"),
    }
    tuned = RestorerTask(config(root, "gfpgan", prior_lr_scale=0.05, **given), seed=0, device=CPU)
    scales = rates(tuned)
    assert {scales[name] for name in scales if name.startswith("stylegan_decoder.")} == {0.05}
    assert {scales[name] for name in scales if not name.startswith("stylegan_decoder.")} == {1.0}


def test_an_untrained_frozen_prior_is_refused(root: Path) -> None:
    with pytest.raises(ConfigError, match="the prior is frozen, but has no pretrained"):
        config(root, "gfpgan", prior_lr_scale=None)


def test_mmrb_starts_from_the_prior_and_its_parts_have_their_learning_rates(root: Path) -> None:
    """Section 4.2: 2e-3 for codec and branches, 2e-4 for the prior."""
    prior = write_prior(root)
    task = RestorerTask(config(root, "mmrb", pretrained={"prior": str(prior)}), seed=0, device=CPU)
    scales = rates(task)
    branches = {name for name in scales if name.endswith("noise.weight")}
    inside = {name for name in scales if name.startswith("generator.")} - branches
    assert {scales[name] for name in inside} == {0.1}
    assert {scales[name] for name in scales.keys() - inside} == {1.0}
    assert len(branches) == 7
    loaded = task.train_states["generator"].network.state_dict()["generator.style.1.weight"]
    given: dict[str, Tensor] = torch.load(prior, weights_only=True)["params_ema"]
    assert torch.equal(loaded, given["style_mlp.1.weight"])
    larger = config(root, "mmrb", pretrained={"prior": str(prior)}, data=data(root))
    with pytest.raises(WeightsError, match=r"prior\.pth: not a StyleGAN2 of this size"):
        RestorerTask(larger, seed=0, device=CPU)


def test_a_frozen_prior_of_mmrb_still_trains_its_branches(root: Path) -> None:
    """Table 5 of its paper, without fine-tuning."""
    task = RestorerTask(config(root, "mmrb", prior_lr_scale=0.0), seed=0, device=CPU)
    inside = {name for name in rates(task) if name.startswith("generator.")}
    assert len(inside) == 7
    assert all(name.endswith("noise.weight") for name in inside)


def one_step(root: Path, **changes: Any) -> tuple[dict[str, float], RestorerTask]:
    task = RestorerTask(config(root, "gfpgan", **changes), seed=0, device=CPU)
    batches = next(iter(task.batches(first_step=0, context=DistributedContext())))
    state = RunState(step=0, steps=9, seed=0, device=CPU)
    step = OptimizerStep(device=CPU, dtype=torch.float32)
    return task.step(batches, state, step), task


def test_noise_is_drawn_in_training_unless_switched_off(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs: list[Tensor | None] = []
    original = StyleGAN2Generator.synthesize

    def spy(self: StyleGAN2Generator, latents: Tensor, **options: Any) -> Tensor:
        noise = options.get("noise")
        inputs.append(None if noise is None else noise[0])
        return original(self, latents, **options)

    monkeypatch.setattr(StyleGAN2Generator, "synthesize", spy)
    one_step(root)
    first, second = inputs
    assert first is not None
    assert second is not None
    assert first.shape == (2, 1, 4, 4)
    assert not torch.equal(first[0], first[1]), "every sample has its noise"
    assert not torch.equal(first, second), "and every micro-batch"
    inputs.clear()
    one_step(root, draw_noise=False)
    assert inputs == [None, None]


@pytest.mark.parametrize(("modulation", "width"), [("cs-sft", 1), ("sft", 2), ("none", 0)])
def test_the_prior_is_modulated_in_half_or_all_of_its_channels_or_not_at_all(
    root: Path, modulation: str, width: int
) -> None:
    logged, task = one_step(root, modulation=modulation)
    assert logged["l1"] > 0
    state = task.train_states["generator"].network.state_dict()
    last = [tensor.shape[:2] for key, tensor in state.items() if key.startswith("condition_scale")]
    assert bool(last) == bool(width)
    outputs = {shape[0] / shape[1] for shape in last if len(shape) == 2}
    assert outputs == ({1.0} | {float(width)} if width else set())


def test_the_blocks_of_mmrb_can_be_left_out(root: Path) -> None:
    task = RestorerTask(config(root, "mmrb", mmrb_blocks=False), seed=0, device=CPU)
    assert not any(name.startswith("mmrb.") for name in rates(task))
    with pytest.raises(ConfigError, match="mmrb_blocks applies to mmrb only"):
        config(root, "gfpgan", mmrb_blocks=False)


def test_shipped_configs_have_the_released_decays_and_learning_rates() -> None:
    gfpgan = read_config(CONFIGS / "gfpgan_512.toml", RunConfig).restorer
    assert gfpgan is not None
    assert gfpgan.discriminator is not None
    assert gfpgan.components is not None
    decays = [(adam.beta1, adam.beta2) for adam in (gfpgan.generator, gfpgan.components)]
    assert decays == [(0.0, 0.99), (0.9, 0.99)]
    assert gfpgan.discriminator.beta1 == 0.0
    assert gfpgan.discriminator.beta2 == pytest.approx(0.99 ** (16 / 17))
    assert gfpgan.generator.milestones == (600_000, 700_000)
    jitter = gfpgan.data.color_jitter
    assert jitter is not None
    assert (jitter.shift_probability, jitter.shift, jitter.gray_probability) == (0.3, 20.0, 0.01)
    assert not gfpgan.data.vary_exposure
    assert gfpgan.data.gray_probability == 0


def test_shipped_configs_of_mmrb_are_those_of_its_paper() -> None:
    mmrb = read_config(CONFIGS / "mmrb_512.toml", RunConfig).restorer
    assert mmrb is not None
    assert mmrb.discriminator is not None
    assert mmrb.components is not None
    weights = mmrb.loss_weights
    assert (mmrb.pretrained.gpen, mmrb.frozen_layers) == (None, 5)
    assert mmrb.pretrained.prior == mmrb.pretrained.discriminator != None  # noqa: E711
    assert (weights.l1, weights.perceptual, weights.identity) == (8.0, 0.02, 10.0)
    assert (weights.adversarial, weights.component) == (0.5, 3.0)
    assert (weights.perceptual_norm, set(weights.perceptual_layers)) == ("l2", {1.0})
    rate = mmrb.generator.lr
    assert (rate, rate * mmrb.resolved_prior_lr_scale()) == (2e-3, pytest.approx(2e-4))
    assert (mmrb.components.lr, mmrb.discriminator.lr) == (2e-3, 2e-5)
    assert (mmrb.data.gray_probability, mmrb.data.color_jitter) == (0.0, None)


def test_the_package_has_a_prior_for_both_networks() -> None:
    for name in ("gfpgan_mobile_512", "mmrb_mobile_512"):
        mobile = read_config(CONFIGS / f"{name}.toml", RunConfig).restorer
        assert mobile is not None
        assert mobile.prior == "mobile"
        assert (mobile.pretrained.prior, mobile.pretrained.discriminator) == (None, None)


def test_a_mobile_prior_has_learning_rates_of_its_own(root: Path) -> None:
    raw = on_mobile_prior("mmrb")(root) | {"prior_lr_scale": 0.05}
    task = RestorerTask(from_mapping(raw, RestorerConfig, where="test"), seed=0, device=CPU)
    scales = rates(task)
    assert {scales[name] for name in scales if name.endswith("strength")} == {1.0}
    assert scales["generator.input.input"] == 0.05
