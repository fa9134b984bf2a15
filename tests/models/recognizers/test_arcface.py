"""The identity network."""

import copy

import pytest
import torch
from support.golden import fill_weights, pictures
from torch import nn

from vidrestore.models.recognizers.arcface import ArcFaceResNet, IRBlock, SqueezeExcite


@pytest.fixture(scope="module")
def network() -> ArcFaceResNet:
    network = ArcFaceResNet(layers=(1, 1, 1, 1))
    fill_weights(network, "fan_in")
    return network


@torch.no_grad()
def test_different_faces_have_different_512_features(network: ArcFaceResNet) -> None:
    faces = pictures(3, 128, channels=1)
    together = network(faces)
    assert together.shape == (3, 512)
    alone = torch.cat([network(face[None]) for face in faces])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
    assert float((together[0] - together[1]).abs().max()) > 0.01


def test_gradients_reach_the_image_while_the_network_is_frozen(
    network: ArcFaceResNet,
) -> None:
    frozen = copy.deepcopy(network).requires_grad_(False)
    face = pictures(1, 128, channels=1).requires_grad_()
    frozen(face).square().sum().backward()
    assert face.grad is not None
    assert float((face.grad != 0).float().mean()) > 0.9


def test_the_layers_setting_gives_the_number_of_blocks_per_scale() -> None:
    with torch.device("meta"):
        network = ArcFaceResNet(layers=(1, 2, 3, 4), use_se=True)
    layers = (network.layer1, network.layer2, network.layer3, network.layer4)
    assert [len(layer) for layer in layers] == [1, 2, 3, 4]
    blocks = [module for module in network.modules() if isinstance(module, IRBlock)]
    assert all(isinstance(block.se, SqueezeExcite) for block in blocks)
    with pytest.raises(ValueError, match="four numbers of blocks, got 3"):
        ArcFaceResNet(layers=(2, 2, 2))


@torch.no_grad()
@pytest.mark.parametrize(("outputs", "stride"), [(16, 1), (24, 1), (16, 2), (24, 2)])
def test_a_block_is_twice_normalization_and_convolution_with_a_shortcut(
    outputs: int, stride: int
) -> None:
    block = IRBlock(in_channels=16, out_channels=outputs, stride=stride, use_se=True)
    fill_weights(block, "fan_in")
    feat = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    before = feat.clone()

    def prelu(feat: torch.Tensor) -> torch.Tensor:
        return torch.where(feat > 0, feat, block.prelu.weight * feat)

    inner = block.bn2(block.conv2(prelu(block.bn1(block.conv1(block.bn0(feat))))))
    assert isinstance(block.se, SqueezeExcite)
    excited = block.se.fc(inner.mean(dim=(2, 3)))
    shortcut = feat if block.downsample is None else block.downsample(feat)
    expected = prelu(inner * excited[:, :, None, None] + shortcut)
    torch.testing.assert_close(block(feat), expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(feat, before)
    assert isinstance(block.downsample, nn.Sequential) is (outputs != 16 or stride == 2)
