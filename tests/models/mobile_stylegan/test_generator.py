"""MobileStyleGAN: the published runtime's numbers, wavelets, sizes, and features for noise."""

from functools import cache

import numpy as np
import pytest
import torch
from support.golden import GOLDEN, draws
from torch import Tensor
from torch.nn import functional as F

from vidrestore.errors import WeightsError
from vidrestore.models.mobile_stylegan.generator import MobileStyleGAN, widen_for_features
from vidrestore.models.mobile_stylegan.wavelet import inverse_haar
from vidrestore.weights.bundled import bundled_file
from vidrestore.weights.load import load_weights
from vidrestore.weights.priors import load_mobile_stylegan

SIDE, FEATURES = 32, 16


@cache
def shipped() -> MobileStyleGAN:
    return load_mobile_stylegan()


def small(*, isconcat: bool = False) -> MobileStyleGAN:
    torch.manual_seed(0)
    return MobileStyleGAN(
        out_size=SIDE, num_style_feat=FEATURES, num_mlp=2, narrow=0.03125, isconcat=isconcat
    ).eval()


@torch.no_grad()
def test_the_shipped_weights_give_the_images_of_the_published_runtime() -> None:
    with np.load(GOLDEN / "mobile_stylegan.npz") as golden:
        style, image = torch.from_numpy(golden["style"]), torch.from_numpy(golden["image"])
    network = shipped()
    result = network.synthesize(network.to_w_plus(style))
    assert result.shape == (2, 3, 512, 512)
    # Means of 16 x 16 pixels in [-1, 1]; float16 weights err by 3e-3 at the worst one.
    error = (F.avg_pool2d(result, 16) - image).abs()
    assert float(error.max()) < 5e-3
    assert float(error.mean()) < 3e-4


@torch.no_grad()
def test_the_shipped_mapping_equals_the_published_one_within_its_precision() -> None:
    with np.load(GOLDEN / "mobile_stylegan.npz") as golden:
        z, style = torch.from_numpy(golden["z"]), torch.from_numpy(golden["style"])
    assert float((shipped().style_mlp(z) - style).abs().max()) < 5e-3


@torch.no_grad()
def test_the_mean_style_is_the_mean_of_styles() -> None:
    network = shipped()
    mean = network.style_mlp(torch.randn(2000, 512, generator=draws(5))).mean(dim=0)
    assert float((network.get_buffer("mean_style") - mean).abs().max()) < 0.1
    z = torch.randn(1, 512, generator=draws(6))
    assert torch.equal(network.styles(z, truncation=0.0)[0], network.get_buffer("mean_style"))


def test_the_inverse_wavelet_is_orthonormal_and_its_low_band_is_a_mean() -> None:
    bands = torch.randn(2, 8, 4, 4, generator=draws())
    picture = inverse_haar(bands)
    assert picture.shape == (2, 2, 8, 8)
    torch.testing.assert_close(picture.square().sum(), bands.square().sum())
    torch.testing.assert_close(F.avg_pool2d(picture, 2), bands[:, :2] * 0.5)
    # A vertical difference alone: rows of opposite sign, columns alike.
    only = torch.zeros(1, 4, 1, 1)
    only[0, 1] = 2.0
    assert inverse_haar(only)[0, 0].tolist() == [[1.0, 1.0], [-1.0, -1.0]]


@torch.no_grad()
def test_downscaling_by_the_wavelet_mean_undoes_doubling() -> None:
    network = small()
    styles = network.to_w_plus(network.style_mlp(torch.randn(2, FEATURES, generator=draws())))
    picture, large = network.synthesize(styles), network.synthesize(styles, double_size=True)
    assert picture.shape == (2, 3, SIDE, SIDE)
    assert large.shape == (2, 3, 2 * SIDE, 2 * SIDE)
    torch.testing.assert_close(F.avg_pool2d(large, 2), picture)


def test_gradients_reach_every_style_and_do_not_change_the_image() -> None:
    network = small()
    styles = network.to_w_plus(network.style_mlp(torch.randn(1, FEATURES, generator=draws())))
    styles = styles.detach().clone().requires_grad_(True)
    picture = network.synthesize(styles)
    picture.square().mean().backward()
    assert styles.grad is not None
    assert bool((styles.grad.abs().sum(dim=2) > 0).all())
    with torch.no_grad():
        torch.testing.assert_close(network.synthesize(styles), picture)


@torch.no_grad()
def test_a_sample_does_not_depend_on_the_rest_of_its_batch() -> None:
    network = small()
    z = torch.randn(3, FEATURES, generator=draws())
    torch.testing.assert_close(network(z)[1:2], network(z[1:2]), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_zero_initialized_branches_do_not_change_the_image_without_noise() -> None:
    plain, branched = small(), small(isconcat=True)
    branched.load_state_dict(widen_for_features(plain.state_dict(), branched))
    styles = plain.to_w_plus(plain.style_mlp(torch.randn(1, FEATURES, generator=draws())))
    assert plain.noises is not None
    stored = plain.noises()
    features: list[Tensor] = []
    for index, noise in enumerate(stored):
        channels = 16 if noise.shape[-1] <= 32 else 8
        shape = (1, channels, *noise.shape[2:])
        features.append(torch.randn(shape, generator=draws(index)))
    silent = [torch.zeros_like(noise) for noise in stored]
    before = plain.synthesize(styles, noise=silent)
    torch.testing.assert_close(
        branched.synthesize(styles, noise=features), before, rtol=1e-4, atol=1e-4
    )
    last = branched.to_img.conv.get_parameter("weight")
    last[:, last.shape[1] // 2 :] = 1.0
    assert not torch.allclose(branched.synthesize(styles, noise=features), before, atol=1e-2)
    with pytest.raises(ValueError, match="this generator takes features as noise"):
        branched.synthesize(styles)


def test_weights_of_another_size_are_refused_by_name() -> None:
    other = MobileStyleGAN(out_size=16, num_style_feat=FEATURES, num_mlp=2, narrow=0.03125)
    with pytest.raises(ValueError, match=r"layers\.2\.up\.modulation\.weight is missing"):
        widen_for_features(other.state_dict(), small(isconcat=True))
    with (
        bundled_file("mobile_stylegan.safetensors") as path,
        pytest.raises(WeightsError, match="missing"),
    ):
        load_weights(MobileStyleGAN(out_size=1024), path)


def test_channels_not_divisible_into_bands_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 4"):
        MobileStyleGAN(out_size=SIDE, narrow=6 / 512)
