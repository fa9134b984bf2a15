"""A face is averaged with its neighbours where they show the same, and nowhere else."""

import cv2
import numpy as np
import pytest
import torch
from support.faces import example_pictures
from torch import Tensor

from vidrestore.restore import motion_average as neighbours
from vidrestore.restore.motion_average import CropView, make_thumbnail, motion_compensated_average

SIGMA = 0.04
MOUTH = (slice(None), slice(150, 176), slice(100, 156))


def face() -> Tensor:
    """Return a face that fills a picture of 256 pixels."""
    cut = example_pictures(1)[0][0:256, 170:426]
    return torch.from_numpy(cut.copy()).permute(2, 0, 1).float() / 255


def noisy(picture: Tensor, seed: int) -> Tensor:
    rng = np.random.default_rng(seed)
    noise = torch.from_numpy(rng.normal(0, SIGMA, picture.shape).astype(np.float32))
    return (picture + noise).clamp(0, 1)


def sighted(crop: Tensor) -> CropView:
    return CropView(crop, make_thumbnail(crop))


def shifted(picture: Tensor, x: float, y: float) -> Tensor:
    hwc = np.ascontiguousarray(picture.permute(1, 2, 0).numpy())
    moved = cv2.warpAffine(
        hwc, np.array([[1, 0, x], [0, 1, y]]), (256, 256), borderMode=cv2.BORDER_REPLICATE
    )
    return torch.from_numpy(moved).permute(2, 0, 1)


def error(picture: Tensor, truth: Tensor) -> float:
    inner = (slice(None), slice(20, -20), slice(20, -20))
    return float((picture - truth)[inner].square().mean().sqrt())


def sharpness(picture: Tensor) -> float:
    return float(picture.diff(dim=1).abs().mean() + picture.diff(dim=2).abs().mean())


@pytest.mark.parametrize("step_px", [0.0, 2.5])
def test_noise_falls_by_the_number_of_frames_whether_a_face_rests_or_moves(step_px: float) -> None:
    clean = face()
    clip = [noisy(shifted(clean, step_px * k, -step_px * k / 2), seed=k + 2) for k in range(-2, 3)]
    found = motion_compensated_average(
        sighted(clip[2]), [sighted(clip[k]) for k in (1, 3)], [sighted(clip[k]) for k in (0, 4)]
    )
    assert error(clip[2], clean) > 0.9 * SIGMA
    assert error(found, clean) < 0.55 * SIGMA
    assert sharpness(
        motion_compensated_average(sighted(clean), [sighted(clean)])
    ) > 0.99 * sharpness(clean)


def test_a_mouth_that_opens_for_a_frame_stays_open_in_it_and_closed_beside_it() -> None:
    closed = face()
    opened = closed.clone()
    opened[MOUTH] *= 0.3
    frames = [closed, opened, closed]
    seen = [sighted(noisy(frame, seed=k)) for k, frame in enumerate(frames)]
    change = float((closed - opened)[MOUTH].mean())
    for here in (0, 1):
        others = [each for k, each in enumerate(seen) if k != here]
        found = motion_compensated_average(seen[here], others)
        kept = float((closed - found)[MOUTH].mean()) - (change if here else 0.0)
        assert abs(kept) < (0.05 if here else 0.15) * change
        assert error(found, frames[here]) < 0.9 * SIGMA


def test_light_that_flickers_stays_that_of_its_own_frame() -> None:
    clean = face() * 0.8
    seen = [sighted(noisy(clean * gain, seed=k)) for k, gain in enumerate((1.0, 0.85, 1.15))]
    found = motion_compensated_average(seen[0], seen[1:])
    assert float(found.mean()) == pytest.approx(float(seen[0].crop_chw.mean()), abs=0.002)
    assert error(found, clean) < 0.75 * SIGMA


def test_a_frame_shown_twice_does_not_count_for_a_neighbour() -> None:
    clean = face()
    seen = [sighted(noisy(clean, seed=k)) for k in range(3)]
    again = sighted(seen[0].crop_chw.clone())
    assert motion_compensated_average(seen[0], [again]) is seen[0].crop_chw
    alone = motion_compensated_average(seen[0], [seen[1]], [seen[2]])
    assert torch.equal(motion_compensated_average(seen[0], [again, seen[1]], [seen[2]]), alone)


def test_alone_or_at_no_strength_a_crop_is_returned_itself() -> None:
    here, other = sighted(face()), sighted(noisy(face(), 1))
    assert motion_compensated_average(here, []) is here.crop_chw
    assert motion_compensated_average(here, [other], strength=0.0) is here.crop_chw


def test_strength_says_how_much_of_the_neighbours_is_taken() -> None:
    clean = face()
    seen = [sighted(noisy(clean, seed=k)) for k in range(3)]
    errors = [
        error(motion_compensated_average(seen[0], seen[1:], strength=strength), clean)
        for strength in (0.0, 0.3, 1.0)
    ]
    assert errors[0] > 1.1 * errors[1] > 1.2 * errors[2]


def test_both_devices_average_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    clean = face()
    clip = [sighted(noisy(shifted(clean, 2.0 * k, 0.0), seed=k)) for k in range(3)]
    by_opencv = motion_compensated_average(clip[1], [clip[0], clip[2]])
    monkeypatch.setattr(neighbours, "_average_by_opencv", neighbours._average_by_torch)
    by_torch = motion_compensated_average(clip[1], [clip[0], clip[2]])
    torch.testing.assert_close(by_opencv, by_torch, atol=0.004, rtol=0)
