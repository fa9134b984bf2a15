"""RRDBNet with Real-ESRGAN's weights: the published numbers, in any precision and layout."""

import copy

import pytest
import torch
from support.golden import fill_weights, pictures
from torch import Tensor

from vidrestore.models.upscalers.registry import UPSCALERS
from vidrestore.models.upscalers.rrdbnet import RRDBNet
from vidrestore.weights.bundled import bundled_file
from vidrestore.weights.load import load_weights

# Of the published network with these weights, by spandrel 0.4.1 in float32: rows 5, 17, 29 and 41
# and columns 7, 19, 31 and 43 of red, green and blue.
PUBLISHED = """
    0.9269 0.3194 0.0145 0.9697 0.1721 0.8272 0.7633 -0.0186
    0.9889 0.1175 0.1847 0.7807 0.2694 0.9766 0.64 0.0873
    0.1045 0.7939 0.1219 0.8481 0.7859 0.9543 -0.0099 0.72
    0.9393 0.246 0.847 0.123 0.7889 0.0029 1.1047 0.0384
    0.3476 0.7261 0.3483 0.7024 0.7598 0.7511 0.0383 0.7079
    0.6093 0.4238 0.6738 0.2224 0.7723 0.1406 0.7476 0.2093
"""


@pytest.fixture(scope="module")
def x4plus() -> RRDBNet:
    network = RRDBNet()
    with bundled_file(UPSCALERS["realesrgan"].packaged_file) as path:
        load_weights(network, path)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def picture() -> Tensor:
    return pictures(1, 12) * 0.5 + 0.5


def test_the_packaged_weights_give_the_published_numbers(x4plus: RRDBNet, picture: Tensor) -> None:
    large = x4plus(picture)

    assert large.shape == (1, 3, 48, 48)
    expected = torch.tensor([float(word) for word in PUBLISHED.split()])
    result = large[0, :, 5::12, 7::12].flatten()
    torch.testing.assert_close(result, expected, atol=2e-4, rtol=0)
    assert float(large.mean()) == pytest.approx(0.488955, abs=1e-4)
    assert float(large.std()) == pytest.approx(0.328873, abs=1e-4)


def test_bf16_stays_within_45_db_and_gives_float32(x4plus: RRDBNet, picture: Tensor) -> None:
    expected = x4plus(picture).clamp(0, 1)
    half = copy.deepcopy(x4plus).to(torch.bfloat16)
    result = half(picture)

    assert result.dtype == torch.float32
    error = (result.clamp(0, 1) - expected).square().mean()
    assert float(-10 * torch.log10(error)) > 45.0


@pytest.mark.parametrize("shape_hw", [(1, 1), (2, 7), (5, 3)])
def test_images_of_any_size_are_enlarged(shape_hw: tuple[int, int]) -> None:
    network = fill_weights(RRDBNet(features=8, growth=4, blocks=1), "fan_in")
    height, width = shape_hw

    large = network(torch.full((2, 3, height, width), 0.5))

    assert large.shape == (2, 3, 4 * height, 4 * width)
    assert large.isfinite().all()


def test_an_image_is_enlarged_the_same_alone_and_in_a_batch() -> None:
    network = fill_weights(RRDBNet(features=8, growth=4, blocks=2), "fan_in")
    batch = pictures(3, 16) * 0.5 + 0.5

    alone = torch.cat([network(image[None]) for image in batch])

    torch.testing.assert_close(network(batch), alone, atol=1e-6, rtol=0)
