"""GPEN: features in the place of noise."""

from typing import Any

import pytest
import torch
from support.golden import draws, fill_weights, pictures
from torch import Tensor
from torch.nn import functional as F

from vidrestore.models.gpen import GPEN, branches
from vidrestore.models.gpen_generator import GpenStyleConv

SMALL: dict[str, Any] = {"size": 32, "style_dim": 16, "n_mlp": 2, "narrow": 0.0625}


def small() -> GPEN:
    network = GPEN(**SMALL)
    fill_weights(network, "unit")
    return network


@torch.no_grad()
def test_a_crop_gives_an_image_of_its_size_and_no_pyramid() -> None:
    restored = small()(pictures(2, 32))
    assert restored.image.shape == (2, 3, 32, 32)
    assert restored.pyramid == ()
    assert restored.parsing is None


def test_there_are_two_branches_per_scale_and_one_at_four_pixels() -> None:
    features = [torch.zeros(1, 1, side, side) for side in (4, 8, 16)]
    assert [branch.shape[-1] for branch in branches(features)] == [4, 8, 8, 16, 16]


@torch.no_grad()
def test_a_style_block_concatenates_its_branch() -> None:
    block = GpenStyleConv(in_channels=4, out_channels=6, style_dim=8)
    fill_weights(block, "unit")
    feat = torch.randn(2, 4, 5, 5, generator=draws())
    style = torch.randn(2, 8, generator=draws(1))
    branch = torch.randn(2, 6, 5, 5, generator=draws(2))
    weight = block.conv.weight[None] * block.conv.modulation(style)[:, None, :, None, None]
    weight = weight / (4 * 9) ** 0.5
    weight = weight * torch.rsqrt(weight.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8)
    alone = [F.conv2d(feat[index : index + 1], weight[index], padding=1) for index in range(2)]
    injected = block.noise.weight * branch
    out = torch.cat([torch.cat(alone), injected], dim=1)
    out = out + block.activate.bias.view(1, -1, 1, 1)
    expected = F.leaky_relu(out, 0.2) * 2**0.5
    before = branch.clone()
    torch.testing.assert_close(block(feat, style, branch), expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(branch, before)


@torch.no_grad()
def test_every_scale_of_the_encoder_has_an_effect() -> None:
    network = small()
    inputs: list[list[Tensor]] = []

    def watched(_: Any, given: tuple[Any, ...]) -> None:
        inputs.append(list(given[1]))

    network.generator.register_forward_pre_hook(watched)
    network(pictures(1, 32))
    (maps,) = inputs
    assert [map.shape[-1] for map in maps] == [4, 8, 8, 16, 16, 32, 32]
    code = torch.randn(1, 16, generator=draws())
    before = network.generator(code, maps)
    for index, map in enumerate(maps):
        changed = [*maps[:index], map.flip(-1), *maps[index + 1 :]]
        assert float((network.generator(code, changed) - before).abs().max()) > 0, index


def test_the_first_stage_of_the_encoder_keeps_the_size_and_each_other_halves_it() -> None:
    with torch.device("meta"):
        network = GPEN()
    assert network.scales == 8
    feat = torch.zeros(1, 3, 32, 32)
    small_network = small()
    sides: list[int] = []
    with torch.no_grad():
        for index in range(small_network.scales):
            feat = small_network.get_submodule(f"ecd{index}")(feat)
            sides.append(feat.shape[-1])
    assert sides == [32, 16, 8, 4]


def test_crops_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="crops must be 32 x 32 px, got 16 x 16"):
        small()(torch.zeros(1, 3, 16, 16))
