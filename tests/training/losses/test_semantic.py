"""The semantic-aware style loss: against masks multiplied in, as the equations have it."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.training.losses.semantic import (
    one_hot_labels,
    region_gram_matrices,
    semantic_style_loss,
)

UNKNOWN = 255


def feature(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def labels(side: int = 16, classes: int = 4, seed: int = 0) -> Tensor:
    """Return two maps of blocks: the first lacks the last class, the second has unknown pixels."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.randint(classes, (2, side // 4, side // 4), generator=rng)
    coarse[0][coarse[0] == classes - 1] = 0
    coarse[1, 0] = UNKNOWN
    return coarse.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2)


def plain_loss(one: list[Tensor], other: list[Tensor], mask_NKHW: Tensor) -> Tensor:
    """Return the loss by equations 4 and 5 with the released code's divisors."""
    total = torch.zeros((), dtype=torch.float64)
    for pair in zip(one, other, strict=True):
        mask = F.interpolate(mask_NKHW.double(), pair[0].shape[2:], mode="nearest")
        grams: list[Tensor] = []
        for feat in pair:
            masked = feat[:, None] * mask[:, :, None]
            products = torch.einsum("nkchw,nkdhw->nkcd", masked, masked)
            area = mask.sum(dim=(2, 3))[..., None, None] + 1e-8
            grams.append(products / (feat.shape[1] * area))
        total = total + (grams[0] - grams[1]).square().mean()
    return total


def test_the_loss_is_that_of_masks_multiplied_into_features() -> None:
    one = [feature(2, 3, 16, 16), feature(2, 5, 8, 8, seed=1)]
    other = [feature(2, 3, 16, 16, seed=2), feature(2, 5, 8, 8, seed=3)]
    classes_NHW = labels()
    result = semantic_style_loss(one, other, classes_NHW, classes=4)
    torch.testing.assert_close(
        result, plain_loss(one, other, one_hot_labels(classes_NHW, classes=4))
    )


def test_absent_classes_have_no_matrix() -> None:
    (first, second) = region_gram_matrices(feature(2, 3, 16, 16), labels(), classes=4)
    assert first[3] is None
    assert second[3] is not None


def test_swapping_pixels_costs_nothing_within_a_region_and_something_across_regions() -> None:
    classes_NHW = torch.zeros(1, 4, 4, dtype=torch.int64)
    classes_NHW[:, 2:] = 1
    feat = feature(1, 3, 4, 4)
    assert float(semantic_style_loss([feat.flip(3)], [feat], classes_NHW, classes=2)) < 1e-20
    assert float(semantic_style_loss([feat.flip(2)], [feat], classes_NHW, classes=2)) > 1e-3


def test_pixels_without_a_class_have_no_effect() -> None:
    classes_NHW = labels()
    first, other = feature(2, 3, 16, 16), feature(2, 3, 16, 16, seed=1)
    changed = torch.where((classes_NHW == UNKNOWN)[:, None], first + 7, first)
    assert not torch.equal(changed, first)
    torch.testing.assert_close(
        semantic_style_loss([changed], [other], classes_NHW, classes=4),
        semantic_style_loss([first], [other], classes_NHW, classes=4),
        rtol=0,
        atol=0,
    )
    nothing = torch.full((2, 16, 16), UNKNOWN)
    assert float(semantic_style_loss([first], [other], nothing)) == 0


def test_gradients_equal_finite_differences_and_none_reach_the_target() -> None:
    classes_NHW = labels(side=4, classes=2)
    target = feature(2, 2, 4, 4, seed=1).requires_grad_()

    def loss(feat: Tensor) -> Tensor:
        return semantic_style_loss([feat], [target], classes_NHW, classes=2)

    start = feature(2, 2, 4, 4).requires_grad_()
    assert torch.autograd.gradcheck(loss, (start,))
    loss(start).backward()
    assert target.grad is None


def test_autocast_does_not_round_the_loss() -> None:
    first, other = feature(2, 3, 16, 16).float(), feature(2, 3, 16, 16, seed=1).float()
    plain = semantic_style_loss([first], [other], labels(), classes=4)
    with torch.autocast("cpu", torch.bfloat16):
        result = semantic_style_loss([first], [other], labels(), classes=4)
        half = semantic_style_loss([first.bfloat16()], [other.bfloat16()], labels(), classes=4)
    assert torch.equal(result, plain)
    torch.testing.assert_close(half, plain, rtol=0.02, atol=0)


def test_one_hot_maps_have_a_one_per_labeled_pixel() -> None:
    classes_NHW = labels()
    mask = one_hot_labels(classes_NHW, classes=4)
    torch.testing.assert_close(mask.sum(dim=1), (classes_NHW != UNKNOWN).float())
    assert torch.equal(mask.argmax(dim=1)[0], classes_NHW[0])


def test_a_different_number_of_features_is_refused() -> None:
    with pytest.raises(ValueError, match="1 and 0"):
        semantic_style_loss([feature(1, 2, 4, 4)], [], labels())
