"""What is frozen stays, what is held comes back, and gradients pass through both."""

import pytest
import torch

from vidrestore.models.stylegan2.discriminator import StyleGAN2Discriminator
from vidrestore.training.losses.freeze import freeze_layers, frozen_layers, frozen_weights


def make_discriminator() -> StyleGAN2Discriminator:
    return StyleGAN2Discriminator(out_size=32, narrow=1 / 32)


def test_the_layers_nearest_to_the_image_are_frozen() -> None:
    network = make_discriminator()
    layers = frozen_layers(network, 3)
    assert layers == tuple(network.conv_body[:3])
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_training_steps_do_not_change_frozen_layers() -> None:
    network = make_discriminator()
    trained_parameters = freeze_layers(network, 2)
    before = {name: tensor.detach().clone() for name, tensor in network.named_parameters()}
    image = torch.rand(2, 3, 32, 32, requires_grad=True)
    network(image).sum().backward()
    with torch.no_grad():
        for parameter in trained_parameters:
            parameter -= 0.1 * parameter.grad
    changed = {
        name for name, tensor in network.named_parameters() if not torch.equal(tensor, before[name])
    }
    assert changed
    assert not any(name.startswith(("conv_body.0.", "conv_body.1.")) for name in changed)
    assert {"conv_body.2.conv1.0.weight", "final_linear.1.weight"} <= changed
    assert image.grad is not None
    assert float(image.grad.abs().sum()) > 0


@pytest.mark.parametrize("count", [-1, 5])
def test_more_layers_than_there_are_cannot_be_frozen(count: int) -> None:
    with pytest.raises(ValueError, match="between 0 and 4"):
        frozen_layers(make_discriminator(), count)


def test_frozen_weights_get_no_gradient_but_the_image_does() -> None:
    network = make_discriminator()
    image = torch.rand(2, 3, 32, 32, requires_grad=True)
    with frozen_weights(network):
        score = network(image).sum()
    score.backward()
    assert image.grad is not None
    assert all(parameter.grad is None for parameter in network.parameters())


def test_after_temporary_freezing_only_frozen_layers_stay_frozen() -> None:
    network = make_discriminator()
    trained_parameters = freeze_layers(network, 2)
    with frozen_weights(network):
        assert not any(parameter.requires_grad for parameter in network.parameters())
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    assert [id(parameter) for parameter in trained] == [
        id(parameter) for parameter in trained_parameters
    ]
