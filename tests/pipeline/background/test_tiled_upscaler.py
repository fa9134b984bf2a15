"""A network of factor four at every size: what it sees, and what becomes of its output."""

import pytest
import torch
from support.golden import draws
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.errors import ConfigError, DeviceError, WeightsError
from vidrestore.models.upscalers.compact import CompactUpscaler
from vidrestore.pipeline.background.tiled_upscaler import Factors, SuperResolution, Upscaler
from vidrestore.pipeline.background.upscale_frames import Background
from vidrestore.types import DisplayGeometry

CPU = torch.device("cpu")


class Watched(nn.Module):
    """Repeats pixels four times, and records the sizes of the images."""

    def __init__(self, *, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))
        self.seen: list[tuple[int, ...]] = []

    def forward(self, rgb_NCHW: Tensor) -> Tensor:
        self.seen.append(tuple(rgb_NCHW.shape[-2:]))
        return F.interpolate(rgb_NCHW, scale_factor=4.0, mode="nearest") * self.gain


def upscaler(network: nn.Module, scale: int | None, *, factor: int = 4) -> Upscaler:
    result = SuperResolution(
        name="net",
        kind="a network",
        factor=factor,
        module=network,
        call=network,
        supported_dtype=lambda wished: wished,
        channels_last=True,
        takes_float32=True,
        context_px=3,
    )
    return Upscaler(result, device=CPU, dtype=torch.float32, scale=scale)


@pytest.mark.parametrize(
    ("network", "scale", "shrink", "surplus"),
    [
        (4, 4, 1, 1),
        (4, None, 1, 1),
        (4, 2, 2, 1),
        (4, 1, 2, 2),
        (2, 2, 1, 1),
        (2, 1, 1, 2),
        (1, 1, 1, 1),
        (3, 1, 1, 3),
    ],
)
def test_the_factor_of_the_network_is_reduced_to_the_scale(
    network: int, scale: int | None, shrink: int, surplus: int
) -> None:
    factors = Factors.of("net", network, scale)

    assert (factors.shrink, factors.surplus) == (shrink, surplus)
    assert factors.scale * factors.shrink * factors.surplus == factors.network


@pytest.mark.parametrize(("network", "scale"), [(2, 4), (3, 2), (1, 2)])
def test_a_size_that_the_network_cannot_produce_is_refused(network: int, scale: int) -> None:
    with pytest.raises(ConfigError, match=rf"--scale {scale}: net enlarges {network} times"):
        Factors.of("net", network, scale)


@pytest.mark.parametrize(("scale", "share"), [(1, 2), (2, 2), (4, 1)])
@pytest.mark.parametrize("size_hw", [(1, 1), (2, 3), (31, 64), (40, 41)])
def test_every_size_is_enlarged_by_exactly_the_scale(
    size_hw: tuple[int, int], scale: int, share: int
) -> None:
    network = Watched()
    tiled = upscaler(network, scale)
    result = tiled.upscale(torch.rand(3, *size_hw, generator=draws()))

    assert tuple(result.shape) == (3, scale * size_hw[0], scale * size_hw[1])
    assert network.seen[-1] == tuple(-(-side // share) for side in size_hw)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_a_uniform_color_is_unchanged_up_to_the_edges(scale: int) -> None:
    color = torch.tensor([0.2, 0.5, 0.9])[:, None, None].expand(3, 33, 47)

    result = upscaler(Watched(), scale).upscale(color)

    torch.testing.assert_close(result, color[:, :1, :1].expand_as(result), atol=1e-6, rtol=0)


def test_values_beyond_black_and_white_are_clipped_before_averaging() -> None:
    picture = torch.zeros(3, 8, 8)
    picture[:, ::2] = 1.0  # rows of black and white
    result = upscaler(Watched(gain=3.0), 1)

    # The network sees gray, 0.5, and makes 1.5 of it.
    assert torch.equal(result.upscale(picture), torch.ones(3, 8, 8))


def test_a_network_with_another_factor_than_declared_is_refused() -> None:
    with pytest.raises(WeightsError, match="should enlarge 8 times"):
        upscaler(Watched(), 4, factor=8)


@pytest.mark.parametrize(("scale", "side", "context"), [(1, 512, 6), (2, 512, 6), (4, 256, 3)])
def test_tile_side_and_context_suit_the_network(scale: int, side: int, context: int) -> None:
    result = upscaler(Watched(), scale)

    assert (result.tile_side_px, result.context_px) == (side, context)


def test_the_cost_is_measured_for_the_largest_tile_and_extended_to_all() -> None:
    network = Watched()
    background = Background(
        upscaler(network, 1), DisplayGeometry(coded_hw=(600, 700)), on_share=lambda _: None
    )
    cost = background.cost(250)
    assert cost is not None

    # Two rows of 320 and 280, two columns of 352 and 348, each with 6 pixels more: half of it.
    assert network.seen[-1] == (163, 179)
    assert cost.tiles_per_frame == 4
    assert cost.seconds_per_tile > 0
    line = cost.line(250)
    assert line.startswith("--background net: ")
    assert " s a tile x 4 tiles a frame x 250 frames: about " in line
    assert "a frame (cpu)" in cost.line(None)


def test_the_cost_of_a_small_job_is_not_measured() -> None:
    network = Watched()
    background = Background(
        upscaler(network, 1), DisplayGeometry(coded_hw=(600, 700)), on_share=lambda _: None
    )
    calls = len(network.seen)

    assert background.cost(1) is None
    assert len(network.seen) == calls


def test_the_receptive_field_of_a_compact_network_is_its_context() -> None:
    network = CompactUpscaler(features=4, convolutions=1)
    result = upscaler(network, 4)
    picture = torch.rand(3, 20, 40, generator=draws())

    full = result.upscale(picture)
    right = result.upscale(picture[:, :, 20 - result.context_px :])
    torch.testing.assert_close(right[:, :, 12:], full[:, :, 80:], atol=1e-6, rtol=0)


class Hungry(Watched):
    """Has no memory left for anything."""

    def forward(self, rgb_NCHW: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_running_out_of_memory_does_not_change_the_precision() -> None:
    with pytest.raises(DeviceError, match="out of memory"):
        upscaler(Hungry(), None)
