"""The compact network for whole images."""

import pytest
import torch
from support.golden import draws, fill_weights, pictures
from support.zoo import compact_state
from torch import nn

from vidrestore.models.upscalers.compact import CompactUpscaler


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_with_a_zero_residual_every_pixel_is_repeated(scale: int) -> None:
    network = CompactUpscaler(features=8, convolutions=2, scale=scale)
    last = network.body[-1]
    assert isinstance(last, nn.Conv2d)
    nn.init.zeros_(last.weight)
    assert last.bias is not None
    nn.init.zeros_(last.bias)
    picture = torch.rand(2, 3, 5, 7, generator=draws())

    repeated = picture.repeat_interleave(scale, dim=2).repeat_interleave(scale, dim=3)
    assert torch.equal(network(picture), repeated)


def test_tensors_have_the_published_names() -> None:
    network = CompactUpscaler(features=4, convolutions=1, scale=2)
    published = compact_state(2)

    shapes = {key: tensor.shape for key, tensor in network.state_dict().items()}
    assert shapes == {key: tensor.shape for key, tensor in published.items()}


def test_the_output_equals_that_of_the_published_code() -> None:
    registry = pytest.importorskip("spandrel", reason="needs the extra [zoo]").MAIN_REGISTRY
    state = compact_state(3, seed=5)
    network = CompactUpscaler(features=4, convolutions=1, scale=3)
    network.load_state_dict(state)
    picture = pictures(1, 12) * 0.5 + 0.5

    with torch.no_grad():
        expected = registry.load(state).model(picture)
        torch.testing.assert_close(network(picture), expected, atol=1e-6, rtol=0)


def test_the_receptive_field_is_that_of_the_convolutions() -> None:
    network = fill_weights(CompactUpscaler(features=4, convolutions=3, scale=1), "fan_in")
    picture = pictures(1, 24) * 0.5 + 0.5
    other = picture.clone()
    other[:, :, :, 0] += 0.5

    changed = (network(picture) != network(other)).any(dim=(0, 1, 2))
    # The first and the last convolution, and three between them.
    assert not changed[6:].any()
    assert changed[1:4].any()


def test_bf16_keeps_the_levels_of_the_input_image() -> None:
    network = CompactUpscaler(features=4, convolutions=1, scale=2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    picture = torch.linspace(0.9, 1.0, 300).reshape(1, 3, 10, 10)

    result = network.to(torch.bfloat16)(picture)

    assert result.dtype == torch.float32
    assert torch.equal(result[:, :, ::2, ::2], picture)
