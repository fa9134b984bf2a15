"""Recorded networks: once for each shape, and step by step where that fails."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from vidrestore.models.common.outputs import RestorerOutput
from vidrestore.models.registry import RestorerSpec
from vidrestore.restore.recorded_network import RecordedNetwork, Run
from vidrestore.restore.restorer import Restorer

CPU = torch.device("cpu")


class Darker(nn.Module):
    """Halves, and counts its runs."""

    def __init__(self) -> None:
        super().__init__()
        self.runs = 0

    def forward(self, image: Tensor) -> RestorerOutput:
        self.runs += 1
        return RestorerOutput(image=image * 0.5)


def recorder(shapes: list[tuple[int, ...]]) -> Callable[[nn.Module, Tensor], Run]:
    """Return a stand-in for ``record_graph`` that notes what it records."""

    def record(network: nn.Module, sample: Tensor) -> Run:
        shapes.append(tuple(sample.shape))
        return lambda image: network(image)

    return record


def test_every_shape_is_recorded_once() -> None:
    shapes: list[tuple[int, ...]] = []
    network = RecordedNetwork(Darker(), recorder(shapes))
    for size in (4, 8, 4, 8, 4):
        image = torch.rand(2, 3, size, size)
        assert torch.equal(network(image).image, image * 0.5)
    assert shapes == [(2, 3, 4, 4), (2, 3, 8, 8)]
    assert network.failure is None


def test_a_network_that_cannot_be_recorded_runs_step_by_step_and_says_why() -> None:
    def refuse(network: nn.Module, sample: Tensor) -> Run:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    network = RecordedNetwork(Darker(), refuse)
    image = torch.rand(1, 3, 4, 4)
    for _ in range(2):
        assert torch.equal(network(image).image, image * 0.5)
    assert network.failure == "operation not permitted when stream is capturing"


def test_running_out_of_memory_while_recording_is_not_taken_for_a_network_that_cannot() -> None:
    def fill(network: nn.Module, sample: Tensor) -> Run:
        raise torch.OutOfMemoryError("CUDA out of memory")

    network = RecordedNetwork(Darker(), fill)
    with pytest.raises(RuntimeError, match="out of memory"):
        network(torch.rand(1, 3, 4, 4))
    assert network.failure is None


def test_a_restorer_with_recorded_networks_gives_the_same_crops() -> None:
    spec = RestorerSpec(build=Darker, crop_size_px=512, license="none")
    plain, recorded = (
        Restorer(Darker(), spec, device=CPU, dtype=torch.float32, small_networks={128: Darker})
        for _ in range(2)
    )
    shapes: list[tuple[int, ...]] = []
    recorded.record_networks(recorder(shapes))
    crops = torch.rand(3, 3, 512, 512)
    assert torch.equal(recorded.restore_images(crops), plain.restore_images(crops))
    assert torch.equal(
        recorded.restore_images(crops[..., :128, :128]),
        plain.restore_images(crops[..., :128, :128]),
    )
    assert shapes == [(3, 3, 512, 512), (3, 3, 128, 128)]
    assert recorded.recording_failure is None
