"""The embedded restorer's network."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vidrestore.models.lite import build_lite
from vidrestore.models.texture_basis import texture_basis


def test_an_untrained_network_is_the_identity() -> None:
    image = torch.rand(1, 3, 64, 96) * 2 - 1
    assert torch.equal(build_lite()(image).image, image)


def test_it_sees_the_whole_crop() -> None:
    network = build_lite()
    torch.nn.init.normal_(network.head.weight, std=0.1)
    image = torch.zeros(1, 3, 512, 512, requires_grad=True)
    network(image).image[0, :, 256, 256].sum().backward()
    assert image.grad is not None
    touched = image.grad[0].abs().sum(0) > 0
    for y, x in ((0, 0), (0, 511), (511, 0), (511, 511)):
        assert bool(touched[y, x]), f"the centre does not see ({x}, {y})"


def test_texture_is_as_strong_as_it_is_told_and_the_same_every_time() -> None:
    network = build_lite()
    bias = network.texture.strengths.bias
    assert bias is not None
    torch.nn.init.constant_(bias[:1], 0.1)
    image = torch.zeros(2, 3, 64, 96)
    with torch.no_grad():
        textured = network(image).image
    expected = 0.1 * texture_basis(512)[0, :64, :96]
    torch.testing.assert_close(textured, expected.expand_as(textured))


def test_pictures_larger_than_the_noise_are_covered() -> None:
    network = build_lite()
    assert network.texture.strengths.bias is not None
    torch.nn.init.constant_(network.texture.strengths.bias, 0.1)
    with torch.no_grad():
        textured = network(torch.zeros(1, 3, 64, 1056)).image
    torch.testing.assert_close(textured[..., 512:1024], textured[..., :512])
    assert float(textured[..., 1024:].std()) > 0.05


def test_sides_that_do_not_fold_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 32"):
        build_lite()(torch.zeros(1, 3, 100, 128))


def test_it_costs_12_9_gflop_a_face_and_stays_under_the_ceiling() -> None:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        build_lite()(torch.zeros(1, 3, 512, 512))
    gflop = counter.get_total_flops() / 1e9
    assert gflop == pytest.approx(12.9, abs=0.1)
    assert gflop <= 40.0
