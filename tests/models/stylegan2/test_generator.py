"""Both generators: noise, codes, and derivatives of derivatives."""

from typing import TypeAlias

import pytest
import torch
from support.golden import draws, fill_weights
from torch import Tensor

from vidrestore.models.stylegan2.clean import CleanGenerator
from vidrestore.models.stylegan2.generator import StyleGAN2Generator
from vidrestore.models.stylegan2.synthesis import noise_sides, sample_noise, scale_count

Generator: TypeAlias = StyleGAN2Generator | CleanGenerator

SIDE, FEATURES = 32, 16


@pytest.fixture(params=["filtered", "clean"])
def generator(request: pytest.FixtureRequest) -> Generator:
    if request.param == "clean":
        network = CleanGenerator(out_size=SIDE, num_style_feat=FEATURES, num_mlp=2, narrow=0.03125)
        fill_weights(network, "fan_in")
    else:
        network = StyleGAN2Generator(
            out_size=SIDE, num_style_feat=FEATURES, num_mlp=2, narrow=0.03125
        )
        fill_weights(network, "unit")
    return network


def codes(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, FEATURES, generator=draws(seed))


def latents(generator: Generator, count: int = 2, seed: int = 0) -> Tensor:
    return generator.style_mlp(codes(count, seed))[:, None].repeat(1, generator.num_latent, 1)


@torch.no_grad()
def test_stored_noise_gives_the_same_image_twice(generator: Generator) -> None:
    given = latents(generator)
    first = generator.synthesize(given)
    assert first.shape == (2, 3, SIDE, SIDE)
    assert float(first.std()) > 0
    assert torch.equal(generator.synthesize(given), first)


@torch.no_grad()
def test_passing_the_stored_noise_explicitly_gives_the_same_image(generator: Generator) -> None:
    given = latents(generator)
    by_hand = generator.synthesize(given, noise=generator.noises())
    assert torch.equal(by_hand, generator.synthesize(given))


@torch.no_grad()
def test_every_noise_map_affects_the_image(generator: Generator) -> None:
    given = latents(generator, 1)
    stored = generator.noises()
    before = generator.synthesize(given)
    for index, each in enumerate(stored):
        other = [*stored[:index], each.flip(-1), *stored[index + 1 :]]
        change = generator.synthesize(given, noise=other) - before
        assert float(change.abs().max()) > 1e-3, f"noise {index} is not used"


@torch.no_grad()
def test_each_sample_of_a_batch_has_its_own_noise(generator: Generator) -> None:
    given = latents(generator, 2)
    noise = sample_noise(SIDE, batch=2, generator=draws(7))
    together = generator.synthesize(given, noise=noise)
    alone = [
        generator.synthesize(
            given[index : index + 1], noise=[noise_map[index : index + 1] for noise_map in noise]
        )
        for index in range(2)
    ]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-4, rtol=1e-5)


def test_noise_is_reproducible_from_its_generator() -> None:
    first = sample_noise(SIDE, batch=2, generator=draws(7))
    assert [tuple(tensor.shape) for tensor in first] == [
        (2, 1, side, side) for side in (4, 8, 8, 16, 16, 32, 32)
    ]
    again = sample_noise(SIDE, batch=2, generator=draws(7))
    other = sample_noise(SIDE, batch=2, generator=draws(8))
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert not any(torch.equal(one, two) for one, two in zip(first, other, strict=True))


def test_there_is_one_noise_map_per_style_block(generator: Generator) -> None:
    sides = [noise.shape[-1] for noise in generator.noises()]
    assert sides == noise_sides(SIDE)
    assert len(sides) == 1 + len(generator.style_convs)
    assert generator.num_latent == len(sides) + 1


@pytest.mark.parametrize("side", [0, 4, 12, 96, 2048])
def test_sides_that_are_not_a_power_of_two_are_refused(side: int) -> None:
    with pytest.raises(ValueError, match=f"power of two from 8 to 1024, got {side}"):
        scale_count(side)
    with pytest.raises(ValueError, match="power of two"):
        StyleGAN2Generator(out_size=side)


@torch.no_grad()
def test_style_mixing_switches_codes_at_the_crossover() -> None:
    generator = StyleGAN2Generator(
        out_size=SIDE, num_style_feat=FEATURES, num_mlp=2, narrow=0.03125
    )
    first, other = codes(2), codes(2, seed=1)
    for crossover in range(generator.num_latent + 1):
        mixed = generator.mix_styles(first, other, crossover=crossover)
        assert mixed.shape == (2, generator.num_latent, FEATURES)
        for index in range(generator.num_latent):
            assert torch.equal(mixed[:, index], first if index < crossover else other)


@torch.no_grad()
def test_a_code_in_z_gives_the_image_of_its_style() -> None:
    network = StyleGAN2Generator(out_size=SIDE, num_style_feat=FEATURES, num_mlp=2, narrow=0.03125)
    fill_weights(network, "unit")
    expected = network.synthesize(network.to_w_plus(network.style_mlp(codes(2))))
    assert torch.equal(network(codes(2)), expected)


@torch.no_grad()
def test_codes_are_normalized_before_the_mapping(generator: Generator) -> None:
    expected = generator.style_mlp(codes(2))
    torch.testing.assert_close(generator.style_mlp(codes(2) * 50), expected, atol=1e-5, rtol=1e-4)


def path_length(generator: Generator, given: Tensor, direction: Tensor) -> Tensor:
    """The length of the change of the image with the codes (StyleGAN2, section 3.2)."""
    picture = generator.synthesize(given)
    (slope,) = torch.autograd.grad((picture * direction).sum(), given, create_graph=True)
    return slope.square().sum(dim=2).mean(dim=1).sqrt().mean()


def test_the_path_length_has_second_derivatives(generator: Generator) -> None:
    direction = torch.randn(2, 3, SIDE, SIDE, generator=draws(3)) / SIDE
    path_length(generator, latents(generator), direction).backward()
    reached = {
        key
        for key, each in generator.named_parameters()
        if each.grad is not None and float(each.grad.abs().sum()) > 0
    }
    # What is only added to a picture, or after the last activation, has no say in its slope.
    missing = {key for key, _ in generator.named_parameters()} - reached
    assert all(key.startswith("to_rgb") and key.endswith(("rgbs", "bias")) for key in missing), (
        missing
    )


def test_gradients_of_the_path_length_equal_finite_differences(generator: Generator) -> None:
    generator = generator.double()
    given = latents_in_double(generator)
    direction = torch.randn(1, 3, SIDE, SIDE, generator=draws(3)).double() / SIDE
    weight = generator.style_convs[1].get_submodule("modulated_conv").get_parameter("weight")
    (slope,) = torch.autograd.grad(path_length(generator, given, direction), weight)
    towards = torch.randn(weight.shape, generator=draws(4)).double()
    step = 1e-8  # so small that hardly any activation changes its sign
    with torch.no_grad():
        weight.add_(towards * step)
    up = path_length(generator, given, direction)
    with torch.no_grad():
        weight.sub_(towards * 2 * step)
    down = path_length(generator, given, direction)
    measured = float((up - down).detach()) / (2 * step)
    assert float((slope * towards).sum()) == pytest.approx(measured, rel=1e-3)


def latents_in_double(generator: Generator) -> Tensor:
    style = generator.style_mlp(codes(1).double()).detach()
    return style[:, None].repeat(1, generator.num_latent, 1).requires_grad_()
