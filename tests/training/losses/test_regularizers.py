"""R1 and path length: analytic values, plain formulations, state, precision."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from vidrestore.models.stylegan2.discriminator import StyleGAN2Discriminator
from vidrestore.models.stylegan2.generator import StyleGAN2Generator
from vidrestore.training.engine.distributed import DistributedContext
from vidrestore.training.losses.regularizers import (
    PathLengthMean,
    lazy_weight,
    path_length_penalty,
    r1_penalty,
)


def forbidden(_: Tensor) -> Tensor:
    raise AssertionError("computed for nothing")


class Linear(nn.Module):
    """Scores an image by its product with a template: the slope is the template."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        weight = torch.randn(shape, generator=torch.Generator().manual_seed(3)).double()
        self.weight = nn.Parameter(weight)

    def forward(self, image: Tensor) -> Tensor:
        return (image * self.weight).sum(dim=(1, 2, 3))[:, None]


def test_the_penalty_of_a_linear_score_is_the_square_of_its_weights() -> None:
    discriminator = Linear(3, 4, 4)
    result = r1_penalty(discriminator, torch.rand(5, 3, 4, 4).double(), weight=10, interval=1)
    torch.testing.assert_close(result, 5 * discriminator.weight.square().sum())
    result.backward()
    torch.testing.assert_close(discriminator.weight.grad, 10 * discriminator.weight.detach())


def test_scores_of_several_scales_and_patches_are_penalized_together() -> None:
    discriminator = Linear(3, 4, 4)

    def scales(image: Tensor) -> list[Tensor]:
        return [discriminator(image)[:, :, None, None], 2 * discriminator(image)]

    result = r1_penalty(scales, torch.rand(2, 3, 4, 4).double(), weight=2, interval=1)
    torch.testing.assert_close(result, 9 * discriminator.weight.square().sum())


def test_a_penalty_at_every_sixteenth_step_has_sixteen_times_the_weight() -> None:
    discriminator, real = Linear(3, 4, 4), torch.rand(2, 3, 4, 4).double()
    every = sum(r1_penalty(discriminator, real, interval=1).item() for _ in range(16))
    assert r1_penalty(discriminator, real, interval=16).item() == pytest.approx(every)
    assert lazy_weight(2.0, interval=4) == 8.0
    with pytest.raises(ValueError, match="interval"):
        lazy_weight(1.0, interval=0)


def test_gradients_of_the_penalty_are_those_of_finite_differences() -> None:
    real = torch.rand(1, 2, 3, 3, generator=torch.Generator().manual_seed(0)).double()

    def penalty(weight: Tensor) -> Tensor:
        return r1_penalty(lambda x: torch.tanh(x * weight).sum(dim=(1, 2, 3))[:, None], real)

    assert torch.autograd.gradcheck(penalty, torch.rand(2, 3, 3).double().requires_grad_())


def test_the_real_images_keep_no_gradient() -> None:
    real = torch.rand(2, 3, 4, 4).double()
    r1_penalty(Linear(3, 4, 4), real).backward()
    assert not real.requires_grad
    assert real.grad is None


def tiny_discriminator() -> StyleGAN2Discriminator:
    torch.manual_seed(0)
    return StyleGAN2Discriminator(out_size=16, narrow=1 / 32)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_does_not_round_the_penalty(dtype: torch.dtype) -> None:
    discriminator, real = tiny_discriminator(), torch.rand(2, 3, 16, 16)
    plain = r1_penalty(discriminator, real)
    with torch.autocast("cpu", dtype):
        result = r1_penalty(discriminator, real)
    assert result.dtype is torch.float32
    assert result.item() == plain.item() > 0
    result.backward()
    assert all(
        each.grad is not None and bool(torch.isfinite(each.grad).all())
        for name, each in discriminator.named_parameters()
        if not name.endswith("final_linear.1.bias")  # a constant has no slope
    )


def test_a_step_down_the_penalty_flattens_the_discriminator() -> None:
    discriminator, real = tiny_discriminator(), torch.rand(4, 3, 16, 16)
    before = r1_penalty(discriminator, real, interval=1)
    before.backward()
    with torch.no_grad():
        for parameter in discriminator.parameters():
            if parameter.grad is not None:
                parameter -= 1e-3 * parameter.grad
    assert r1_penalty(discriminator, real, interval=1).item() < before.item()


def test_a_penalty_of_weight_zero_is_not_computed() -> None:
    mean = PathLengthMean()
    assert float(r1_penalty(forbidden, torch.rand(1, 3, 4, 4), weight=0)) == 0
    assert float(path_length_penalty(forbidden, torch.rand(1, 2, 4), mean, weight=0)) == 0
    assert float(mean.value) == 0


def linear_synthesis(size: int) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return a matrix and the generator that applies it to the sum of a sample's codes."""
    rng = torch.Generator().manual_seed(7)
    matrix = torch.randn(4, 3 * size * size, generator=rng).double()
    return matrix, lambda w: (w.sum(dim=1) @ matrix).view(-1, 3, size, size)


def test_the_length_of_a_linear_path_is_that_of_the_transposed_matrix_times_noise() -> None:
    matrix, synthesize = linear_synthesis(2)
    mean = PathLengthMean(decay=0.5)
    result = path_length_penalty(
        synthesize,
        torch.rand(3, 5, 4).double(),
        mean,
        rng=torch.Generator().manual_seed(1),
        weight=1,
        interval=1,
    )
    noise = torch.randn(3, 3, 2, 2, generator=torch.Generator().manual_seed(1)).double()
    lengths = ((noise.flatten(1) / 2) @ matrix.T).norm(dim=1)
    torch.testing.assert_close(mean.value.double(), lengths.mean() / 2, rtol=1e-6, atol=0)
    torch.testing.assert_close(
        result, (lengths - lengths.mean() / 2).square().mean(), rtol=1e-6, atol=0
    )


class Elsewhere(DistributedContext):
    """Another process has other lengths: their mean is 3."""

    def mean(self, value: Tensor) -> Tensor:
        return value * 0 + 3


def test_the_running_mean_approaches_the_mean_length_and_is_equal_in_all_processes() -> None:
    _, synthesize = linear_synthesis(2)
    mean, other = PathLengthMean(decay=1.0), PathLengthMean(decay=1.0)
    codes = torch.rand(2, 1, 4).double()
    path_length_penalty(synthesize, codes, mean, context=Elsewhere())
    path_length_penalty(synthesize, codes, other, context=Elsewhere())
    assert float(mean.value) == float(other.value) == 3


def test_a_saved_running_mean_is_resumed() -> None:
    mean, again = PathLengthMean(), PathLengthMean()
    for length in (1.0, 5.0):
        mean.update(torch.tensor(length))
    again.load_state_dict(mean.state_dict())
    kept = mean.state_dict()["value"]
    assert float(mean.update(torch.tensor(2.0))) == float(again.update(torch.tensor(2.0)))
    assert float(kept) == pytest.approx(0.01 * 0.99 + 0.05)


def tiny_generator() -> StyleGAN2Generator:
    torch.manual_seed(0)
    return StyleGAN2Generator(
        out_size=16, num_style_feat=8, num_mlp=2, channel_multiplier=1, narrow=1 / 32
    )


def test_path_length_gradients_reach_mapping_and_synthesis_under_any_autocast() -> None:
    network = tiny_generator()
    result: list[float] = []
    for enabled in (False, True):
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            with torch.autocast("cpu", enabled=False):
                codes = network.to_w_plus(network.style_mlp(torch.ones(2, 8)))
            rng = torch.Generator().manual_seed(0)
            penalty = path_length_penalty(network.synthesize, codes, PathLengthMean(), rng=rng)
        penalty.backward()
        result.append(penalty.item())
        for name in ("style_mlp.1.weight", "style_convs.0.modulated_conv.weight"):
            grad = network.get_parameter(name).grad
            assert grad is not None
            assert float(grad.abs().sum()) > 0
    assert result[0] == result[1] > 0


def test_the_path_length_penalty_works_without_a_mapping_network() -> None:
    network = tiny_generator()
    codes = torch.ones(2, network.num_latent, 8)
    path_length_penalty(network.synthesize, codes, PathLengthMean()).backward()
    assert codes.grad is None
    assert not codes.requires_grad
    assert network.style_conv1.modulated_conv.weight.grad is not None
