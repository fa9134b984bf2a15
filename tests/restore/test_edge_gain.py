"""Edges of restored crops gain, and skin, halos and the fidelity end do not."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.faces import tracked_at
from support.frames import GRAY, random_frame
from torch import Tensor

from vidrestore.errors import ConfigError
from vidrestore.metrics.visibility import edges_and_flat
from vidrestore.restore.edge_gain import EdgeGainConfig, strengthen_edges, strengthen_frames
from vidrestore.types import (
    AlignedFace,
    FloatArray,
    RestoredFace,
    RestoredFrame,
)

CONFIG = EdgeGainConfig()
POINTS = np.array([[1, 1], [3, 1], [2, 2], [1, 3], [3, 3]], dtype=np.float32)


def crop(luma: FloatArray) -> Tensor:
    return torch.from_numpy(luma.astype(np.float32))[None].repeat(3, 1, 1)


def soft_disc(*, side_px: int = 128, noise: float = 0.0) -> FloatArray:
    image = np.full((side_px, side_px), 0.6, np.float32)
    cv2.circle(image, (side_px // 2, side_px // 2), side_px // 5, 0.2, -1)
    image = np.asarray(cv2.GaussianBlur(image, (0, 0), 2.0), dtype=np.float32)
    return image + noise * np.random.default_rng(0).normal(size=image.shape).astype(np.float32)


def aligned(crop_chw: Tensor, *, display_to_crop: NDArray[np.float64]) -> AlignedFace:
    face = tracked_at(POINTS)
    return AlignedFace(face=face, display_to_crop=display_to_crop, crop_chw=crop_chw)


def strengthen(
    luma: FloatArray, *, detail: float = 1.0, config: EdgeGainConfig = CONFIG
) -> FloatArray:
    image = strengthen_edges(crop(luma), detail=detail, sigma_px=4.0, config=config)
    return image[0].numpy()


def test_edges_are_strengthened_and_skin_is_smoother_than_with_an_unsharp_mask() -> None:
    before = soft_disc(noise=0.001)
    unsharp = replace(CONFIG, threshold=1e-9)
    edges, flat, edges_unsharp, flat_unsharp = (
        after / reference - 1
        for config in (CONFIG, unsharp)
        for after, reference in zip(
            edges_and_flat(255 * strengthen(before, config=config)),
            edges_and_flat(255 * before),
            strict=True,
        )
    )
    assert edges > 0.3
    assert flat < 0.7 * edges
    assert flat / edges < 0.6 * flat_unsharp / edges_unsharp


def test_edge_gain_grows_with_detail_and_is_zero_at_the_fidelity_end() -> None:
    before = soft_disc()
    edges = [
        edges_and_flat(255 * strengthen(before, detail=detail))[0] for detail in (0.0, 0.5, 1.0)
    ]
    assert edges[0] < edges[1] < edges[2]
    assert np.array_equal(strengthen(before, detail=0.0), before)


def test_halos_are_limited() -> None:
    before = soft_disc()
    kept = strengthen(before, config=replace(CONFIG, overshoot=1.0)).max() - before.max()
    limited = strengthen(before).max() - before.max()
    assert kept > 0.02
    assert limited == pytest.approx(CONFIG.overshoot * kept, abs=2e-3)
    assert strengthen(before, config=replace(CONFIG, overshoot=0.0)).max() <= before.max() + 1e-6


def test_color_channels_change_equally_and_stay_in_range() -> None:
    image = crop(soft_disc())
    image[0] += 0.3
    after = strengthen_edges(image, detail=1.0, sigma_px=4.0, config=CONFIG)
    change = after - image
    inside = (after > 0).all(0) & (after < 1).all(0)
    assert inside.any()
    assert (change[0] - change[2])[inside].abs().max() < 1e-6
    assert after.min() >= 0
    assert after.max() <= 1


def test_edges_of_a_small_face_are_as_wide_as_its_pixels() -> None:
    affine = np.array([[0.0, -4.0, 9.0], [4.0, 0.0, 7.0]])
    for side_px, ratio in ((512, 1.0), (256, 0.5)):
        face = aligned(crop(np.zeros((side_px, side_px), np.float32)), display_to_crop=affine)
        assert CONFIG.sigma_px(face) == pytest.approx(4 * ratio * CONFIG.source_sigma_px)
        face = replace(face, display_to_crop=affine / 16)
        assert CONFIG.sigma_px(face) == ratio * CONFIG.min_sigma_px


def test_edges_of_every_face_are_strengthened_and_frames_stay_in_order() -> None:
    large = np.asarray(cv2.resize(soft_disc(), (512, 512)), dtype=np.float32)
    face = RestoredFace(
        aligned=aligned(crop(large), display_to_crop=np.array([[2.0, 0, 0], [0, 2.0, 0]])),
        restored_chw=crop(large),
    )
    frames = [
        RestoredFrame(frame=random_frame(GRAY, (8, 8), index=index), shot=0, faces=(face, face))
        for index in range(2)
    ]
    strengthened = list(strengthen_frames(iter(frames), detail=1.0, config=CONFIG))
    assert [frame.frame.index for frame in strengthened] == [0, 1]
    expected = strengthen_edges(
        crop(large),
        detail=1.0,
        sigma_px=CONFIG.sigma_px(face.aligned),
        config=CONFIG,
    )
    assert all(
        torch.equal(face.restored_chw, expected) for frame in strengthened for face in frame.faces
    )
    assert torch.equal(face.restored_chw, crop(large))


def test_small_crops_gain_more_and_tiny_ones_as_large_ones() -> None:
    gains = {
        side_px: CONFIG.for_crop(
            aligned(torch.zeros(3, side_px, side_px), display_to_crop=np.eye(2, 3))
        ).gain
        for side_px in (128, 256, 512)
    }
    assert gains[256] == CONFIG.small_gain * CONFIG.gain > gains[512] == gains[128] == CONFIG.gain


@pytest.mark.parametrize(
    "settings",
    [
        {"gain": -0.1},
        {"min_sigma_px": 0.0},
        {"threshold": 0.0},
        {"overshoot": 1.5},
        {"small_gain": -1},
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        EdgeGainConfig(**settings)
