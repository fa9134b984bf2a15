"""Warping: area-correct, exact where nothing moves, the same on every device."""

import numpy as np
import pytest
import torch

from vidrestore import warp
from vidrestore.warp import warp_image


def affine(scale: float, shift: tuple[float, float] = (0.0, 0.0), angle: float = 0.0) -> np.ndarray:
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]])


def smooth_picture(height: int, width: int) -> torch.Tensor:
    y, x = np.mgrid[0:height, 0:width]
    waves = [0.5 + 0.4 * np.sin(x / (7 + k) + y / (9 - k)) for k in range(3)]
    return torch.from_numpy(np.stack(waves).astype(np.float32))


def test_the_identity_returns_the_image() -> None:
    picture = smooth_picture(40, 50)
    torch.testing.assert_close(warp_image(picture, affine(1.0), (40, 50)), picture)


def test_a_shift_by_whole_pixels_moves_samples_exactly() -> None:
    picture = smooth_picture(40, 50)
    moved = warp_image(picture, affine(1.0, (3.0, -2.0)), (30, 40))
    torch.testing.assert_close(moved[:, :, 3:], picture[:, 2:32, :37])


def test_a_fine_checkerboard_shrinks_to_its_mean_and_not_to_an_alias() -> None:
    y, x = np.mgrid[0:128, 0:128]
    board = torch.from_numpy(((x + y) % 2).astype(np.float32)).expand(3, -1, -1).contiguous()
    shrunk = warp_image(board, affine(0.27, (1.3, 0.4)), (30, 30))[:, 3:-3, 3:-3]
    torch.testing.assert_close(shrunk, torch.full_like(shrunk, 0.5), atol=0.06, rtol=0)


def test_border_samples_are_repeated_outside_the_image() -> None:
    picture = smooth_picture(8, 8)
    moved = warp_image(picture, affine(1.0, (10.0, 0.0)), (8, 18))
    expected = picture[:, :, :1].expand(-1, -1, 9)
    torch.testing.assert_close(moved[:, :, :9], expected, atol=1e-5, rtol=0)


def test_one_channel_keeps_its_shape() -> None:
    assert warp_image(torch.zeros(1, 9, 11), affine(2.0), (18, 22)).shape == (1, 18, 22)


@pytest.mark.parametrize("scale", [2.3, 1.0, 0.95])
def test_opencv_and_torch_warp_alike(scale: float) -> None:
    picture = smooth_picture(48, 64)
    moving = affine(scale, (4.2, -3.7), angle=0.2)
    cubic = scale < 1.2
    by_opencv = warp._warped_by_opencv(picture, moving, (50, 60), cubic=cubic)
    by_torch = warp._warped_by_torch(picture, moving, (50, 60), cubic=cubic)
    torch.testing.assert_close(by_opencv, by_torch, atol=2e-3, rtol=0)


@pytest.mark.parametrize("target_hw", [(128, 160), (45, 60), (31, 77), (96, 3), (1, 1)])
def test_other_devices_average_the_same_areas_as_opencv(target_hw: tuple[int, int]) -> None:
    image = smooth_picture(128, 160)
    by_opencv = warp.average_areas(image, target_hw)
    by_torch = warp._average_areas_by_torch(image, target_hw)
    torch.testing.assert_close(by_torch, by_opencv, atol=2e-4, rtol=0)


@pytest.mark.cuda
def test_gpu_and_cpu_warp_alike(cuda: torch.device) -> None:
    picture = smooth_picture(90, 120)
    for scale in (2.3, 1.0, 0.4):
        moving = affine(scale, (4.2, -3.7), angle=0.2)
        on_gpu = warp_image(picture.to(cuda), moving, (50, 60)).cpu()
        torch.testing.assert_close(on_gpu, warp_image(picture, moving, (50, 60)), atol=0.02, rtol=0)


@pytest.mark.parametrize("angle", [0.0, 0.4])
def test_rows_of_a_field_are_means_over_the_rows_of_a_frame(angle: float) -> None:
    picture = smooth_picture(96, 96)
    to_frame = affine(0.5, (8.3, 6.1), angle)
    to_field = np.array([[1.0, 0.0], [0.0, 0.5]]) @ to_frame
    to_field[1, 2] -= 0.25

    frame = warp_image(picture, to_frame, (48, 48))
    field = warp_image(picture, to_field, (24, 48))

    torch.testing.assert_close(field, frame.reshape(3, 24, 2, 48).mean(dim=2))


def test_a_field_keeps_the_detail_of_its_columns_when_it_shrinks_along_rows_only() -> None:
    # Two columns to one, as many rows as before: nothing is averaged down the columns.
    rows = torch.arange(60) % 2 * 1.0
    picture = rows[None, :, None].expand(3, 60, 40).contiguous()
    to_half_width = np.array([[0.5, 0.0, -0.25], [0.0, 1.0, 0.0]])
    torch.testing.assert_close(warp_image(picture, to_half_width, (60, 20)), picture[:, :, ::2])
