"""The losses of PSFR-GAN: the numbers of its released code, and of its text where it differs."""

import pytest
import torch
from support.psfrgan import fill_weights, one_hot_map, picture
from torch import Tensor

from vidrestore.models.psfrgan.discriminator import MultiScaleDiscriminator
from vidrestore.training.losses.adversarial import hinge_discriminator_loss, hinge_generator_loss
from vidrestore.training.losses.feature_extractors import (
    RELEASED_STYLE_LAYERS,
    STYLE_LAYERS,
    Vgg19Features,
)
from vidrestore.training.losses.perceptual import feature_matching_loss
from vidrestore.training.losses.semantic import STYLE_FORMS, semantic_style_loss

SIZES = ((4, 8), (5, 4), (6, 2))
"""Channels and sides of the three deepest of five features."""


def features(seed: int, sizes: tuple[tuple[int, int], ...] = SIZES) -> list[Tensor]:
    return [picture(channels, side, seed) * (1 + seed) for channels, side in sizes]


def test_the_released_style_loss_equals_its_formula() -> None:
    """Of RegionStyleLoss, the sharp image's map given."""
    labels = one_hot_map(32, cell_px=8).argmax(dim=1)
    loss = semantic_style_loss(features(0), features(1), labels)
    assert float(loss) == pytest.approx(0.033805687, rel=1e-5)


def test_the_style_loss_of_the_paper_equals_its_formula() -> None:
    """Equation 4 by hand: two classes, whose Gram matrices differ by known matrices."""
    feat = torch.tensor([[[[1.0, 2.0], [0.0, 1.0]], [[0.0, 1.0], [3.0, 0.0]]]])
    labels = torch.tensor([[[0, 0], [1, 1]]])
    # Class 0: [[2.5, 1], [1, 0.5]] and zeros; class 1: [[0.5, 0], [0, 4.5]] and zeros.
    expected = (2.5**2 + 1 + 1 + 0.5**2) ** 0.5 + (0.5**2 + 4.5**2) ** 0.5
    loss = semantic_style_loss([feat], [feat * 0], labels, classes=2, form="text")
    assert float(loss) == pytest.approx(expected, rel=1e-6)
    released = semantic_style_loss([feat], [feat * 0], labels, classes=2)
    squares = (2.5**2 + 1 + 1 + 0.5**2 + 0.5**2 + 4.5**2) / 2**2  # over two channels, squared
    assert float(released) == pytest.approx(squares / 8, rel=1e-6)


def test_each_form_of_the_style_loss_has_its_weight_and_layers() -> None:
    assert STYLE_FORMS["released"] == (RELEASED_STYLE_LAYERS, 1000.0)
    assert STYLE_FORMS["text"] == (STYLE_LAYERS, 100.0)


def test_all_released_layers_but_the_last_are_after_the_relu() -> None:
    """In the released code, the rectifiers overwrite the convolutions that it keeps."""
    torch.manual_seed(0)
    with torch.no_grad():
        result = Vgg19Features(RELEASED_STYLE_LAYERS)(picture(3, 32))
    assert [float(feat.min()) < 0 for feat in result] == [False, False, True]
    assert [feat.shape[1] for feat in result] == [256, 512, 512]


@pytest.fixture(scope="module")
def outputs() -> tuple[tuple[Tensor, ...], ...]:
    """Scores and features of a real and a restored image by a discriminator of three scales."""
    network = fill_weights(MultiScaleDiscriminator(base_ch=4, n_layers=2, num_D=3))
    parsing = one_hot_map(64, cell_px=8)
    with torch.no_grad():
        real, fake = (network(torch.cat([picture(3, 64, seed), parsing], dim=1)) for seed in (1, 2))
    return real.scores, real.features, fake.scores, fake.features


def test_features_are_matched_from_the_first_layer_over_all_scales(outputs) -> None:
    _, real, _, fake = outputs
    assert {len(scale) for scale in real} == {3}, "two halvings and the layer before"
    loss = feature_matching_loss(fake, real, scale_reduction="sum")
    assert float(loss) == pytest.approx(1.36213136, rel=1e-5)
    mean = feature_matching_loss(fake, real, scale_reduction="mean")
    assert float(mean) == pytest.approx(1.36213136 / 3, rel=1e-5)


def test_adversarial_losses_are_summed_over_scales(outputs) -> None:
    real, _, fake, _ = outputs
    generator = hinge_generator_loss(fake, scale_reduction="sum")
    assert float(generator) == pytest.approx(-1.33480287, rel=1e-5)
    # The released code takes half of each discriminator's loss.
    discriminator = hinge_discriminator_loss(real, fake, scale_reduction="sum")
    assert float(discriminator) / 2 == pytest.approx(9.50316429, rel=1e-5)
