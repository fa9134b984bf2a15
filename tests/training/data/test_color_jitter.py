"""Colors change on the degraded side alone, as often and as much as GFP-GAN's option file says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.facefolders import write_faces

from vidrestore.errors import ConfigError
from vidrestore.training.data.color_jitter import ColorJitter, ColorJitterConfig, to_gray
from vidrestore.training.data.dataset import DatasetConfig, FaceDataset, SourceConfig
from vidrestore.training.degradations.base import DegradedPair
from vidrestore.training.degradations.recipes.table import RecipeConfig

NOTHING = ColorJitter(shift_rgb=None, is_gray=False, is_target_gray=False, tones=())
IMAGE = np.random.default_rng(0).integers(0, 256, (6, 7, 3)).astype(np.float32) / 255


def jittered_image(**changes: object) -> np.ndarray:
    pair = replace(NOTHING, **changes).apply(DegradedPair(IMAGE, IMAGE))
    assert pair.target is IMAGE
    return pair.degraded


def test_changes_have_the_released_frequency_and_size() -> None:
    rng = np.random.default_rng(3)
    drawn = [ColorJitterConfig().draw(rng) for _ in range(4000)]
    shifts = np.array([jitter.shift_rgb for jitter in drawn if jitter.shift_rgb is not None])
    assert len(shifts) / len(drawn) == pytest.approx(0.3, abs=0.03)
    assert np.abs(shifts).max() == pytest.approx(20 / 255, abs=1e-3)
    assert sum(bool(jitter.tones) for jitter in drawn) / len(drawn) == pytest.approx(0.3, abs=0.03)
    assert sum(jitter.is_gray for jitter in drawn) / len(drawn) == pytest.approx(0.01, abs=0.006)
    orders = {tuple(name for name, _ in jitter.tones) for jitter in drawn if jitter.tones}
    assert len(orders) == 24, "all four, in any order"
    factors = {name: [] for name in ("brightness", "contrast", "saturation", "hue")}
    for jitter in drawn:
        for name, factor in jitter.tones:
            factors[name].append(factor)
    ranges = {name: (round(min(f), 1), round(max(f), 1)) for name, f in factors.items()}
    assert ranges == {
        "brightness": (0.5, 1.5),
        "contrast": (0.5, 1.5),
        "saturation": (0.0, 1.5),
        "hue": (-0.1, 0.1),
    }


def test_a_shift_and_a_gray_image_equal_values_computed_by_hand() -> None:
    np.testing.assert_allclose(jittered_image(), IMAGE, atol=1e-6)
    shifted = jittered_image(shift_rgb=(20 / 255, 0.0, -20 / 255))
    expected = np.clip(np.rint(IMAGE * 255) + np.array([20, 0, -20]), 0, 255) / 255
    np.testing.assert_allclose(shifted, expected, atol=1e-6)
    luma = IMAGE @ np.array([0.299, 0.587, 0.114], np.float32)
    np.testing.assert_allclose(to_gray(IMAGE), np.repeat(luma[:, :, None], 3, 2), atol=1e-6)
    pair = replace(NOTHING, is_gray=True, is_target_gray=True).apply(DegradedPair(IMAGE, IMAGE))
    np.testing.assert_allclose(pair.degraded, pair.target, atol=0.5 / 255 + 1e-6)


def test_tone_changes_are_applied_in_the_given_order() -> None:
    bright = jittered_image(tones=(("brightness", 0.5),))
    np.testing.assert_allclose(bright, np.rint(IMAGE * 127.5) / 255, atol=1e-6)
    flat = jittered_image(tones=(("saturation", 0.0), ("brightness", 0.5)))
    assert np.ptp(flat, axis=2).max() < 1e-6


def dataset(folder: Path, jitter: ColorJitterConfig | None, **changes: object) -> FaceDataset:
    options: dict[str, object] = {"vary_exposure": False, "size_px": 64} | changes
    return FaceDataset(
        DatasetConfig(
            root=folder.parent,
            sources=(SourceConfig(folder=folder.name),),
            recipes=(RecipeConfig(name="none", probability=1.0),),
            color_jitter=jitter,
            **options,  # type: ignore[arg-type]
        ),
        seed=1,
    )


def test_the_target_keeps_its_colors_and_the_table_can_disable_jitter(tmp_path: Path) -> None:
    folder = write_faces(tmp_path / "faces", count=2, side_px=64)
    always = ColorJitterConfig(shift_probability=1.0, gray_probability=0.0, tone_probability=0.0)
    plain, jittered = dataset(folder, None), dataset(folder, always)
    for index in range(4):
        clean, sample = plain[index], jittered[index]
        assert torch.equal(clean.target, sample.target)
        assert torch.allclose(clean.degraded, clean.target, atol=1e-6)
        moved = (sample.degraded - sample.target).abs().amax(dim=(1, 2))
        assert float(moved.max()) > 0.01
        assert float(moved.max()) <= 2 * 20.5 / 255


def test_gray_is_drawn_only_if_requested(tmp_path: Path) -> None:
    folder = write_faces(tmp_path / "faces", count=2, side_px=64)
    assert DatasetConfig(root=tmp_path, sources=(), recipes=()).gray_probability == 0

    def grays(**changes: object) -> int:
        faces = dataset(folder, None, **changes)
        spread = [float((faces[i].target[0] - faces[i].target[2]).abs().max()) for i in range(12)]
        return sum(value < 1e-6 for value in spread)

    assert grays() == grays(vary_exposure=True) == 0
    assert grays(gray_probability=1.0) == 12


def test_probabilities_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="shift_probability, tone_probability, gray_probability"):
        ColorJitterConfig(gray_probability=1.5)
    with pytest.raises(ConfigError, match="hue must be in"):
        ColorJitterConfig(hue=(-1.0, 0.1))
