"""Resampling by zero insertion, filter and decimation, against loops in NumPy."""

from typing import Any

import numpy as np
import pytest
import torch
from support.golden import draws
from torch import Tensor

from vidrestore.models.stylegan2.fir import FIR_TAPS, FirSmooth, FirUpsample, fir_kernel
from vidrestore.models.stylegan2.layers import ConvLayer

TAPS = [
    (1.0, 3.0, 3.0, 1.0),
    (1.0, 2.0, 1.0),
    (1.0, 2.0, 4.0, 1.0),
    (3.0, 1.0),
    (1.0, 0.0, 2.0, 5.0, 1.0),
]


def picture(side: int = 6) -> Tensor:
    return torch.randn(2, 3, side, side + 2, generator=draws())


def reference_resample(
    plane: Any, taps: tuple[float, ...], *, up: int, pad: tuple[int, int], down: int
) -> Any:
    """Insert zeros, pad, convolve, decimate: one plane, by definition."""
    height, width = plane.shape
    spread = np.zeros((height * up, width * up))
    spread[::up, ::up] = plane
    padded = np.pad(spread, [pad, pad])
    size = len(taps)
    row = np.asarray(taps) / sum(taps) * up
    out = np.zeros((padded.shape[0] - size + 1, padded.shape[1] - size + 1))
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            for i in range(size):
                for j in range(size):
                    # A convolution: the filter runs against the samples.
                    sample = padded[y + size - 1 - i, x + size - 1 - j]
                    out[y, x] += row[i] * row[j] * sample
    return out[::down, ::down]


def reference_planes(feat: Tensor, taps: tuple[float, ...], **how: Any) -> Tensor:
    planes = [
        [reference_resample(plane.numpy(), taps, **how) for plane in sample] for sample in feat
    ]
    return torch.from_numpy(np.asarray(planes, dtype=np.float32))


@pytest.mark.parametrize("taps", TAPS, ids=str)
def test_upsampling_equals_zero_insertion_and_a_filter(taps: tuple[float, ...]) -> None:
    spare = len(taps) - 2
    expected = reference_planes(
        picture(), taps, up=2, pad=((spare + 1) // 2 + 1, spare // 2), down=1
    )
    result = FirUpsample(taps=taps)(picture())
    assert result.shape == (2, 3, 12, 16)
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("taps", TAPS, ids=str)
def test_filtering_after_a_transposed_convolution_doubles_the_size(
    taps: tuple[float, ...],
) -> None:
    grown = torch.randn(2, 3, 13, 17, generator=draws())  # of 6 x 8, by a 3x3 kernel
    spare = len(taps) - 2 - 2
    pad = ((spare + 1) // 2 + 1, spare // 2 + 1)
    result = FirSmooth(kernel_size=3, up=True, taps=taps)(grown)
    assert result.shape == (2, 3, 12, 16)
    expected = reference_planes(grown, taps, up=1, pad=pad, down=1)
    torch.testing.assert_close(result, 4 * expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("taps", TAPS, ids=str)
def test_filtering_before_a_strided_convolution_halves_the_size(
    taps: tuple[float, ...], kernel_size: int
) -> None:
    spare = len(taps) - 2 + kernel_size - 1
    pad = ((spare + 1) // 2, spare // 2)
    result = FirSmooth(kernel_size=kernel_size, up=False, taps=taps)(picture())
    expected = reference_planes(picture(), taps, up=1, pad=pad, down=1)
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-5)
    height, width = result.shape[2:]
    assert ((height - kernel_size) // 2 + 1, (width - kernel_size) // 2 + 1) == (3, 4)


@pytest.mark.parametrize("taps", TAPS, ids=str)
def test_a_filter_with_a_stride_gives_every_second_sample(taps: tuple[float, ...]) -> None:
    dense = FirSmooth(kernel_size=1, up=False, taps=taps)(picture())
    sparse = FirSmooth(kernel_size=1, up=False, taps=taps, stride=2)(picture())
    torch.testing.assert_close(sparse, dense[..., ::2, ::2], atol=1e-6, rtol=0)


@pytest.mark.parametrize("taps", TAPS, ids=str)
def test_a_halving_shortcut_is_filter_then_strided_convolution(taps: tuple[float, ...]) -> None:
    layer = ConvLayer(
        in_channels=3,
        out_channels=4,
        kernel_size=1,
        downsample=True,
        biased=False,
        activated=False,
        taps=taps,
    )
    result = layer(picture())
    assert result.shape == (2, 4, 3, 4)
    filtered = FirSmooth(kernel_size=1, up=False, taps=taps)(picture())
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
    kernel = fir_kernel([1, 2, 4], gain=gain)
    assert float(kernel.sum()) == pytest.approx(gain)
    row = torch.tensor([1.0, 2.0, 4.0]) / 7
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
        kernel = fir_kernel(FIR_TAPS, gain=gain)
        assert torch.equal(kernel.bfloat16().float(), kernel)
