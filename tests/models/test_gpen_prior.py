"""MMRB starts from a prior: GPEN's as it is, a plain StyleGAN2 widened for features."""

from typing import Any

import pytest
import torch
from support.golden import draws, fill_weights

from vidrestore.models.gpen_generator import GpenGenerator
from vidrestore.models.gpen_prior import gpen_state_of_prior
from vidrestore.models.mmrb import MMRB
from vidrestore.models.stylegan2.generator import StyleGAN2Generator
from vidrestore.models.stylegan2.synthesis import noise_sides

SIZES: dict[str, Any] = {"narrow": 0.0625, "channel_multiplier": 2}


def gpen_generator() -> GpenGenerator:
    generator = MMRB(size=32, style_dim=16, n_mlp=2, **SIZES).generator
    assert isinstance(generator, GpenGenerator)
    return generator


def plain_generator(out_size: int = 32) -> StyleGAN2Generator:
    network = StyleGAN2Generator(out_size=out_size, num_style_feat=16, num_mlp=2, **SIZES)
    fill_weights(network, "unit")
    return network


@torch.no_grad()
def test_an_untrained_widened_prior_gives_the_images_of_the_plain_one() -> None:
    prior, wide = plain_generator(), gpen_generator()
    wide.load_state_dict(gpen_state_of_prior(prior.state_dict(), wide), strict=True)
    z = torch.randn(2, 16, generator=draws())
    silent = [torch.zeros(1, 1, side, side) for side in noise_sides(32)]
    expected = prior(z, noise=silent)
    features = [
        torch.randn(2, layer.conv.weight.shape[0], side, side, generator=draws())
        for layer, side in zip((wide.conv1, *wide.convs), noise_sides(32), strict=True)
    ]
    result = wide(z, features)
    assert float((result - expected).abs().max()) < 1e-4 * float(expected.abs().max())


def test_gradients_reach_the_features_of_a_widened_prior() -> None:
    wide = gpen_generator()
    wide.load_state_dict(gpen_state_of_prior(plain_generator().state_dict(), wide))
    features = [
        torch.randn(1, layer.conv.weight.shape[0], side, side, generator=draws())
        for layer, side in zip((wide.conv1, *wide.convs), noise_sides(32), strict=True)
    ]
    wide(torch.randn(1, 16, generator=draws()), features).square().sum().backward()
    last = wide.to_rgbs[-1].get_submodule("conv").get_parameter("weight")
    assert last.grad is not None
    half = last.shape[1] // 2
    assert float(last.grad[:, half:].abs().min()) > 0


def test_the_prior_of_gpen_is_used_unchanged() -> None:
    given = gpen_generator()
    fill_weights(given, "unit")
    state = gpen_state_of_prior(given.state_dict(), gpen_generator())
    assert all(torch.equal(state[key], tensor) for key, tensor in given.state_dict().items())


def test_another_network_or_size_is_refused() -> None:
    with pytest.raises(ValueError, match="not a StyleGAN2 of this size"):
        gpen_state_of_prior(plain_generator(64).state_dict(), gpen_generator())
    with pytest.raises(ValueError, match=r"style\.1\.\w+ is missing"):
        gpen_state_of_prior({"head.weight": torch.zeros(3)}, gpen_generator())
