import cv2
import numpy as np
import pytest
import torch
from support.faces import example_images
from torch import Tensor

from vidrestore.restore.motion_average import CropView, make_view, motion_compensated_average
from vidrestore.types import FloatArray

SIGMA = 0.04
MOUTH = (slice(None), slice(150, 176), slice(100, 156))


def face() -> Tensor:
    """Return a face that fills an image of 256 pixels."""
    square = example_images(1)[0][0:256, 170:426]
    return torch.from_numpy(square.copy()).permute(2, 0, 1).float() / 255


def noisy(image: Tensor, seed: int) -> Tensor:
    rng = np.random.default_rng(seed)
    noise = torch.from_numpy(rng.normal(0, SIGMA, image.shape).astype(np.float32))
    return (image + noise).clamp(0, 1)


def view_of(crop: Tensor) -> CropView:
    return make_view(crop)


def shifted(image: Tensor, x: float, y: float) -> Tensor:
    hwc = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    moved = cv2.warpAffine(
        hwc, np.array([[1, 0, x], [0, 1, y]]), (256, 256), borderMode=cv2.BORDER_REPLICATE
    )
    return torch.from_numpy(moved).permute(2, 0, 1)


def error(image: Tensor, truth: Tensor) -> float:
    inner = (slice(None), slice(20, -20), slice(20, -20))
    return float((image - truth)[inner].square().mean().sqrt())


def sharpness(image: Tensor) -> float:
    return float(image.diff(dim=1).abs().mean() + image.diff(dim=2).abs().mean())


@pytest.mark.parametrize("step_px", [0.0, 2.5])
def test_averaging_reduces_noise_by_the_number_of_frames_at_rest_and_in_motion(
    step_px: float,
) -> None:
    clean = face()
    clip = [noisy(shifted(clean, step_px * k, -step_px * k / 2), seed=k + 2) for k in range(-2, 3)]
    average = motion_compensated_average(
        view_of(clip[2]), [view_of(clip[k]) for k in (1, 3)], [view_of(clip[k]) for k in (0, 4)]
    )
    assert error(clip[2], clean) > 0.9 * SIGMA
    assert error(average, clean) < 0.55 * SIGMA
    assert sharpness(
        motion_compensated_average(view_of(clean), [view_of(clean)])
    ) > 0.99 * sharpness(clean)


def test_a_mouth_open_in_one_frame_stays_open_there_and_closed_in_neighbors() -> None:
    closed = face()
    opened = closed.clone()
    opened[MOUTH] *= 0.3
    frames = [closed, opened, closed]
    views = [view_of(noisy(frame, seed=k)) for k, frame in enumerate(frames)]
    change = float((closed - opened)[MOUTH].mean())
    for index in (0, 1):
        others = [view for k, view in enumerate(views) if k != index]
        average = motion_compensated_average(views[index], others)
        kept = float((closed - average)[MOUTH].mean()) - (change if index else 0.0)
        assert abs(kept) < (0.05 if index else 0.15) * change
        assert error(average, frames[index]) < 0.9 * SIGMA


def test_flickering_light_is_kept_in_each_frame() -> None:
    clean = face() * 0.8
    views = [view_of(noisy(clean * gain, seed=k)) for k, gain in enumerate((1.0, 0.85, 1.15))]
    average = motion_compensated_average(views[0], views[1:])
    assert float(average.mean()) == pytest.approx(float(views[0].crop_chw.mean()), abs=0.002)
    assert error(average, clean) < 0.75 * SIGMA


def test_a_repeated_frame_does_not_count_as_a_neighbor() -> None:
    clean = face()
    views = [view_of(noisy(clean, seed=k)) for k in range(3)]
    duplicate = view_of(views[0].crop_chw.clone())
    assert motion_compensated_average(views[0], [duplicate]) is views[0].crop_chw
    alone = motion_compensated_average(views[0], [views[1]], [views[2]])
    assert torch.equal(
        motion_compensated_average(views[0], [duplicate, views[1]], [views[2]]), alone
    )


def test_without_neighbors_or_strength_the_crop_is_returned_unchanged() -> None:
    current, other = view_of(face()), view_of(noisy(face(), 1))
    assert motion_compensated_average(current, []) is current.crop_chw
    assert motion_compensated_average(current, [other], strength=0.0) is current.crop_chw


def test_strength_is_the_weight_of_the_neighbors() -> None:
    clean = face()
    views = [view_of(noisy(clean, seed=k)) for k in range(3)]
    errors = [
        error(motion_compensated_average(views[0], views[1:], strength=strength), clean)
        for strength in (0.0, 0.3, 1.0)
    ]
    assert errors[0] > 1.1 * errors[1] > 1.2 * errors[2]


def test_averaging_subsampled_chroma_hardly_costs_quality() -> None:
    clean = enlarged(face().permute(1, 2, 0).numpy())
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    crops = [(clean + grain_of_420(seed)).clamp(0, 1) for seed in range(5)]
    luma_errors: list[float] = []
    color_errors: list[float] = []
    for coarse_color in (False, True):
        views = [make_view(crop, coarse_color=coarse_color) for crop in crops]
        average = motion_compensated_average(views[2], [views[1], views[3]], [views[0], views[4]])
        rest = average - clean
        luma = (rest * weights).sum(dim=0, keepdim=True)
        luma_errors.append(error(luma, torch.zeros(1)))
        color_errors.append(error(rest - luma, torch.zeros(1)))
    assert luma_errors[1] == pytest.approx(luma_errors[0], rel=0.02)
    assert color_errors[1] < 1.2 * color_errors[0]


def enlarged(image_hwc: FloatArray) -> Tensor:
    large = np.asarray(cv2.resize(image_hwc, (512, 512)), dtype=np.float32)
    return torch.from_numpy(large).permute(2, 0, 1)


def grain_of_420(seed: int) -> Tensor:
    """Return the noise of a 4:2:0 film, enlarged to a crop by 1.4."""
    rng = np.random.default_rng(seed)
    luma = rng.normal(0, SIGMA, (366, 366, 1)).astype(np.float32)
    color = rng.normal(0, SIGMA, (183, 183, 3)).astype(np.float32)
    color -= color @ np.array([0.299, 0.587, 0.114], np.float32)[:, None]
    return enlarged(luma + np.asarray(cv2.resize(color, (366, 366)), dtype=np.float32))


@pytest.mark.parametrize("side_px", [128, 256, 384, 640])
def test_gray_crops_are_averaged_equally_with_and_without_chroma_subsampling(side_px: int) -> None:
    gray = face().mean(dim=0, keepdim=True)
    crops = [noisy(gray, seed).expand(3, -1, -1)[None] for seed in range(3)]
    crops = [torch.nn.functional.interpolate(crop, (side_px, side_px))[0] for crop in crops]
    fine, coarse = (
        motion_compensated_average(views[0], views[1:])
        for views in (
            [make_view(crop, coarse_color=coarse_color) for crop in crops]
            for coarse_color in (False, True)
        )
    )
    torch.testing.assert_close(coarse, fine, atol=1e-3, rtol=0)


def test_opencv_and_torch_give_the_same_average() -> None:
    clean = face()
    clip = [view_of(noisy(shifted(clean, 2.0 * k, 0.0), seed=k)) for k in range(3)]
    by_opencv = motion_compensated_average(clip[1], [clip[0], clip[2]])
    clip = [view._replace(images=()) for view in clip]
    by_torch = motion_compensated_average(clip[1], [clip[0], clip[2]])
    torch.testing.assert_close(by_opencv, by_torch, atol=0.004, rtol=0)
