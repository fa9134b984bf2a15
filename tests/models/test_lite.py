"""The embedded restorer's network."""

import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from vidrestore.models.lite import build_lite


def test_an_untrained_lite_keeps_nearly_all_detail() -> None:
    image = torch.rand(1, 3, 64, 96) * 2 - 1
    with torch.no_grad():
        change = build_lite()(image).image - image
    assert float(change.abs().max()) < 0.04
    assert float(F.avg_pool2d(change, 4).abs().max()) < 1e-6, "tones coarser than a fold stay"


def test_lite_is_the_identity_when_it_keeps_all_detail() -> None:
    network = build_lite()
    assert network.head.bias is not None
    torch.nn.init.constant_(network.head.bias[48:], 200.0)
    image = torch.rand(1, 3, 64, 96) * 2 - 1
    with torch.no_grad():
        assert torch.equal(network(image).image, image)


def test_the_receptive_field_is_the_full_crop() -> None:
    network = build_lite()
    torch.nn.init.normal_(network.head.weight, std=0.1)
    torch.nn.init.normal_(network.context.out.weight, std=0.1)
    image = torch.zeros(1, 3, 512, 512, requires_grad=True)
    network(image).image[0, :, 256, 256].sum().backward()
    assert image.grad is not None
    touched = image.grad[0].abs().sum(0) > 0
    for y, x in ((0, 0), (0, 511), (511, 0), (511, 511)):
        assert bool(touched[y, x]), f"the center does not see ({x}, {y})"


def test_sides_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 32"):
        build_lite()(torch.zeros(1, 3, 100, 128))


def test_the_cost_is_26_2_gflop_per_face_and_below_the_limit() -> None:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        build_lite()(torch.zeros(1, 3, 512, 512))
    gflop = counter.get_total_flops() / 1e9
    assert gflop == pytest.approx(26.2, abs=0.1)
    assert gflop <= 40.0
