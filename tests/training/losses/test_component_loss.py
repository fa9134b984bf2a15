"""Facial components: their boxes at any resolution, their losses, and what is not computed."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.models.gfpgan.component_discriminator import FacialComponentDiscriminator
from vidrestore.training.data.component_boxes import COMPONENTS, component_boxes
from vidrestore.training.losses.component_loss import (
    component_crops,
    component_discriminator_losses,
    component_generator_terms,
    component_style_loss,
    crop_sides_px,
)
from vidrestore.training.losses.perceptual import gram_matrix

VARIANTS = [64, 128, 256, 512, 1024]


def coordinate_image(size: int) -> Tensor:
    """Return an image whose channels are x, y and x + y in pixels of the 512 px face."""
    coordinate = (torch.arange(size) + 0.5) * 512 / size - 0.5
    x, y = coordinate.expand(size, size), coordinate[:, None].expand(size, size)
    return torch.stack([x, y, x + y])[None]


def template_boxes(size: int) -> Tensor:
    """Return the boxes of the canonical face in an image of ``size``, ``(3, 4)`` float32."""
    landmarks = (TEMPLATE_LANDMARKS_XY + 0.5) * (size / 512) - 0.5
    return torch.from_numpy(component_boxes(landmarks)).float()


def discriminators() -> dict[str, FacialComponentDiscriminator]:
    torch.manual_seed(0)
    return {name: FacialComponentDiscriminator() for name in COMPONENTS}


def crops(seed: int, side: int = 16) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return {name: torch.rand(2, 3, side, side, generator=rng) * 2 - 1 for name in COMPONENTS}


class Forbidden(FacialComponentDiscriminator):
    """Must not run."""

    def forward(self, image_NCHW: Tensor) -> None:  # type: ignore[override]
        raise AssertionError("computed for nothing")


def test_component_crops_have_the_released_sides_at_512_and_scale_with_the_image() -> None:
    assert crop_sides_px(512) == (80, 80, 120)
    assert crop_sides_px(256) == (40, 40, 60)
    assert crop_sides_px(1024) == (160, 160, 240)
    for size in (32, 64, 96, 128, 320):
        assert all(side % 4 == 0 and side >= 8 for side in crop_sides_px(size))


@pytest.mark.parametrize("size", VARIANTS)
def test_the_same_part_of_the_face_is_cropped_at_any_resolution(size: int) -> None:
    result = component_crops(coordinate_image(size), template_boxes(size))
    centers = {
        "left_eye": TEMPLATE_LANDMARKS_XY[0],
        "right_eye": TEMPLATE_LANDMARKS_XY[1],
        "mouth": TEMPLATE_LANDMARKS_XY[3:].mean(axis=0),
    }
    for name, side in zip(COMPONENTS, crop_sides_px(size), strict=True):
        assert tuple(result[name].shape) == (1, 3, side, side)
        x, y = result[name][0, :2].mean(dim=(1, 2))
        assert (float(x), float(y)) == pytest.approx(tuple(centers[name]), abs=0.01)
        width = float(result[name][0, 0, 0, -1] - result[name][0, 0, 0, 0]) * side / (side - 1)
        assert width == pytest.approx(80.6 if "eye" in name else 123, rel=0.03)


def test_the_crop_of_an_eye_at_512_is_hardly_resampled() -> None:
    left = template_boxes(512)[0]
    assert float(left[2] - left[0]) == pytest.approx(80, abs=1)


def test_every_sample_is_cropped_at_its_own_landmarks() -> None:
    moved_points = TEMPLATE_LANDMARKS_XY + np.array([8.0, -4.0])
    boxes = torch.stack(
        [template_boxes(512), torch.from_numpy(component_boxes(moved_points)).float()]
    )
    crops = component_crops(coordinate_image(512).repeat(2, 1, 1, 1), boxes)
    for crop in crops.values():
        moved = (crop[1] - crop[0])[:2].mean(dim=(1, 2))
        torch.testing.assert_close(moved, torch.tensor([8.0, -4.0]), atol=1e-3, rtol=0)


def test_gradients_reach_the_image_inside_the_boxes_only() -> None:
    image = torch.rand(1, 3, 64, 64).double().requires_grad_()
    boxes = torch.tensor([[4, 4, 12, 12], [20, 4, 30, 14], [8, 30, 40, 60]])
    sum(crop.sum() for crop in component_crops(image, boxes).values()).backward()
    assert image.grad is not None
    assert float(image.grad[0, 0, 8, 8]) > 0
    assert float(image.grad[0, 0, 20, 50]) == 0


def test_gradients_of_crops_equal_finite_differences() -> None:
    boxes = torch.tensor([[0.3, 0.2, 5, 5], [1, 1, 6.5, 6.5], [0, 2, 7, 9.0]])

    def mouth(image: Tensor) -> Tensor:
        return component_crops(image, boxes)["mouth"]

    assert torch.autograd.gradcheck(mouth, torch.rand(1, 1, 10, 10).double().requires_grad_())


def test_images_and_boxes_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="square"):
        component_crops(torch.rand(1, 3, 64, 48), template_boxes(64))
    with pytest.raises(ValueError, match=r"\(2, 3, 4\) or \(3, 4\), got \(1, 3, 4\)"):
        component_crops(torch.rand(2, 3, 64, 64), template_boxes(64)[None])


def test_half_precision_images_are_cropped_in_float32() -> None:
    image = torch.rand(1, 3, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        result = component_crops(image.bfloat16(), template_boxes(64))["mouth"]
    assert result.dtype is torch.float32
    expected = component_crops(image.bfloat16().float(), template_boxes(64))["mouth"]
    assert torch.equal(result, expected)


def test_the_terms_of_the_generator_are_the_released_ones() -> None:
    networks, restored, target = discriminators(), crops(0), crops(1)
    terms = component_generator_terms(
        networks, restored, target, adversarial_weight=2, style_weight=200
    )
    styles = torch.zeros(())
    for name, network in networks.items():
        fake, real = network(restored[name]), network(target[name])
        as_real = F.binary_cross_entropy_with_logits(fake.scores, torch.ones_like(fake.scores))
        torch.testing.assert_close(terms[f"component_{name}"], 2 * as_real)
        for weight, first, other in zip((0.5, 1), fake.features, real.features, strict=True):
            styles = styles + weight * (gram_matrix(first) - gram_matrix(other)).abs().mean()
    torch.testing.assert_close(terms["component_style"], 200 * styles)
    assert len(terms) == 4


def test_the_terms_of_the_generator_give_the_discriminators_no_gradient() -> None:
    networks, target = discriminators(), crops(1)
    restored = {name: crop.requires_grad_() for name, crop in crops(0).items()}
    terms = component_generator_terms(networks, restored, target)
    torch.stack(list(terms.values())).sum().backward()
    for name, network in networks.items():
        grad = restored[name].grad
        assert grad is not None
        assert float(grad.abs().sum()) > 0
        assert all(
            parameter.grad is None and parameter.requires_grad for parameter in network.parameters()
        )


def test_terms_of_weight_zero_are_absent_and_targets_are_used_for_style_only() -> None:
    nothing = component_generator_terms(
        {name: Forbidden() for name in COMPONENTS}, {}, {}, adversarial_weight=0, style_weight=0
    )
    assert nothing == {}
    terms = component_generator_terms(discriminators(), crops(0), {}, style_weight=0)
    assert list(terms) == [f"component_{name}" for name in COMPONENTS]
    only = component_generator_terms(discriminators(), crops(0), crops(1), adversarial_weight=0)
    assert list(only) == ["component_style"]


def test_the_style_loss_of_equal_features_is_zero() -> None:
    features = discriminators()["mouth"](crops(0)["mouth"]).features
    assert component_style_loss(features, features).item() == 0


def test_each_discriminator_learns_from_its_own_component() -> None:
    networks = discriminators()
    restored = {name: crop.requires_grad_() for name, crop in crops(0).items()}
    losses = component_discriminator_losses(networks, restored, crops(1))
    losses["mouth"].backward()
    assert all(crop.grad is None for crop in restored.values())
    assert networks["mouth"].conv1[0].weight.grad is not None
    assert networks["left_eye"].conv1[0].weight.grad is None
    real = networks["mouth"](crops(1)["mouth"]).scores
    fake = networks["mouth"](restored["mouth"]).scores
    expected = F.softplus(-real).mean() + F.softplus(fake).mean()
    torch.testing.assert_close(losses["mouth"], expected)


def test_terms_under_autocast_are_near_those_of_full_precision() -> None:
    networks, restored, target = discriminators(), crops(0, side=32), crops(1, side=32)
    plain = component_generator_terms(networks, restored, target)
    with torch.autocast("cpu", torch.bfloat16):
        result = component_generator_terms(networks, restored, target)
    for name, term in result.items():
        assert term.dtype is torch.float32
        torch.testing.assert_close(term, plain[name], rtol=0.05, atol=0.01)
