"""The network for pose-varied faces: its block, its codec, and its start from GPEN."""

from typing import Any

import pytest
import torch
from support.golden import draws, fill_weights, pictures, snapshot_state
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.gpen import GPEN
from vidrestore.models.mmrb import (
    MMRB,
    MixedMultiPathBlock,
    discriminator_state_from_gpen,
    start_from_gpen,
)
from vidrestore.models.stylegan2.discriminator import StyleGAN2Discriminator
from vidrestore.models.stylegan2.fir import fir_kernel
from vidrestore.models.stylegan2.synthesis import Noise

SMALL: dict[str, Any] = {"size": 32, "style_dim": 16, "n_mlp": 2, "narrow": 0.0625}


def small() -> MMRB:
    network = MMRB(**SMALL)
    fill_weights(network, "unit")
    fill_weights(network.mmrb, "fan_in")
    return network


@torch.no_grad()
def test_an_mmrb_block_equals_equations_4_to_10_of_its_paper() -> None:
    block = MixedMultiPathBlock(channels=8)
    fill_weights(block, "fan_in")
    state = block.state_dict()

    def filtered(name: str, feat: Tensor, kernel: int) -> Tensor:
        weight, bias = state[f"{name}.0.weight"], state[f"{name}.0.bias"]
        assert weight.shape[2:] == (kernel, kernel)
        out = F.conv2d(feat, weight, bias, padding=kernel // 2)
        slope = state[f"{name}.1.weight"].view(1, -1, 1, 1)
        return torch.where(out > 0, out, slope * out)

    features = torch.randn(2, 8, 6, 7, generator=draws())
    x1, x2 = features[:, :4], features[:, 4:]  # (4)
    p1 = filtered("near1", x1, 3)  # (5)
    p2 = filtered("far1", x2, 5)  # (6)
    p1_mixed = filtered("near2", torch.cat([p1, p2], dim=1), 3)  # (7)
    p2_mixed = filtered("far2", torch.cat([p1, p2], dim=1), 5)  # (8)
    p = filtered("fuse", torch.cat([p1_mixed, p2_mixed], dim=1), 1)  # (9)
    before = features.clone()
    torch.testing.assert_close(block(features), features + p, atol=1e-5, rtol=1e-5)  # (10)
    assert float(p.abs().max()) > 0.1
    assert torch.equal(features, before)


@torch.no_grad()
def test_an_untrained_block_is_the_identity() -> None:
    feat = torch.randn(2, 8, 6, 6, generator=draws())
    assert torch.equal(MixedMultiPathBlock(channels=8)(feat), feat)


def test_an_untrained_block_gets_gradients() -> None:
    block = MixedMultiPathBlock(channels=8)
    optimizer = torch.optim.SGD(block.parameters(), lr=0.1)
    feat = torch.randn(1, 8, 6, 6, generator=draws())
    for _ in range(2):
        optimizer.zero_grad()
        (block(feat) - 2 * feat).square().mean().backward()
        optimizer.step()
    for key, parameter in block.named_parameters():
        assert parameter.grad is not None, key
        assert float(parameter.grad.abs().sum()) > 0, key


def test_an_odd_number_of_channels_is_refused() -> None:
    with pytest.raises(ValueError, match="split into halves, got 7"):
        MixedMultiPathBlock(channels=7)


def test_the_released_size_has_six_blocks_and_none_at_the_first_and_last_scale() -> None:
    with torch.device("meta"):
        network = MMRB()
        inputs: list[int] = []
        for block in network.mmrb:
            block.register_forward_pre_hook(lambda _, given: inputs.append(given[0].shape[-1]))
        network._encode(torch.zeros(1, 3, 512, 512))
    assert len(network.mmrb) == 6
    assert inputs == [256, 128, 64, 32, 16, 8]
    assert not any(isinstance(module, MixedMultiPathBlock) for module in network.dcd.modules())
    assert sum(isinstance(module, nn.PReLU) for module in network.mmrb.modules()) == 6 * 5


@torch.no_grad()
def test_the_pyramid_has_an_image_of_every_decoder_scale_from_4_pixels_up() -> None:
    network = small()
    plain = network(pictures(2, 32))
    full = network(pictures(2, 32), with_pyramid=True)
    assert plain.pyramid == ()
    assert [tuple(tensor.shape) for tensor in full.pyramid] == [
        (2, 3, side, side) for side in (4, 8, 16, 32)
    ]
    assert torch.equal(full.image, plain.image)


@torch.no_grad()
def test_the_branches_of_the_generator_are_the_features_of_the_decoder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = small()
    given: list[list[Tensor]] = []
    synthesize = network.generator.synthesize

    def recorded(latents_NLF: Tensor, *, noise: Noise) -> Tensor:
        given.append(list(noise))
        return synthesize(latents_NLF, noise=noise)

    monkeypatch.setattr(network.generator, "synthesize", recorded)
    full = network(pictures(1, 32), with_pyramid=True)
    (maps,) = given
    for rgb, feat, picture in zip(network.toRGB, [maps[0], *maps[1::2]], full.pyramid, strict=True):
        assert torch.equal(rgb(feat), picture)


def test_weights_of_a_gpen_are_copied_exactly_and_encode_equally() -> None:
    gpen = fill_weights(GPEN(**SMALL), "unit")
    network = MMRB(**SMALL)
    own = snapshot_state(network)
    start_from_gpen(network, gpen.state_dict())
    now = network.state_dict()
    taken = gpen.state_dict()
    for key, tensor in now.items():
        assert torch.equal(tensor, taken[key] if key in taken else own[key]), key
    assert {key for key in now if key not in taken} == {
        key for key in now if key.startswith(("mmrb.", "dcd.", "toRGB."))
    }
    with torch.no_grad():
        feat = pictures(1, 32)
        code, features = network._encode(feat)
        for index, actual in enumerate(features):
            feat = gpen.get_submodule(f"ecd{index}")(feat)
            assert torch.equal(actual, feat)
        assert torch.equal(code, gpen.get_submodule("final_linear")(feat.flatten(1)))


def changed_state(state: dict[str, Tensor], how: str) -> dict[str, Tensor]:
    if how == "one fewer":
        del state["ecd1.0.1.weight"]
    elif how == "one more":
        state["more.weight"] = torch.zeros(1)
    elif how == "another shape":
        state["ecd0.0.0.weight"] = torch.zeros(7, 3, 1, 1)
    elif how == "one swapped":
        del state["ecd1.0.1.weight"]
        state["toRGB.0.weight"] = MMRB(**SMALL).state_dict()["toRGB.0.weight"]
    elif how == "another size":
        return dict(GPEN(**{**SMALL, "size": 64}).state_dict())
    else:
        return {}
    return state


@pytest.mark.parametrize(
    "how", ["one fewer", "one more", "another shape", "one swapped", "another size", "nothing"]
)
def test_weights_of_another_network_or_size_are_refused_without_changes(how: str) -> None:
    network = MMRB(**SMALL)
    before = snapshot_state(network)
    with pytest.raises(ValueError, match="not a GPEN of this size"):
        start_from_gpen(network, changed_state(dict(GPEN(**SMALL).state_dict()), how))
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())


def test_the_discriminator_of_gpen_is_copied_completely() -> None:
    source = StyleGAN2Discriminator(out_size=32, narrow=0.0625)
    fill_weights(source, "unit")
    state = {
        key.replace("conv_body.", "convs."): tensor for key, tensor in source.state_dict().items()
    }
    for block in range(1, 4):
        for layer in ("conv2", "skip"):
            state[f"convs.{block}.{layer}.0.kernel"] = fir_kernel()
    target = StyleGAN2Discriminator(out_size=32, narrow=0.0625)
    target.load_state_dict(discriminator_state_from_gpen(state), strict=True)
    batch = pictures(2, 32)
    with torch.no_grad():
        assert torch.equal(target(batch), source.eval()(batch))


def test_crops_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="crops must be 32 x 32 px, got 64 x 32"):
        small()(torch.zeros(1, 3, 64, 32))
