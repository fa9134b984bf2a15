"""Crops of a batch are averaged over time as ``motion_average`` averages them one by one."""

import numpy as np
import pytest
import torch
from support.noisy_crops import crops
from torch import Tensor
from torch.nn import functional as F

from vidrestore.optical_flow import dense_flow
from vidrestore.pipeline.on_device.average import (
    Neighbors,
    make_thumbnails,
    motion_compensated_averages,
)
from vidrestore.restore.motion_average import (
    CropView,
    make_thumbnail,
    make_view,
    motion_compensated_average,
)


def clip(side_px: int) -> list[Tensor]:
    return [F.avg_pool2d(crop[None], 512 // side_px)[0] for crop in crops()]


def neighbors_of(index: int, images: list[Tensor]) -> Neighbors:
    """Return all other images as neighbors of one; the third place is empty."""
    stacked = torch.stack(images)
    thumbnails, grays = make_thumbnails(stacked)
    others = [number for number in range(len(images)) if number != index] + [index]
    flows = [dense_flow(grays[index].numpy(), grays[other].numpy(), quick=True) for other in others]
    moved = torch.from_numpy(np.stack(flows)).permute(0, 3, 1, 2)
    return Neighbors(
        crops=tuple(stacked[other][None] for other in others),
        thumbnails=thumbnails[others][None],
        flows=moved[None],
        exist=torch.tensor([[other != index for other in others]]),
        adjacent=torch.tensor([[abs(other - index) == 1 for other in others]]),
    )


def averaged(index: int, images: list[Tensor], *, coarse: bool) -> Tensor:
    thumbnails, _ = make_thumbnails(images[index][None])
    return motion_compensated_averages(
        images[index][None],
        thumbnails,
        neighbors_of(index, images),
        strength=1.0,
        coarse_color=coarse,
    )[0]


def expected(index: int, images: list[Tensor], *, coarse: bool) -> Tensor:
    views = [make_view(image, coarse_color=coarse) for image in images]

    def at(distances: range) -> list[CropView]:
        return [view for other, view in enumerate(views) if abs(other - index) in distances]

    return motion_compensated_average(views[index], at(range(1, 2)), at(range(2, 9)))


@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("side_px", [512, 256])
@pytest.mark.parametrize("index", [0, 1])
def test_a_batch_is_averaged_as_one_by_one(index: int, side_px: int, coarse: bool) -> None:
    images = clip(side_px)
    result = averaged(index, images, coarse=coarse)
    apart = (result - expected(index, images, coarse=coarse)).abs() * 255
    assert float(apart.max()) < 2.0
    assert float(apart.mean()) < 0.05
    assert float((result - images[index]).abs().mean()) * 255 > 1


def test_a_repeated_frame_does_not_count() -> None:
    first, second, *_ = clip(256)
    images = [first, first.clone(), second]
    apart = averaged(0, images, coarse=False) - expected(0, images, coarse=False)
    assert float(apart.abs().max()) * 255 < 2.0
    alone = averaged(0, [first, first.clone()], coarse=False)
    torch.testing.assert_close(alone, first)


def test_a_thumbnail_has_the_gray_levels_of_a_cpu() -> None:
    thumbnails, grays = make_thumbnails(torch.stack(clip(512)))
    for index, crop in enumerate(clip(512)):
        thumbnail = make_thumbnail(crop)
        np.testing.assert_allclose(
            thumbnails[index].permute(1, 2, 0).numpy(), thumbnail.rgb_hwc, atol=1e-5
        )
        apart = np.abs(grays[index].numpy().astype(int) - thumbnail.gray_hw)
        assert apart.max() <= 1
        assert (apart > 0).mean() < 0.001
