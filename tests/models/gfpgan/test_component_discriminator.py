"""The discriminator of facial components."""

import pytest
import torch
from support.golden import fill_weights, pictures
from torch import Tensor

from vidrestore.models.gfpgan.component_discriminator import FacialComponentDiscriminator


@pytest.fixture(scope="module")
def network() -> FacialComponentDiscriminator:
    network = FacialComponentDiscriminator()
    fill_weights(network, "unit")
    return network


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(16, 16), (40, 40), (20, 28), (4, 4), (8, 12)])
def test_component_crops_of_any_side_divisible_by_four_are_scored(
    network: FacialComponentDiscriminator, height: int, width: int
) -> None:
    result = network(torch.zeros(2, 3, height, width))
    assert result.scores.shape == (2, 1, height // 4, width // 4)
    half, quarter = result.features
    assert half.shape == (2, 128, height // 2, width // 2)
    assert quarter.shape == (2, 256, height // 4, width // 4)


def test_scores_are_computed_from_the_deeper_features(
    network: FacialComponentDiscriminator,
) -> None:
    with torch.no_grad():
        result = network(pictures(1, 16))
        assert torch.equal(network.final_conv(result.features[1].clone()), result.scores)
    assert float(result.scores.std()) > 0


def test_gradients_reach_every_parameter_and_the_image(
    network: FacialComponentDiscriminator,
) -> None:
    crop = pictures(1, 16).requires_grad_()
    variables: list[Tensor] = [crop, *network.parameters()]
    slopes = torch.autograd.grad(network(crop).scores.square().mean(), variables)
    assert all(float(slope.abs().sum()) > 0 for slope in slopes)


def test_features_give_gradients_for_the_style_loss(
    network: FacialComponentDiscriminator,
) -> None:
    crop = pictures(1, 16).requires_grad_()
    features = network(crop).features
    for feature in features:
        (slope,) = torch.autograd.grad(feature.square().mean(), crop, retain_graph=True)
        assert float(slope.abs().sum()) > 0
