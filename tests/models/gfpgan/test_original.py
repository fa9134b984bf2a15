"""GFP-GAN in both variants: the paper's and the released clean one."""

from typing import Any, TypeAlias

import pytest
import torch
from support.golden import draws, fill_weights, pictures
from torch import Tensor

from vidrestore.models.gfpgan.clean import CleanResBlock, GFPGANClean
from vidrestore.models.gfpgan.original import GFPGAN
from vidrestore.models.gfpgan.sft import sft_hook
from vidrestore.models.stylegan2.synthesis import identity_hook, sample_noise

Network: TypeAlias = GFPGAN | GFPGANClean

SMALL: dict[str, Any] = {"out_size": 32, "num_style_feat": 16, "num_mlp": 2, "narrow": 0.0625}


@pytest.fixture(params=["paper", "clean"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def small(kind: str, **changes: Any) -> Network:
    network = (GFPGAN if kind == "paper" else GFPGANClean)(**{**SMALL, **changes})
    fill_weights(network, "unit" if kind == "paper" else "fan_in")
    return network


@torch.no_grad()
def test_the_pyramid_has_an_image_of_every_scale_from_8_pixels_up(kind: str) -> None:
    network = small(kind)
    plain = network(pictures(2, 32))
    assert plain.image.shape == (2, 3, 32, 32)
    assert plain.pyramid == ()
    assert plain.parsing is None
    full = network(pictures(2, 32), with_pyramid=True)
    assert [tuple(tensor.shape) for tensor in full.pyramid] == [
        (2, 3, side, side) for side in (8, 16, 32)
    ]
    assert torch.equal(full.image, plain.image)


def test_the_released_gfpgan_has_seven_scales_and_sixteen_style_codes(kind: str) -> None:
    with torch.device("meta"):
        network = GFPGAN() if kind == "paper" else GFPGANClean()
    assert len(network.conv_body_up) == len(network.condition_scale) == 7
    assert network.stylegan_decoder.num_latent == 16
    channels = 16 if kind == "paper" else 32
    assert network.toRGB[-1].get_parameter("weight").shape == (3, channels, 1, 1)


@torch.no_grad()
def test_the_stored_noise_is_used_unless_noise_is_given(kind: str) -> None:
    network = small(kind)
    crop = pictures(1, 32)
    still = network(crop).image
    stored = network.stylegan_decoder.noises()
    assert torch.equal(network(crop, noise=stored).image, still)
    noise = sample_noise(32, batch=1, generator=draws(3))
    assert not torch.equal(network(crop, noise=noise).image, still)


@torch.no_grad()
@pytest.mark.parametrize("different_w", [True, False])
@pytest.mark.parametrize("input_is_latent", [True, False])
def test_each_style_block_uses_its_own_code(
    kind: str, different_w: bool, input_is_latent: bool
) -> None:
    network = small(kind, different_w=different_w, input_is_latent=input_is_latent)
    inputs: list[Tensor] = []
    decoder = network.stylegan_decoder
    original = decoder.synthesize

    def watched(latents_NLF: Tensor, **rest: Any) -> Tensor:
        inputs.append(latents_NLF)
        return original(latents_NLF, **rest)

    decoder.synthesize = watched  # type: ignore[method-assign]
    network(pictures(2, 32))
    (latents,) = inputs
    assert latents.shape == (2, decoder.num_latent, 16)
    same = all(torch.equal(latents[:, index], latents[:, 0]) for index in range(decoder.num_latent))
    assert same is not different_w
    assert not torch.equal(latents[0], latents[1])


@torch.no_grad()
def test_the_generator_without_conditions_equals_the_plain_prior(kind: str) -> None:
    """With scales of one and shifts of zero the transform does nothing."""
    network = small(kind)
    for scale, shift in zip(network.condition_scale, network.condition_shift, strict=True):
        for condition, value in ((scale, 1.0), (shift, 0.0)):
            condition.get_submodule("2").get_parameter("weight").zero_()
            condition.get_submodule("2").get_parameter("bias").fill_(value)
    latents: list[Tensor] = []
    decoder = network.stylegan_decoder
    original = decoder.synthesize

    def watched(latents_NLF: Tensor, **rest: Any) -> Tensor:
        latents.append(latents_NLF)
        return original(latents_NLF, **rest)

    decoder.synthesize = watched  # type: ignore[method-assign]
    image = network(pictures(1, 32)).image
    expected = original(latents[0], hook=identity_hook)
    assert float((image - expected).abs().max()) <= 1e-5 * float(expected.abs().max())


@pytest.mark.parametrize("grad", [True, False], ids=["with gradients", "without"])
def test_the_half_transform_leaves_the_first_half_of_the_channels_unchanged(grad: bool) -> None:
    feat, gain, shift = (
        torch.randn(2, channels, 4, 4, generator=draws(channels)) for channels in (6, 3, 3)
    )
    shift = shift + 1
    expected = torch.cat([feat[:, :3], feat[:, 3:] * gain + shift], dim=1)
    with torch.set_grad_enabled(grad):
        result = sft_hook([(gain, shift)], split=True)(0, feat.clone())
    assert torch.equal(result[:, :3], feat[:, :3])
    torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("grad", [True, False], ids=["with gradients", "without"])
def test_a_full_transform_changes_every_channel(grad: bool) -> None:
    feat, gain, shift = (torch.randn(2, 6, 4, 4, generator=draws(index)) for index in range(3))
    with torch.set_grad_enabled(grad):
        result = sft_hook([(gain, shift)], split=False)(0, feat.clone())
    torch.testing.assert_close(result, feat * gain + shift)


def test_each_scale_has_its_own_transform() -> None:
    ones = torch.ones(1, 2, 4, 4)
    conditions = [(ones * index, ones * 0) for index in range(3)]
    for index in range(3):
        with torch.enable_grad():
            assert torch.equal(sft_hook(conditions, split=False)(index, ones), ones * index)


@torch.no_grad()
@pytest.mark.parametrize("up", [True, False], ids=["doubled", "halved"])
def test_a_clean_block_resizes_bilinearly_between_its_convolutions(up: bool) -> None:
    block = CleanResBlock(in_channels=4, out_channels=6, up=up)
    feat = torch.randn(2, 4, 8, 8, generator=draws())

    def resized(tensor: Tensor) -> Tensor:
        return torch.nn.functional.interpolate(
            tensor, scale_factor=2.0 if up else 0.5, mode="bilinear", align_corners=False
        )

    def rectified(tensor: Tensor) -> Tensor:
        return torch.where(tensor > 0, tensor, 0.2 * tensor)

    inner = rectified(block.conv2(resized(rectified(block.conv1(feat)))))
    expected = inner + block.skip(resized(feat))
    torch.testing.assert_close(block(feat), expected, atol=1e-5, rtol=1e-5)


def test_crops_of_another_size_or_shape_are_refused(kind: str) -> None:
    network = small(kind)
    with pytest.raises(ValueError, match="crops must be 32 x 32 px, got 64 x 64"):
        network(torch.zeros(1, 3, 64, 64))
    with pytest.raises(ValueError, match=r"crops must be \(N, 3, 32, 32\), got \(1, 1, 32, 32\)"):
        network(torch.zeros(1, 1, 32, 32))
    with pytest.raises(ValueError, match=r"got \(3, 32, 32\)"):
        network(torch.zeros(3, 32, 32))
