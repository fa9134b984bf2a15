"""Resampling by zero insertion, filter and decimation, against loops in NumPy."""

from typing import Any

import numpy as np
import pytest
import torch
from support.golden import draws
from torch import Tensor

from vidrestore.models.stylegan2.fir import FIR_TAPS, FirSmooth, FirUpsample, fir_kernel
from vidrestore.models.stylegan2.layers import ConvLayer


def picture(side: int = 6) -> Tensor:
    return torch.randn(2, 3, side, side + 2, generator=draws())


def reference_resample(plane: Any, *, up: int, pad: tuple[int, int]) -> Any:
    """Insert zeros, pad, convolve: one plane, by definition."""
    height, width = plane.shape
    spread = np.zeros((height * up, width * up))
    spread[::up, ::up] = plane
    padded = np.pad(spread, [pad, pad])
    size = len(FIR_TAPS)
    row = np.asarray(FIR_TAPS) / sum(FIR_TAPS) * up
    out = np.zeros((padded.shape[0] - size + 1, padded.shape[1] - size + 1))
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            for i in range(size):
                for j in range(size):
                    # A convolution: the filter runs against the samples.
                    sample = padded[y + size - 1 - i, x + size - 1 - j]
                    out[y, x] += row[i] * row[j] * sample
    return out


def reference_planes(feat: Tensor, **how: Any) -> Tensor:
    planes = [[reference_resample(plane.numpy(), **how) for plane in sample] for sample in feat]
    return torch.from_numpy(np.asarray(planes, dtype=np.float32))


def test_upsampling_equals_zero_insertion_and_a_filter() -> None:
    expected = reference_planes(picture(), up=2, pad=(2, 1))
    result = FirUpsample()(picture())
    assert result.shape == (2, 3, 12, 16)
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-5)


def test_filtering_after_a_transposed_convolution_doubles_the_size() -> None:
    grown = torch.randn(2, 3, 13, 17, generator=draws())  # of 6 x 8, by a 3x3 kernel
    result = FirSmooth(kernel_size=3, up=True)(grown)
    assert result.shape == (2, 3, 12, 16)
    expected = reference_planes(grown, up=1, pad=(1, 1))
    torch.testing.assert_close(result, 4 * expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("kernel_size", "padding"), [(1, 1), (3, 2)])
def test_filtering_before_a_strided_convolution_halves_the_size(
    kernel_size: int, padding: int
) -> None:
    result = FirSmooth(kernel_size=kernel_size, up=False)(picture())
    expected = reference_planes(picture(), up=1, pad=(padding, padding))
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-5)
    height, width = result.shape[2:]
    assert ((height - kernel_size) // 2 + 1, (width - kernel_size) // 2 + 1) == (3, 4)


def test_a_filter_with_a_stride_gives_every_second_sample() -> None:
    dense = FirSmooth(kernel_size=1, up=False)(picture())
    sparse = FirSmooth(kernel_size=1, up=False, stride=2)(picture())
    torch.testing.assert_close(sparse, dense[..., ::2, ::2], atol=1e-6, rtol=0)


def test_a_halving_shortcut_is_filter_then_strided_convolution() -> None:
    layer = ConvLayer(
        in_channels=3,
        out_channels=4,
        kernel_size=1,
        downsample=True,
        biased=False,
        activated=False,
    )
    result = layer(picture())
    assert result.shape == (2, 4, 3, 4)
    filtered = FirSmooth(kernel_size=1, up=False)(picture())
    weight = layer[1].get_parameter("weight") / 3**0.5
    expected = torch.nn.functional.conv2d(filtered, weight, stride=2)
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-5)


def test_a_constant_image_stays_constant_inside() -> None:
    flat = torch.full((1, 1, 8, 8), 0.6)
    for resample in (FirUpsample(), FirSmooth(kernel_size=1, up=False)):
        inner = resample(flat)[..., 2:-2, 2:-2]
        torch.testing.assert_close(inner, torch.full_like(inner, 0.6))


@pytest.mark.parametrize("gain", [1.0, 4.0])
def test_the_filter_is_separable_and_sums_to_its_gain(gain: float) -> None:
    kernel = fir_kernel(gain=gain)
    assert float(kernel.sum()) == pytest.approx(gain)
    row = torch.tensor(FIR_TAPS) / 8
    torch.testing.assert_close(kernel, gain * row[:, None] * row[None])


@pytest.mark.parametrize("stored", [False, True])
def test_the_filter_is_in_the_state_dict_only_if_checkpoints_have_it(stored: bool) -> None:
    for resample in (
        FirUpsample(in_state_dict=stored),
        FirSmooth(kernel_size=3, up=True, in_state_dict=stored),
    ):
        assert list(resample.state_dict()) == (["kernel"] if stored else [])
        assert resample.to(torch.bfloat16).kernel.dtype == torch.bfloat16


def test_published_filter_weights_are_exact_in_bf16() -> None:
    for gain in (1.0, 4.0):
        kernel = fir_kernel(gain=gain)
        assert torch.equal(kernel.bfloat16().float(), kernel)
