import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.ops import roi_align

from vidrestore.faces.detection.rotated_crops import Squares, crop_squares, mip_levels


def squares_at(*rows: tuple[int, float, float, float, float]) -> Squares:
    image, x, y, side, roll = zip(*rows, strict=True)
    return Squares(
        torch.tensor(image), torch.tensor([x, y]).T, torch.tensor(side), torch.tensor(roll)
    )


def waves(height: int, width: int, *, cycles: float = 2.0) -> Tensor:
    y, x = np.mgrid[0:height, 0:width] / max(height, width) * 2 * np.pi * cycles
    channels = [np.sin(x), np.cos(y), np.sin(x + y)]
    return torch.from_numpy(np.stack(channels)[None]).float()


def test_an_upright_crop_on_the_pixel_grid_is_copied() -> None:
    image = torch.rand(1, 3, 40, 50, generator=torch.Generator().manual_seed(0))

    crops = crop_squares([image], squares_at((0, 20.0, 18.0, 12.0, 0.0)), 12, taps=1)

    torch.testing.assert_close(crops[0], image[0, :, 12:24, 14:26], atol=1e-5, rtol=0)


def test_a_rotated_box_is_cropped_upright() -> None:
    image = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    square = squares_at((0, 20.0, 20.0, 16.0, np.pi / 2))

    (crop,) = crop_squares([image], square, 16, taps=1)

    turned_counter_clockwise = torch.rot90(image[0, :, 12:28, 12:28], 1, dims=(1, 2))
    torch.testing.assert_close(crop, turned_counter_clockwise, atol=1e-4, rtol=0)


@pytest.mark.parametrize("side", [30.0, 48.0, 96.0, 150.0, 260.0])
def test_a_downscaled_crop_is_the_mean_over_areas(side: float) -> None:
    image = waves(300, 400)

    crops = crop_squares(mip_levels(image), squares_at((0, 190.3, 151.7, side, 0.0)), 48)

    half = side / 2
    box = torch.tensor([[0.0, 190.3 - half, 151.7 - half, 190.3 + half, 151.7 + half]])
    expected = roi_align(image, box, 48, sampling_ratio=8, aligned=True)
    torch.testing.assert_close(crops, expected, atol=0.03, rtol=0)


@pytest.mark.parametrize("taps", [1, 2])
def test_detail_finer_than_the_crop_is_averaged_and_does_not_alias(taps: int) -> None:
    checks = torch.zeros(1, 3, 256, 256)
    checks[..., ::2, ::2] = 1.0
    checks[..., 1::2, 1::2] = 1.0

    crops = crop_squares(
        mip_levels(checks), squares_at((0, 128.0, 128.0, 240.0, 0.3)), 24, taps=taps
    )

    inner = crops[..., 4:-4, 4:-4]
    torch.testing.assert_close(inner, torch.full_like(inner, 0.5), atol=0.02, rtol=0)


def test_crops_are_zero_outside_the_image() -> None:
    crops = crop_squares([torch.ones(1, 3, 20, 20)], squares_at((0, 0.0, 10.0, 12.0, 0.0)), 12)

    assert crops[0, :, :, :5].abs().max() == 0
    assert crops[0, :, :, 7:].min() > 0.99


def test_every_box_is_cropped_from_its_own_image() -> None:
    images = torch.stack([torch.full((3, 64, 64), float(number)) for number in range(3)])
    squares = squares_at(
        (2, 30.0, 30.0, 20.0, 0.0), (0, 30.0, 30.0, 55.0, 0.0), (1, 30.0, 30.0, 10.0, 0.0)
    )

    crops = crop_squares(mip_levels(images), squares, 8)

    assert crops.mean(dim=(1, 2, 3)).tolist() == pytest.approx([2.0, 0.0, 1.0], abs=1e-5)


def test_landmarks_of_a_crop_map_back_to_the_image() -> None:
    square = squares_at((0, 50.0, 40.0, 20.0, np.pi / 2))

    points = square.to_image(torch.tensor([[[0.5, 0.5], [1.0, 0.5], [0.5, 0.0]]]))

    expected = torch.tensor([[[50.0, 40.0], [50.0, 50.0], [60.0, 40.0]]])
    torch.testing.assert_close(points, expected)
