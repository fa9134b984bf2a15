"""Modulated convolution as one dense convolution, against the grouped one of the paper."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from support.golden import draws
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.stylegan2.clean import CleanStyleConv, CleanToRGB
from vidrestore.models.stylegan2.fir import fir_kernel
from vidrestore.models.stylegan2.generator import EqualModulatedWeight, StyleConv, ToRGB
from vidrestore.models.stylegan2.modulation import ModulatedWeight, scale_channels, to_rgb

BATCH, INPUTS, OUTPUTS, FEATURES, SIDE = 3, 6, 5, 8, 7
SQRT_2 = 2.0**0.5


def plain_modulated(
    feat: Tensor,
    weight_OIkk: Tensor,
    style_NI: Tensor,
    *,
    gain: float,
    demodulate: bool,
    upsample: bool = False,
) -> Tensor:
    """Equations 1 to 3 as published: weights of every sample, one group per sample."""
    batch, inputs, height, width = feat.shape
    outputs, _, side, _ = weight_OIkk.shape
    weight = gain * weight_OIkk[None] * style_NI[:, None, :, None, None]
    if demodulate:
        power = weight.square().sum(dim=(2, 3, 4), keepdim=True)
        weight = weight * torch.rsqrt(power + 1e-8)
    grouped = feat.reshape(1, batch * inputs, height, width)
    if upsample:
        weight = weight.transpose(1, 2).reshape(batch * inputs, outputs, side, side)
        out = F.conv_transpose2d(grouped, weight, stride=2, groups=batch)
    else:
        weight = weight.reshape(batch * outputs, inputs, side, side)
        out = F.conv2d(grouped, weight, padding=side // 2, groups=batch)
    return out.reshape(batch, outputs, *out.shape[2:])


def fused_convolution(
    weight: ModulatedWeight, feat: Tensor, style_NF: Tensor, *, upsample: bool
) -> Tensor:
    modulation = weight.modulate(style_NF)
    feat = scale_channels(feat, modulation.input_scale, reuse=False)
    if upsample:
        feat = F.conv_transpose2d(feat, weight.weight.transpose(0, 1), stride=2)
    else:
        feat = weight.convolve(feat)
    return scale_channels(feat, modulation.output_scale, reuse=False)


def make_weight(**changes: Any) -> ModulatedWeight:
    sizes = {
        "in_channels": INPUTS,
        "out_channels": OUTPUTS,
        "kernel_size": 3,
        "style_dim": FEATURES,
        "demodulate": True,
    }
    weight = EqualModulatedWeight(**{**sizes, **changes})
    with torch.no_grad():
        for parameter in weight.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draws(parameter.numel())))
    return weight


def randoms(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=draws(seed))


def features() -> Tensor:
    return randoms(BATCH, INPUTS, SIDE, SIDE)


def styles() -> Tensor:
    """Styles of very different sizes in one batch."""
    return randoms(BATCH, FEATURES, seed=1) * torch.tensor([[0.01], [1.0], [40.0]])


def expected_of(weight: ModulatedWeight, **how: bool) -> Tensor:
    style = weight.modulation(styles())
    return plain_modulated(features(), weight.weight, style, gain=weight.gain, **how)


@pytest.mark.parametrize("upsample", [False, True], ids=["same size", "doubled"])
@pytest.mark.parametrize("demodulate", [True, False], ids=["demodulated", "bare"])
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_the_result_equals_the_grouped_convolution(
    kernel_size: int, demodulate: bool, upsample: bool
) -> None:
    weight = make_weight(kernel_size=kernel_size, demodulate=demodulate)
    result = fused_convolution(weight, features(), styles(), upsample=upsample)
    expected = expected_of(weight, demodulate=demodulate, upsample=upsample)
    assert result.shape == expected.shape
    scale = expected.detach().abs().amax(dim=(1, 2, 3), keepdim=True)
    torch.testing.assert_close(result / scale, expected / scale, atol=2e-6, rtol=0)


@pytest.mark.parametrize("demodulate", [True, False], ids=["demodulated", "bare"])
def test_both_implementations_agree_in_double_precision(demodulate: bool) -> None:
    weight = make_weight(demodulate=demodulate).double()
    feat, style = features().double(), styles().double()
    expected = plain_modulated(
        feat, weight.weight, weight.modulation(style), gain=weight.gain, demodulate=demodulate
    )
    result = fused_convolution(weight, feat, style, upsample=False)
    assert result.dtype == torch.float64
    torch.testing.assert_close(result, expected, atol=1e-12, rtol=1e-12)


def gradients(
    run: Callable[[Tensor, Tensor], Tensor], weight: nn.Module, direction: Tensor
) -> list[Tensor]:
    feat, style = features().requires_grad_(), styles().requires_grad_()
    variables = [feat, style, *weight.parameters()]
    return list(torch.autograd.grad((run(feat, style) * direction).sum(), variables))


@pytest.mark.parametrize("upsample", [False, True], ids=["same size", "doubled"])
@pytest.mark.parametrize("demodulate", [True, False], ids=["demodulated", "bare"])
def test_gradients_equal_those_of_the_grouped_convolution(demodulate: bool, upsample: bool) -> None:
    weight = make_weight(demodulate=demodulate)
    side = 2 * SIDE + 1 if upsample else SIDE
    direction = randoms(BATCH, OUTPUTS, side, side, seed=2)

    def plain(feat: Tensor, style: Tensor) -> Tensor:
        return plain_modulated(
            feat,
            weight.weight,
            weight.modulation(style),
            gain=weight.gain,
            demodulate=demodulate,
            upsample=upsample,
        )

    result = gradients(
        lambda feat, style: fused_convolution(weight, feat, style, upsample=upsample),
        weight,
        direction,
    )
    for ours, expected in zip(result, gradients(plain, weight, direction), strict=True):
        largest = float(expected.abs().max())
        assert largest > 0
        assert float((ours - expected).abs().max()) < 2e-5 * largest


def test_a_style_of_zero_gives_a_zero_output_and_finite_gradients() -> None:
    weight = make_weight()
    with torch.no_grad():
        weight.modulation.get_parameter("bias").zero_()
    style = torch.zeros(1, FEATURES, requires_grad=True)
    out = fused_convolution(weight, features()[:1], style, upsample=False)
    out.sum().backward()
    assert float(out.detach().abs().max()) == 0
    assert style.grad is not None
    assert style.grad.isfinite().all()


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_the_input_scale_never_exceeds_the_gain(size: float) -> None:
    weight = make_weight()
    style = randoms(BATCH, FEATURES, seed=1)
    with torch.no_grad():
        weight.modulation.get_parameter("bias").zero_()
    modulation = weight.modulate(style * size)
    assert float(modulation.input_scale.detach().abs().max()) == pytest.approx(weight.gain)
    reference = weight.modulate(style)
    torch.testing.assert_close(modulation.input_scale, reference.input_scale, rtol=1e-4, atol=0)
    if size >= 1:
        torch.testing.assert_close(
            modulation.output_scale, reference.output_scale, rtol=1e-4, atol=0
        )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@torch.no_grad()
def test_huge_styles_neither_overflow_nor_lose_accuracy_in_half_precision(
    dtype: torch.dtype,
) -> None:
    weight = make_weight(in_channels=64, out_channels=64)
    weight.modulation.get_parameter("bias").zero_()
    feat, style = randoms(2, 64, 8, 8), randoms(2, FEATURES, seed=1)
    # The affine map is in half precision too: the largest styles are made within its range.
    huge = style * (1e4 if dtype == torch.float16 else 1e6)
    expected = fused_convolution(weight, feat, huge, upsample=False)
    weight.to(dtype)
    result = fused_convolution(weight, feat.to(dtype), huge.to(dtype), upsample=False)
    assert result.dtype == dtype
    assert result.isfinite().all()
    error = (result.float() - expected).norm() / expected.norm()
    # A few roundings: of inputs, style, weights and result.
    assert float(error) < (0.01 if dtype == torch.bfloat16 else 0.0015)


@torch.no_grad()
def test_demodulation_keeps_its_accuracy_under_autocast() -> None:
    weight = make_weight(in_channels=64, out_channels=64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = weight.modulate(randoms(4, FEATURES, seed=1))
    power = result.input_scale.square() @ weight.weight.square().sum(dim=(2, 3)).t()
    assert result.output_scale.dtype == torch.float32
    torch.testing.assert_close(result.output_scale, power.rsqrt(), rtol=1e-5, atol=0)


def test_generated_images_equal_those_of_grouped_convolutions() -> None:
    weight = make_weight(out_channels=3, kernel_size=1, demodulate=False)
    expected = expected_of(weight, demodulate=False)
    result = to_rgb(features(), weight, styles())
    scale = expected.detach().abs().amax(dim=(1, 2, 3), keepdim=True)
    torch.testing.assert_close(result / scale, expected / scale, atol=2e-6, rtol=0)


@pytest.mark.parametrize("upsample", [False, True])
def test_a_style_block_applies_convolution_noise_bias_and_activation(upsample: bool) -> None:
    block = StyleConv(
        in_channels=INPUTS, out_channels=OUTPUTS, style_dim=FEATURES, upsample=upsample
    )
    with torch.no_grad():
        block.weight.fill_(0.7)
        block.activate.bias.copy_(randoms(OUTPUTS))
    side = 2 * SIDE if upsample else SIDE
    noise = randoms(BATCH, 1, side, side, seed=3)
    weight = block.modulated_conv
    out = expected_of(weight, demodulate=True, upsample=upsample)
    if upsample:
        kernel = fir_kernel(gain=4.0).expand(OUTPUTS, 1, 4, 4)
        out = F.conv2d(F.pad(out, (1, 1, 1, 1)), kernel, groups=OUTPUTS)
    out = out + 0.7 * noise + block.activate.bias.view(1, -1, 1, 1)
    expected = F.leaky_relu(out, 0.2) * SQRT_2
    result = block(features(), styles(), noise)
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("upsample", [False, True])
def test_a_clean_style_block_has_its_gain_on_the_convolution_alone(upsample: bool) -> None:
    block = CleanStyleConv(
        in_channels=INPUTS, out_channels=OUTPUTS, style_dim=FEATURES, upsample=upsample
    )
    with torch.no_grad():
        block.weight.fill_(0.7)
        block.bias.copy_(randoms(1, OUTPUTS, 1, 1))
    feat = features()
    if upsample:
        feat = F.interpolate(feat, scale_factor=2, mode="bilinear", align_corners=False)
    noise = randoms(BATCH, 1, *feat.shape[2:], seed=3)
    weight = block.modulated_conv
    out = plain_modulated(
        feat, weight.weight, weight.modulation(styles()), gain=1.0, demodulate=True
    )
    expected = F.leaky_relu(out * SQRT_2 + 0.7 * noise + block.bias, 0.2)
    result = block(features(), styles(), noise)
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("grad", [True, False], ids=["with gradients", "without"])
@pytest.mark.parametrize("kind", [StyleConv, CleanStyleConv])
def test_float32_noise_works_in_a_half_precision_network(
    kind: Callable[..., nn.Module], grad: bool
) -> None:
    block = kind(in_channels=INPUTS, out_channels=OUTPUTS, style_dim=FEATURES).to(torch.bfloat16)
    with torch.set_grad_enabled(grad):
        result = block(
            features().bfloat16(), styles().bfloat16(), randoms(BATCH, 1, SIDE, SIDE, seed=3)
        )
    assert result.dtype == torch.bfloat16


@pytest.mark.parametrize("kind", [ToRGB, CleanToRGB])
def test_images_of_all_scales_are_added(kind: Callable[..., nn.Module]) -> None:
    block = kind(in_channels=INPUTS, style_dim=FEATURES)
    feat = randoms(BATCH, INPUTS, 8, 8)
    coarse = torch.ones(BATCH, 3, 4, 4)
    change = block(feat, styles(), coarse) - block(feat, styles(), None)
    assert change.shape == (BATCH, 3, 8, 8)
    inner = change[..., 2:-2, 2:-2]
    torch.testing.assert_close(inner, torch.ones_like(inner), atol=1e-4, rtol=0)


def test_the_leading_axis_of_published_weights_exists_only_in_the_state_dict() -> None:
    weight = make_weight()
    state = weight.state_dict()
    assert state["weight"].shape == (1, OUTPUTS, INPUTS, 3, 3)
    assert weight.weight.shape == (OUTPUTS, INPUTS, 3, 3)
    assert [key for key, _ in weight.named_parameters()] == list(state)
    assert torch.equal(state["weight"][0], weight.weight)


def test_weights_survive_saving_and_loading() -> None:
    block, other = (
        nn.ModuleDict({"conv": make_weight()}),
        nn.ModuleDict(
            {
                "conv": EqualModulatedWeight(
                    in_channels=INPUTS,
                    out_channels=OUTPUTS,
                    kernel_size=3,
                    style_dim=FEATURES,
                    demodulate=True,
                )
            }
        ),
    )
    state = {key: tensor.clone() for key, tensor in block.state_dict().items()}
    given = dict(state)
    other.load_state_dict(given, strict=True)
    for key, tensor in other.state_dict().items():
        assert torch.equal(tensor, state[key]), key
    assert given["conv.weight"].ndim == 5, "the caller's state was changed"


def test_weights_of_another_shape_are_refused() -> None:
    weight = make_weight()
    state = dict(weight.state_dict())
    for shape in [
        (2, OUTPUTS, INPUTS, 3, 3),
        (1, OUTPUTS, INPUTS, 1, 1),
        (1, INPUTS, OUTPUTS, 3, 3),
    ]:
        with pytest.raises(RuntimeError, match="size mismatch for weight"):
            weight.load_state_dict({**state, "weight": torch.zeros(shape)})


@torch.no_grad()
def test_weights_can_be_laid_out_channels_last() -> None:
    weight = make_weight()
    expected = fused_convolution(weight, features(), styles(), upsample=False)
    weight.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert weight.weight.is_contiguous(memory_format=torch.channels_last)
    feat = features().contiguous(memory_format=torch.channels_last)
    result = fused_convolution(weight, feat, styles(), upsample=False)
    assert result.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(result, expected, atol=1e-4, rtol=1e-5)
