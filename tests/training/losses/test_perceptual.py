"""Losses on features: against plain sums, and nothing computed that weighs nothing."""

import pytest
import torch
from torch import Tensor

from vidrestore.models.psfrgan.discriminator import MultiScaleDiscriminator
from vidrestore.training.losses.perceptual import (
    feature_loss,
    feature_matching_loss,
    gram_matrix,
    perceptual_terms,
    style_loss,
)


def feature(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def pair() -> tuple[list[Tensor], list[Tensor]]:
    shapes = ((2, 3, 8, 8), (2, 5, 4, 4))
    return (
        [feature(*shape, seed=index) for index, shape in enumerate(shapes)],
        [feature(*shape, seed=index + 10) for index, shape in enumerate(shapes)],
    )


class Spy:
    """Two features of an image, and how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, image_NCHW: Tensor) -> tuple[Tensor, ...]:
        """Return the image and its half."""
        self.asked += 1
        return image_NCHW, image_NCHW[:, :, ::2, ::2] * 2


class Poison:
    """Stands for a feature that must not be looked at."""

    def detach(self) -> Tensor:
        """Fail."""
        raise AssertionError("computed for nothing")


def test_layers_are_compared_by_the_norm_and_weighted() -> None:
    first, other = pair()
    l1 = [(a - b).abs().mean() for a, b in zip(first, other, strict=True)]
    l2 = [(a - b).square().mean() for a, b in zip(first, other, strict=True)]
    torch.testing.assert_close(feature_loss(first, other), l1[0] + l1[1])
    result = feature_loss(first, other, layer_weights=[0.1, 2], norm="l2")
    torch.testing.assert_close(result, 0.1 * l2[0] + 2 * l2[1])


def test_a_layer_of_weight_zero_is_not_compared() -> None:
    first, other = pair()
    poisoned = [other[0], Poison()]
    result = feature_loss(first, poisoned, layer_weights=[1, 0])  # type: ignore[list-item]
    torch.testing.assert_close(result, (first[0] - other[0]).abs().mean())


def test_features_and_weights_that_do_not_match_are_refused() -> None:
    first, other = pair()
    with pytest.raises(ValueError, match="2 restored, 1 target, 2 weights"):
        feature_loss(first, other[:1])
    with pytest.raises(ValueError, match="3 weights"):
        style_loss(first, other, layer_weights=[1, 1, 1])
    with pytest.raises(ValueError, match="no features"):
        feature_loss(first, other, layer_weights=[0, 0])
    with pytest.raises(ValueError, match="shapes differ"):
        feature_loss(first[:1], [other[0][:, :1]])


def test_a_gram_matrix_equals_its_sum() -> None:
    feat = feature(2, 3, 4, 5)
    expected = torch.einsum("nchw,ndhw->ncd", feat, feat) / (3 * 4 * 5)
    torch.testing.assert_close(gram_matrix(feat), expected)


def test_style_does_not_depend_on_position() -> None:
    feat = feature(1, 4, 6, 6)
    moved = feat.flatten(2)[:, :, torch.randperm(36)].view_as(feat)
    assert float(style_loss([moved], [feat])) < 1e-12
    assert float(style_loss([2 * feat], [feat])) == pytest.approx(
        3 * float(gram_matrix(feat).abs().mean())
    )


def test_gradients_equal_finite_differences_and_none_reach_the_target() -> None:
    first, other = feature(1, 2, 3, 3).requires_grad_(), feature(1, 2, 3, 3, seed=1)
    other.requires_grad_()

    def both(feat: Tensor) -> Tensor:
        return feature_loss([feat], [other], norm="l2") + style_loss([feat], [other], norm="l2")

    assert torch.autograd.gradcheck(both, (first,))
    both(first).backward()
    assert other.grad is None


def test_both_weighted_terms_need_one_pass_per_image() -> None:
    spy = Spy()
    restored, target = feature(1, 3, 4, 4), feature(1, 3, 4, 4, seed=1)
    terms = perceptual_terms(
        spy, restored, target, content_weight=2, style_weight=50, layer_weights=[0.1, 1]
    )
    assert spy.asked == 2
    features = Spy()(restored), Spy()(target)
    content = feature_loss(*features, layer_weights=[0.1, 1])
    style = style_loss(*features, layer_weights=[0.1, 1])
    torch.testing.assert_close(terms, {"perceptual": 2 * content, "style": 50 * style})


def test_terms_of_weight_zero_are_absent_and_without_terms_the_network_does_not_run() -> None:
    spy = Spy()
    image = feature(1, 3, 4, 4)
    assert perceptual_terms(spy, image, image, content_weight=0) == {}
    assert spy.asked == 0
    terms = perceptual_terms(spy, image, image, layer_weights=None)
    assert list(terms) == ["perceptual"]


def test_no_graph_is_built_for_the_target() -> None:
    graphs: list[bool] = []

    def network(image_NCHW: Tensor) -> tuple[Tensor, ...]:
        feat = image_NCHW * torch.ones((), requires_grad=True)
        graphs.append(feat.requires_grad)
        return (feat,)

    image = feature(1, 3, 4, 4)
    perceptual_terms(network, image, image, layer_weights=None)
    assert graphs == [False, True]


def test_autocast_does_not_round_gram_matrices() -> None:
    feat = feature(1, 8, 32, 32).float()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(gram_matrix(feat), gram_matrix(feat).float())
        result = gram_matrix(feat.bfloat16())
    assert result.dtype is torch.float32
    torch.testing.assert_close(result, gram_matrix(feat.bfloat16().float()))


def test_feature_matching_sums_all_layers_and_averages_scales() -> None:
    torch.manual_seed(0)
    discriminator = MultiScaleDiscriminator(input_ch=4, base_ch=4, n_layers=2, num_D=2)
    real, fake = torch.rand(2, 4, 32, 32), torch.rand(2, 4, 32, 32).requires_grad_()
    seen_real, seen_fake = discriminator(real).features, discriminator(fake).features
    expected = torch.zeros(())
    for scale in range(2):
        for layer in range(3):
            apart = seen_fake[scale][layer] - seen_real[scale][layer]
            expected = expected + apart.square().mean() / 2
    result = feature_matching_loss(seen_fake, seen_real)
    torch.testing.assert_close(result, expected)
    result.backward()
    assert fake.grad is not None
    assert float(fake.grad.abs().sum()) > 0
    assert float(feature_matching_loss(seen_real, seen_real).detach()) == 0
