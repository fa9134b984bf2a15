"""The contract of every restorer in the table."""

import pytest
import torch

from vidrestore.errors import UnknownModelError
from vidrestore.models.table import RESTORERS, restorer_spec
from vidrestore.pipeline.networks import load_restorer
from vidrestore.restore.restorer import Restorer

CPU = torch.device("cpu")


def crops(count: int, side: int) -> torch.Tensor:
    coarse = torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear")


@pytest.fixture(scope="module", params=sorted(RESTORERS))
def restorer(request: pytest.FixtureRequest) -> Restorer:
    return load_restorer(request.param, device=CPU, dtype=torch.float32)


def test_a_crop_is_restored_the_same_alone_and_in_a_batch(restorer: Restorer) -> None:
    batch = crops(3, restorer.spec.crop_size_px)
    together = restorer.restore(batch)
    alone = torch.cat([restorer.restore(crop[None]) for crop in batch])
    assert together.shape == batch.shape
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_the_same_crop_twice_gives_the_same_bits(restorer: Restorer) -> None:
    batch = crops(1, restorer.spec.crop_size_px)
    assert torch.equal(restorer.restore(batch), restorer.restore(batch))


def test_the_result_lies_in_range_and_is_not_the_input(restorer: Restorer) -> None:
    batch = crops(1, restorer.spec.crop_size_px) * 1.4 - 0.2
    restored = restorer.restore(batch.clamp(0, 1))
    assert float(restored.min()) >= 0.0
    assert float(restored.max()) <= 1.0
    assert not torch.equal(restored, batch.clamp(0, 1))


def test_other_sizes_are_refused(restorer: Restorer) -> None:
    with pytest.raises(ValueError, match="crops must be"):
        restorer.restore(torch.zeros(1, 3, 100, 128))


def test_bf16_stays_close_to_fp32(restorer: Restorer) -> None:
    name = next(name for name, spec in RESTORERS.items() if spec is restorer.spec)
    half = load_restorer(name, device=CPU, dtype=torch.bfloat16)
    batch = crops(1, restorer.spec.crop_size_px)
    error = (half.restore(batch) - restorer.restore(batch)).square().mean()
    assert float(-10 * torch.log10(error)) > 40.0


@pytest.mark.parametrize("name", sorted(RESTORERS))
def test_gradients_reach_every_parameter(name: str) -> None:
    network = restorer_spec(name).build()
    # A zero last layer, the identity, would hide the layers before it from the gradient.
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    network(torch.rand(1, 3, 64, 64) * 2 - 1).image.square().mean().backward()
    missing = [
        key
        for key, parameter in network.named_parameters()
        if parameter.grad is None or not bool(parameter.grad.abs().sum() > 0)
    ]
    assert missing == []


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownModelError, match="lite"):
        load_restorer("no-such-model", device=CPU, dtype=torch.float32)
