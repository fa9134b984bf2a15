"""The last layers learn, the others stay, and only a gain on other faces counts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from vidrestore.errors import ConfigError, NonFiniteLossError
from vidrestore.models.lite import Lite
from vidrestore.training.degradations.base import PerFrameDegradation
from vidrestore.training.tuning.measured_recipe import FilmQuality, MeasuredRecipe
from vidrestore.training.tuning.tuner import (
    TuneConfig,
    TuneScores,
    at_sharpness,
    tune_last_layers,
)
from vidrestore.types import FloatArray

RECIPE = MeasuredRecipe(quality=FilmQuality(resolution_px=60.0, noise=2.0, is_gray=False))
CONFIG = TuneConfig(steps=12, window_px=64, learning_rate=2e-3, tuned_convolutions=2)
SCORES = TuneScores(psnr_db=25.0, identity_distance=0.2, sharpness=0.8)


class Darker(PerFrameDegradation):
    """A degradation that the last layer alone can undo."""

    def draw(self, rng: np.random.Generator) -> "Darker":
        del rng
        return self

    def degrade_frame(self, image_hwc: FloatArray, index: int) -> FloatArray:
        del index
        return image_hwc - np.float32(0.2)


def small_lite() -> Lite:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Lite(width=8, convolutions=10)


def faces() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    small = torch.rand(2, 3, 24, 24, generator=generator)
    return list(torch.nn.functional.interpolate(small, (96, 96), mode="bicubic").clamp(0, 1))


def losses_of(network: Lite, config: TuneConfig) -> list[float]:
    losses: list[float] = []
    tune_last_layers(
        network,
        faces(),
        Darker(),
        config=config,
        on_step=lambda _, loss: losses.append(loss),
    )
    return losses


def test_the_loss_falls_and_only_the_last_layers_change() -> None:
    network = small_lite()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    config = replace(CONFIG, steps=40, learning_rate=0.03)
    losses = losses_of(network, config)
    assert len(losses) == 40
    assert losses[-1] < 0.5 * losses[0]
    changed = {
        name.rsplit(".", 1)[0]
        for name, tensor in network.state_dict().items()
        if not torch.equal(tensor, before[name])
    }
    assert changed == {"body.8", "body.9", "activations.8", "activations.9", "head"}


def test_the_same_seed_gives_the_same_weights() -> None:
    states: list[dict[str, Tensor]] = []
    for seed in (0, 0, 1):
        network = small_lite()
        tune_last_layers(network, faces(), RECIPE, config=replace(CONFIG, seed=seed))
        states.append(network.state_dict())
    assert torch.equal(states[0]["head.weight"], states[1]["head.weight"])
    assert not torch.equal(states[0]["head.weight"], states[2]["head.weight"])


def film_frames() -> list[Tensor]:
    """Return frames of one face that keep still but for their noise."""
    generator = torch.Generator().manual_seed(2)
    return [
        (faces()[0] + 0.05 * torch.randn(3, 96, 96, generator=generator)).clamp(0, 1)
        for _ in range(4)
    ]


def test_neighboring_frames_of_the_film_are_held_to_move_as_it_does() -> None:
    changes: list[float] = []
    for weight in (0.0, 20.0):
        network, frames = small_lite(), film_frames()
        # Half of the fine detail is kept at first, so that more or less can be learned quickly.
        assert network.head.bias is not None
        network.head.bias.data.zero_()
        config = replace(CONFIG, steps=30, learning_rate=0.1, temporal_weight=weight)
        tune_last_layers(network, faces(), RECIPE, config=config, film=frames)
        with torch.no_grad():
            restored = network(torch.stack(frames) * 2 - 1).image
        changes.append(float((restored[1:] - restored[:-1]).abs().mean()))
    assert changes[1] < 0.8 * changes[0]


def test_a_run_that_diverges_ends_with_an_error() -> None:
    network = small_lite()
    network.head.weight.data.fill_(float("nan"))
    with pytest.raises(NonFiniteLossError, match="step 1 is not finite; lower the learning rate"):
        tune_last_layers(network, faces(), RECIPE, config=CONFIG)


@pytest.mark.parametrize(
    ("after", "is_gain"),
    [
        (SCORES, False),
        (replace(SCORES, psnr_db=25.2), True),
        (replace(SCORES, identity_distance=0.18), True),
        (replace(SCORES, psnr_db=25.2, identity_distance=0.21), False),
        (replace(SCORES, psnr_db=24.9, identity_distance=0.15), False),
        (replace(SCORES, psnr_db=25.05), False),
    ],
)
def test_only_an_improvement_without_a_loss_is_accepted(after: TuneScores, is_gain: bool) -> None:
    assert after.is_gain_over(SCORES) == is_gain


@pytest.mark.parametrize(
    "setting",
    [
        {"steps": 0},
        {"faces_per_step": 0},
        {"window_px": 100},
        {"window_px": 0},
        {"temporal_weight": -1},
    ],
)
def test_settings_out_of_range_are_refused(setting: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        TuneConfig(**setting)  # pyright: ignore[reportArgumentType]


def test_more_layers_than_there_are_are_refused() -> None:
    with pytest.raises(ConfigError, match="tuned_convolutions must be 0 to 10, got 11"):
        tune_last_layers(
            small_lite(),
            faces(),
            RECIPE,
            config=replace(CONFIG, tuned_convolutions=11),
        )


def test_networks_are_compared_when_they_are_equally_sharp() -> None:
    soft = TuneScores(psnr_db=30.0, identity_distance=0.1, sharpness=0.6)
    sharp = TuneScores(psnr_db=28.0, identity_distance=0.2, sharpness=1.0)
    between = at_sharpness([sharp, soft], 0.7)
    assert between.psnr_db == pytest.approx(29.5)
    assert between.identity_distance == pytest.approx(0.125)
    assert between.sharpness == pytest.approx(0.7)
    assert at_sharpness([sharp, soft], 0.5) == soft
    assert at_sharpness([sharp, soft], 1.2) == sharp
