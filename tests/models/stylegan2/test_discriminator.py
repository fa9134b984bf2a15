"""The discriminator and the spread within a batch."""

import pytest
import torch
from support.golden import draws, fill_weights, pictures
from torch import Tensor

from vidrestore.models.stylegan2.discriminator import StyleGAN2Discriminator, minibatch_stddev


def small(**changes: int) -> StyleGAN2Discriminator:
    network = StyleGAN2Discriminator(**{"out_size": 32, **changes}, narrow=0.03125)
    fill_weights(network, "unit")
    return network


def plain_spread(feat: Tensor, group: int) -> list[float]:
    """Sample by sample: the spread over those that are ``N / group`` apart."""
    batch = feat.shape[0]
    apart = batch // group
    result: list[float] = []
    for sample in range(batch):
        members = [index for index in range(batch) if index % apart == sample % apart]
        values = feat[members]
        mean = values.mean(dim=0)
        variance = torch.stack([(value - mean) ** 2 for value in values]).mean(dim=0)
        result.append(float((variance + 1e-8).sqrt().mean()))
    return result


@pytest.mark.parametrize(
    ("batch", "group", "used"), [(4, 4, 4), (8, 4, 4), (6, 2, 2), (3, 4, 3), (1, 4, 1), (6, 3, 3)]
)
def test_the_standard_deviation_equals_that_of_a_plain_loop(
    batch: int, group: int, used: int
) -> None:
    feat = torch.randn(batch, 5, 4, 3, generator=draws())
    result = minibatch_stddev(feat, group=group)
    assert result.shape == (batch, 1, 4, 3)
    expected = torch.tensor(plain_spread(feat, used)).view(-1, 1, 1, 1).expand(-1, 1, 4, 3)
    torch.testing.assert_close(result, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("batch", "group"), [(5, 4), (6, 4), (3, 2)])
def test_batches_that_do_not_split_are_refused(batch: int, group: int) -> None:
    with pytest.raises(
        ValueError, match=f"batch of {batch} cannot be split into groups of {group}"
    ):
        minibatch_stddev(torch.zeros(batch, 1, 4, 4), group=group)
    with pytest.raises(ValueError, match="cannot be split"):
        small(stddev_group=group)(torch.zeros(batch, 3, 32, 32))


def test_there_is_one_score_per_image_that_depends_on_its_group() -> None:
    network = small(stddev_group=2)
    batch = pictures(4, 32)
    with torch.no_grad():
        scores = network(batch)
        changed = network(torch.cat([batch[:3], batch[:1]]))
    assert scores.shape == (4, 1)
    assert len(scores.unique()) == 4
    # Two apart: the second and the fourth are a group, the first and the third are another.
    assert torch.equal(scores[0], changed[0])
    assert not torch.equal(scores[1], changed[1])


def test_gradients_reach_every_parameter_and_the_image() -> None:
    network = small()
    batch = pictures(2, 32).requires_grad_()
    network(batch).square().sum().backward()
    assert batch.grad is not None
    assert float(batch.grad.abs().min(dim=0).values.max()) > 0
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert float(parameter.grad.abs().sum()) > 0, key


def test_the_gradient_penalty_has_second_derivatives() -> None:
    network = small()
    batch = pictures(2, 32).requires_grad_()
    (slope,) = torch.autograd.grad(network(batch).sum(), batch, create_graph=True)
    slope.square().sum().backward()
    weight = network.conv_body[1].get_parameter("conv1.0.weight")
    assert weight.grad is not None
    assert float(weight.grad.abs().sum()) > 0


def test_the_first_layers_can_be_frozen() -> None:
    network = small()
    frozen = network.conv_body[:3]
    frozen.requires_grad_(False)
    batch = pictures(2, 32).requires_grad_()
    network(batch).sum().backward()
    assert batch.grad is not None
    assert float(batch.grad.abs().sum()) > 0
    assert all(parameter.grad is None for parameter in frozen.parameters())
    rest = [parameter for parameter in network.parameters() if parameter.requires_grad]
    assert len(rest) < len(list(network.parameters()))
    assert all(tensor.grad is not None for tensor in rest)


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="32 x 32 px, got 64 x 64"):
        small()(torch.zeros(2, 3, 64, 64))
