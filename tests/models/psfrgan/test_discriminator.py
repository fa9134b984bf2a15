"""The multi-scale patch discriminator."""

import pytest
import torch
from support.psfrgan import fill_weights, picture, published_error, shapes_of
from torch import Tensor
from torch.nn import functional as F

from vidrestore.models.psfrgan.discriminator import MultiScaleDiscriminator


def small(*, spectral_norm: bool = False) -> MultiScaleDiscriminator:
    discriminator = fill_weights(
        MultiScaleDiscriminator(
            input_ch=5,
            base_ch=8,
            n_layers=2,
            num_D=2,
            spectral_norm=spectral_norm,
        )
    )
    assert isinstance(discriminator, MultiScaleDiscriminator)
    return discriminator


def plain_scores(judge: MultiScaleDiscriminator, image: Tensor) -> list[Tensor]:
    """Return the scores by the formulas: convolve at full size, then average, then normalize."""
    state = judge.state_dict()
    scores: list[Tensor] = []
    for index in range(len(judge.D_pool)):
        feat = image
        for layer in range(3):
            name = f"D_pool.{index}.model.{layer}.conv2d"
            feat = F.pad(feat, (1, 1, 1, 1), mode="reflect")
            feat = F.conv2d(feat, state[f"{name}.weight"], state[f"{name}.bias"])
            if layer:
                feat = F.instance_norm(F.avg_pool2d(feat, 2))
            feat = F.leaky_relu(feat, 0.2)
        name = f"D_pool.{index}.score_out.conv2d"
        scores.append(F.conv2d(feat, state[f"{name}.weight"], state[f"{name}.bias"]))
        image = F.avg_pool2d(image, 3, stride=2, padding=1, count_include_pad=False)
    return scores


@torch.no_grad()
@pytest.mark.parametrize("side", [32, 36])
def test_discriminator_scores_equal_the_published_formulas(side: int) -> None:
    discriminator = small()
    image = torch.cat([picture(5, side, seed) for seed in range(2)])
    for actual, expected in zip(
        discriminator(image).scores, plain_scores(discriminator, image), strict=True
    ):
        torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_features_of_every_layer_and_scale_are_returned() -> None:
    result = small()(picture(5, 32))
    assert [tuple(score.shape) for score in result.scores] == [(1, 1, 6, 6), (1, 1, 2, 2)]
    shapes = [[tuple(tensor.shape[1:]) for tensor in scale] for scale in result.features]
    assert shapes == [
        [(8, 32, 32), (16, 16, 16), (32, 8, 8)],
        [(8, 16, 16), (16, 8, 8), (32, 4, 4)],
    ]


@torch.no_grad()
def test_channels_are_doubled_up_to_1024() -> None:
    with torch.device("meta"):
        discriminator = MultiScaleDiscriminator(base_ch=256, n_layers=3, num_D=1)
    assert discriminator.D_pool[0].get_submodule("model.3.conv2d").weight.shape == (
        1024,
        1024,
        3,
        3,
    )


@pytest.mark.parametrize("spectral_norm", [False, True])
def test_gradients_reach_every_parameter_and_the_image(spectral_norm: bool) -> None:
    discriminator = small(spectral_norm=spectral_norm).train()
    image = picture(5, 32).requires_grad_()
    result = discriminator(image)
    loss = sum(score.square().mean() for score in result.scores)
    assert isinstance(loss, Tensor)
    loss.backward()
    assert image.grad is not None
    assert float(image.grad.abs().sum()) > 0
    for key, parameter in discriminator.named_parameters():
        assert parameter.grad is not None, key
        if spectral_norm and "bias" not in key:
            assert "weight_orig" in key
    ends = [
        key
        for key, tensor in discriminator.named_parameters()
        if not bool(tensor.grad.abs().sum() > 1e-9)
    ]
    # An instance normalization takes out any constant: biases before it have no effect.
    assert all("bias" in key and "model" in key for key in ends)


def test_two_forward_passes_before_one_step_both_get_gradients() -> None:
    discriminator = small(spectral_norm=True).train()
    real, fake = discriminator(picture(5, 32, 0)), discriminator(picture(5, 32, 1))
    loss = F.relu(1 - real.scores[0]).mean() + F.relu(1 + fake.scores[0]).mean()
    loss.backward()
    assert discriminator.D_pool[0].get_submodule("score_out.conv2d").weight_orig.grad is not None


@torch.no_grad()
def test_an_image_is_scored_the_same_alone_and_in_a_batch() -> None:
    discriminator = small()
    batch = torch.cat([picture(5, 32, seed) for seed in range(3)])
    together = discriminator(batch).scores[1]
    alone = torch.cat([discriminator(image[None]).scores[1] for image in batch])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-5)


@torch.no_grad()
def test_initial_weights_have_the_released_scale() -> None:
    discriminator = MultiScaleDiscriminator(spectral_norm=True, num_D=1)
    state = discriminator.state_dict()
    assert float(state["D_pool.0.model.3.conv2d.weight_orig"].std()) == pytest.approx(
        0.02, rel=0.02
    )
    assert float(state["D_pool.0.model.3.conv2d.bias"].abs().max()) == 0.0


def test_tensors_are_named_as_published() -> None:
    layers = [f"D_pool.{index}.model.{layer}.conv2d" for index in (0, 1) for layer in range(3)]
    layers += [f"D_pool.{index}.score_out.conv2d" for index in (0, 1)]
    plain = {f"{layer}.{name}" for layer in layers for name in ("weight", "bias")}
    assert set(shapes_of(small())) == plain
    names = ("weight_orig", "weight_u", "weight_v", "bias")
    spectral = {f"{layer}.{name}" for layer in layers for name in names}
    assert set(shapes_of(small(spectral_norm=True))) == spectral


@torch.inference_mode()
def test_the_released_size_gives_the_published_scores() -> None:
    result = fill_weights(MultiScaleDiscriminator())(picture(22, 256))
    for index, score in enumerate(result.scores):
        assert published_error("psfrgan_discriminator_256", f"score{index}", score) < 2e-4
