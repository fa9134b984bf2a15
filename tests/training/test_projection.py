"""Projection finds the styles of a given face."""

import pytest
import torch
from support.golden import draws

from vidrestore.errors import ConfigError
from vidrestore.models.mobile_stylegan.generator import MobileStyleGAN
from vidrestore.training.projection import ProjectionConfig, project


def test_a_generated_image_is_approximated_without_changing_weights() -> None:
    torch.manual_seed(0)
    network = MobileStyleGAN(out_size=32, num_style_feat=16, num_mlp=1, narrow=0.0625)
    network = network.eval().requires_grad_(False)
    with torch.no_grad():
        target = network(torch.randn(1, 16, generator=draws()))
        target = target / target.abs().max()
        network.to_img.conv.get_parameter("weight").div_(network(torch.zeros(1, 16)).abs().max())
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    styles, losses = project(network, target, ProjectionConfig(steps=60, lr=0.05))
    assert styles.shape == (1, network.num_latent, 16)
    assert losses[-1] < 0.6 * losses[0]
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_faces_of_another_size_are_refused() -> None:
    network = MobileStyleGAN(out_size=32, num_style_feat=16, num_mlp=1, narrow=0.0625)
    with pytest.raises(ConfigError, match="the generator draws 32 px"):
        project(network, torch.zeros(1, 3, 64, 64), ProjectionConfig())
