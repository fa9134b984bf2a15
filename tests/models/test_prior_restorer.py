"""The restorer around MobileStyleGAN: where it starts, what reaches it, and its published cost."""

import pytest
import torch
from support.golden import draws
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from vidrestore.models.mobile_stylegan.generator import MobileStyleGAN
from vidrestore.models.prior_restorer import PriorRestorer

SIDE = 64


def small() -> PriorRestorer:
    torch.manual_seed(0)
    return PriorRestorer(out_size=SIDE, num_style_feat=16, num_mlp=2, narrow=0.0625).eval()


def crops(count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, SIDE, SIDE, generator=draws()) * 2 - 1


@torch.no_grad()
def test_untrained_conditions_leave_the_generated_detail_unchanged() -> None:
    network = small()
    given = crops()
    styles, features = network.encode(given)
    assert [feat.shape[-1] for feat in features] == [8, 16, 32]
    restored = network(given, with_pyramid=True)
    drawn = network.stylegan_decoder.synthesize(styles)
    coarse = F.interpolate(
        restored.pyramid[1] - F.avg_pool2d(drawn, 4), (SIDE, SIDE), mode="bilinear"
    )
    torch.testing.assert_close(restored.image, drawn + coarse)
    assert [picture.shape[-1] for picture in restored.pyramid] == [8, 16, 32]
    assert network(given).pyramid == ()


@torch.no_grad()
def test_every_condition_changes_the_output() -> None:
    network = small()
    before = network(crops()).image
    assert len(network.conditions) == 2  # at 16 and 32 pixels
    for condition in network.conditions:
        bias = condition.get_parameter("out.bias")
        bias += 0.5
        assert not torch.equal(network(crops()).image, before)
        bias -= 0.5


def test_gradients_reach_every_parameter_but_the_mapping_network() -> None:
    network = small()
    restored = network(crops(), with_pyramid=True)
    loss = restored.image.square().mean() + sum(p.square().mean() for p in restored.pyramid)
    loss.backward()
    without = {name for name, tensor in network.named_parameters() if tensor.grad is None}
    assert {name.split(".")[1] for name in without} <= {"style_mlp"}


def test_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="64"):
        small()(torch.zeros(1, 3, 32, 32))


def test_the_prior_restorer_stays_within_its_cost_limit() -> None:
    with torch.device("meta"):
        network = PriorRestorer()
        crop = torch.zeros(1, 3, 512, 512)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(crop)
    assert 25e9 < counter.get_total_flops() < 35e9


@torch.no_grad()
def test_the_generator_may_have_a_smaller_side_than_the_crop() -> None:
    torch.manual_seed(0)
    prior = MobileStyleGAN(out_size=32, num_style_feat=16, num_mlp=2, narrow=0.0625)
    network = PriorRestorer(
        out_size=SIDE, num_style_feat=16, num_mlp=2, narrow=0.0625, prior=prior
    ).eval()
    before = network(crops()).image
    assert before.shape == (2, 3, 32, 32)
    (condition,) = network.conditions  # at 16 pixels: the last level is left as it is
    bias = condition.get_parameter("out.bias")
    bias += 0.5
    assert not torch.equal(network(crops()).image, before)


@torch.no_grad()
def test_without_the_generator_the_output_is_the_finest_of_the_pyramid() -> None:
    network, given = small(), crops()
    restored = network(given, draws=False)
    assert torch.equal(restored.image, restored.pyramid[-1])
    drawn = network(given, with_pyramid=True)
    assert torch.equal(drawn.pyramid[0], restored.pyramid[0])
    assert restored.styles is not None
    assert drawn.styles is not None
    assert torch.equal(drawn.styles, restored.styles)
