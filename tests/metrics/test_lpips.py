"""LPIPS and FID as functions of whatever network there is."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import alexnet, vgg16

from vidrestore.errors import ConfigError, WeightsError
from vidrestore.metrics.fid import (
    FeatureStatistics,
    InceptionEmbedding,
    PublishedPool,
    feature_statistics,
    frechet_distance,
    inception_embedding,
    read_statistics,
    vector_statistics,
)
from vidrestore.metrics.lpips import (
    FeatureDistance,
    Lpips,
    TappedFeatures,
    alexnet_lpips,
    shift_tolerant_lpips,
    vgg16_lpips,
)


def pictures(count: int = 2, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, 24, 24, generator=torch.Generator().manual_seed(seed))


def lpips(*depths: int) -> Lpips:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, depth, 3).requires_grad_(False) for depth in depths]
    weights = [torch.linspace(0.5, 1.0, depth) for depth in depths]
    return Lpips(lambda image: [layer(image) for layer in layers], weights)


def test_the_distance_is_0_for_equal_images_and_grows_with_the_difference() -> None:
    metric, picture = lpips(4, 6), pictures()
    torch.testing.assert_close(metric.distance(picture, picture), torch.zeros(2))
    near, far = (metric.distance(picture, picture + s * pictures(seed=1)) for s in (0.1, 1.0))
    assert (near > 0).all()
    assert (far > near).all()


def test_the_distance_is_the_weighted_square_of_unit_features() -> None:
    # Features (3, 4) and (4, 3) have unit vectors .2 apart in both channels.
    first, second = (
        torch.tensor(values)[None, :, None, None] for values in ([3.0, 4.0], [4.0, 3.0])
    )
    metric = Lpips(lambda image: [image], [torch.tensor([1.0, 10.0])])
    value = metric.distance(first.expand(1, 2, 5, 5), second.expand(1, 2, 5, 5))
    assert float(value) == pytest.approx(11 * 0.2**2)


def test_without_weights_the_distance_is_the_mean_over_layers() -> None:
    first, second = (
        torch.tensor(values)[None, :, None, None] for values in ([3.0, 4.0], [4.0, 3.0])
    )
    metric = FeatureDistance("x", lambda image: [image, torch.ones(1, 2, 3, 3)])
    value = metric.distance(first.expand(1, 2, 5, 5), second.expand(1, 2, 5, 5))
    assert float(value) == pytest.approx(2 * 0.2**2 / 2)
    # However long a feature is, its direction counts.
    assert float(metric.distance(first, 7 * first)) == pytest.approx(0, abs=1e-9)
    opposite = FeatureDistance("x", lambda image: [image])
    assert float(opposite.distance(first, -first)) == pytest.approx(4)


def test_weights_for_other_depths_than_the_network_has_are_refused() -> None:
    metric = Lpips(lambda image: [image, image], [torch.ones(3)])
    with pytest.raises(ValueError, match="shorter"):
        metric.distance(pictures(), pictures())


def test_alexnet_is_tapped_after_its_five_convolutions() -> None:
    taps = TappedFeatures(alexnet(weights=None).features)(torch.rand(1, 3, 64, 64))
    assert [tap.shape[1] for tap in taps] == [64, 192, 384, 256, 256]


def statistics(mean: list[float], spread: list[float]) -> FeatureStatistics:
    return FeatureStatistics(mean=np.array(mean), covariance=np.diag(spread), count=9)


def test_the_frechet_distance_of_gaussians_equals_its_closed_form() -> None:
    # Along one axis: (m1 - m2)^2 + (s1 - s2)^2.
    first, second = statistics([0.0, 1.0], [4.0, 1.0]), statistics([3.0, 1.0], [1.0, 9.0])
    assert frechet_distance(first, second) == pytest.approx(9 + (2 - 1) ** 2 + (1 - 3) ** 2)
    assert frechet_distance(first, first) == pytest.approx(0.0, abs=1e-9)


def test_frechet_distance_is_smaller_between_like_sets_than_between_unlike_ones() -> None:
    def embedding(batch: Tensor) -> Tensor:
        return torch.stack([batch.mean(dim=(1, 2, 3)), batch.std(dim=(1, 2, 3))], dim=1)

    first, second = (feature_statistics([pictures(40, seed)], embedding) for seed in (0, 1))
    darker = feature_statistics([0.5 * pictures(40, 2)], embedding)
    assert first.count == 40
    assert frechet_distance(first, second) < 0.01 < frechet_distance(first, darker)


def test_fid_of_a_single_image_is_refused() -> None:
    with pytest.raises(ValueError, match="two images"):
        feature_statistics([pictures(1)], lambda batch: batch.flatten(1))


def test_inception_gets_images_of_299_pixels() -> None:
    inputs: list[Tensor] = []

    class Network(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            inputs.append(image)
            return image.mean(dim=(2, 3))

    InceptionEmbedding(Network())(torch.ones(2, 3, 64, 64))
    assert inputs[0].shape == (2, 3, 299, 299)
    torch.testing.assert_close(inputs[0], torch.ones_like(inputs[0]))


def test_weights_of_other_networks_are_refused() -> None:
    other = {"weight": torch.zeros(3)}
    with pytest.raises(WeightsError, match="Inception"):
        inception_embedding(other)
    with pytest.raises(WeightsError, match="AlexNet"):
        alexnet_lpips(other, other)


def test_the_published_files_give_the_published_metric() -> None:
    torch.manual_seed(0)
    with torch.device("meta"):
        shapes = alexnet(weights=None).features.state_dict()
    backbone = {
        f"features.{key}": 0.05 * torch.randn(tensor.shape) for key, tensor in shapes.items()
    }
    depths = (64, 192, 384, 256, 256)
    heads = {
        f"lin{index}.model.1.weight": torch.rand(1, depth, 1, 1)
        for index, depth in enumerate(depths)
    }
    picture = torch.rand(1, 3, 64, 64)
    metric = alexnet_lpips(backbone, heads)
    assert float(metric.distance(picture, picture)) == 0
    assert float(metric.distance(picture, 1 - picture)) > 0
    with pytest.raises(WeightsError, match="linear layers"):
        alexnet_lpips(backbone, {"lin0": torch.zeros(1)})


def test_vgg_is_compared_after_the_last_activation_of_each_stage() -> None:
    torch.manual_seed(0)
    with torch.device("meta"):
        shapes = vgg16(weights=None).features.state_dict()
    widths = (64, 128, 256, 512, 512)
    heads = {
        f"lin{index}.model.1.weight": torch.rand(1, width, 1, 1)
        for index, width in enumerate(widths)
    }
    without_classifier = {
        f"features.{key}": 0.05 * torch.randn(tensor.shape) for key, tensor in shapes.items()
    }
    metric = vgg16_lpips(without_classifier, heads)
    assert metric.name == "lpips_vgg"
    picture = torch.rand(1, 3, 32, 32)
    features = metric.features(picture)
    assert [feature.shape[1:] for feature in features] == [
        (width, 32 >> depth, 32 >> depth) for depth, width in enumerate(widths)
    ]
    assert all(float(feature.min()) == 0 for feature in features)
    assert float(metric.distance(picture, picture)) == 0
    assert float(metric.distance(picture, 1 - picture)) > 0
    with pytest.raises(WeightsError, match=r"VGG-16 \(v0.1/vgg.pth\)"):
        vgg16_lpips(without_classifier, {**heads, "lin0.model.1.weight": torch.rand(1, 9, 1, 1)})


def test_shift_tolerant_lpips_is_given_images_in_the_range_of_its_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings: dict[str, object] = {}

    def build(**given: object) -> nn.Module:
        settings.update(given)
        return MeanDifference()

    package = ModuleType("stlpips_pytorch.stlpips")
    monkeypatch.setattr(package, "LPIPS", build, raising=False)
    monkeypatch.setitem(sys.modules, "stlpips_pytorch", ModuleType("stlpips_pytorch"))
    monkeypatch.setitem(sys.modules, "stlpips_pytorch.stlpips", package)
    metric = shift_tolerant_lpips()
    assert settings["variant"] == "shift_tolerant"
    assert metric.name == "st_lpips"
    black, white = torch.zeros(2, 3, 8, 8), torch.ones(2, 3, 8, 8)
    assert metric.distance(black, white).tolist() == [2.0, 2.0]


def test_without_its_package_shift_tolerant_lpips_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "stlpips_pytorch", None)
    with pytest.raises(ConfigError, match="pip install stlpips-pytorch"):
        shift_tolerant_lpips()


class MeanDifference(nn.Module):
    """Returns distances in the shape of the package."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return (second - first).mean(dim=(1, 2, 3), keepdim=True)


class Block(nn.Module):
    """Two branches like those of torchvision's blocks; the second is replaced."""

    branch_pool = nn.Identity()

    def _forward(self, feat: Tensor) -> list[Tensor]:
        return [2 * feat, torch.full_like(feat, float("nan"))]


def test_the_published_pooling_excludes_padding_and_ends_with_max_pooling() -> None:
    feat = torch.arange(16.0).reshape(1, 1, 4, 4)
    ones = torch.ones_like(feat)
    torch.testing.assert_close(PublishedPool(Block())(ones)[:, 1], ones[:, 0])
    corner = PublishedPool(Block())(feat)[0, 1, 0, 0]
    assert float(corner) == pytest.approx((0 + 1 + 4 + 5) / 4)
    assert float(PublishedPool(Block(), takes_maximum=True)(feat)[0, 1, 0, 0]) == 5


def test_statistics_are_read_from_a_file_of_mu_and_sigma(tmp_path: Path) -> None:
    own = vector_statistics([torch.rand(9, 3)])
    np.savez(tmp_path / "a.npz", mu=own.mean, sigma=own.covariance)
    assert frechet_distance(read_statistics(tmp_path / "a.npz"), own) == pytest.approx(0, abs=1e-9)
    np.savez(tmp_path / "b.npz", mu=own.mean, sigma=own.mean)
    (tmp_path / "c.npz").write_bytes(b"nothing")
    for name in ("b.npz", "c.npz", "missing.npz"):
        with pytest.raises(WeightsError, match=name):
            read_statistics(tmp_path / name)
