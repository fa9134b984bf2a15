"""The steps of degradations: blur, noise, tones, film damage, fields and tape."""

from itertools import pairwise

import numpy as np
import pytest

from vidrestore.training.degradations.analog_video import Tape, interlace
from vidrestore.training.degradations.base import frame_rng
from vidrestore.training.degradations.blur import (
    fast_gaussian_blur,
    gaussian_blur,
    generalized_kernel,
    ringing_kernel,
    shake_kernel,
    uneven_motion_kernel,
)
from vidrestore.training.degradations.fading import Tone
from vidrestore.training.degradations.film_damage import FilmDamage
from vidrestore.training.degradations.noise import add_shot_noise, fast_normal

GRAY = np.full((64, 80, 3), 0.5, np.float32)


def noise_image() -> np.ndarray:
    return np.random.default_rng(0).random((160, 200, 3), dtype=np.float32)


@pytest.mark.parametrize("sigma_px", [0.5, 3.9, 4.0, 7.3, 15.0])
def test_the_fast_gaussian_approximates_the_exact_one(sigma_px: float) -> None:
    exact = gaussian_blur(noise_image(), sigma_px=sigma_px, ratio=1.0, angle=0.0)
    fast = fast_gaussian_blur(noise_image(), sigma_px=sigma_px)
    inner = np.s_[40:-40, 40:-40]
    assert np.abs(fast - exact)[inner].max() < 0.012
    assert fast[inner].std() == pytest.approx(exact[inner].std(), rel=0.06)


def test_a_uniform_motion_spreads_a_point_over_its_length() -> None:
    kernel = uneven_motion_kernel(length_px=15, angle=0.0, asymmetry=0.0)
    middle = kernel.shape[0] // 2
    row = kernel[middle]
    assert kernel.sum() == pytest.approx(1.0, abs=1e-5)
    assert row.sum() == pytest.approx(1.0, abs=1e-5)
    assert np.count_nonzero(row > 0.01) == 15
    asymmetric = uneven_motion_kernel(length_px=15, angle=0.0, asymmetry=1.0)[middle]
    assert asymmetric[middle + 4] > 2 * asymmetric[middle - 4]


def test_a_shake_kernel_depends_on_its_seed_and_covers_its_length() -> None:
    first, again = (shake_kernel(length_px=30, bend=1.5, seed=4) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.sum() == pytest.approx(1.0, abs=1e-5)
    assert 15 < np.count_nonzero(first > 1e-4) < 150
    assert not np.array_equal(first, shake_kernel(length_px=30, bend=1.5, seed=5))


def test_a_low_power_gives_a_higher_peak() -> None:
    def peak(power: float) -> float:
        kernel = generalized_kernel(sigma_px=2.0, ratio=1.0, angle=0.0, power=power, plateau=False)
        return float(kernel[6, 6] / kernel[6, 7])

    assert peak(1.0) > peak(2.0) > peak(6.0)


def test_a_ringing_kernel_overshoots_an_edge() -> None:
    kernel = ringing_kernel(cutoff=1.5, reach_px=5)
    edge = np.cumsum(kernel.sum(axis=0))
    assert edge.max() > 1.03
    assert edge[-1] == pytest.approx(1.0, abs=1e-5)


def test_fast_noise_is_normal_and_depends_on_its_seed() -> None:
    noise = fast_normal((200_000,), np.random.default_rng(0))
    np.testing.assert_array_equal(noise, fast_normal((200_000,), np.random.default_rng(0)))
    assert noise.mean() == pytest.approx(0.0, abs=0.01)
    assert noise.std() == pytest.approx(1.0, abs=0.01)
    assert np.mean(np.abs(noise) > 1.96) == pytest.approx(0.05, abs=0.003)


def test_shot_noise_grows_with_the_root_of_brightness() -> None:
    def deviation(level: float) -> float:
        flat = np.full((100, 100, 3), level, np.float32)
        rng = np.random.default_rng(0)
        return float(add_shot_noise(flat, photons=400, gray=False, rng=rng).std())

    assert deviation(1.0) == pytest.approx(0.05, rel=0.05)
    assert deviation(0.25) == pytest.approx(0.025, rel=0.05)


def test_frame_0_has_the_generator_of_a_single_image() -> None:
    assert frame_rng(7, 0).random() == np.random.default_rng(7).random()
    assert frame_rng(7, 0).random() != frame_rng(7, 1).random()


def test_gray_has_no_color_and_flicker_changes_exposure_only() -> None:
    gray = Tone(gray=1.0).apply(noise_image(), 0)
    assert np.ptp(gray, axis=2).max() < 1e-5
    flickering = Tone(flicker=0.05, seed=1)
    means = [float(flickering.apply(GRAY, index).mean()) for index in range(8)]
    assert len(set(means)) == 8
    assert float(np.std(means)) == pytest.approx(0.025, abs=0.02)


def damage(**changes: float) -> FilmDamage:
    settings = {
        "scratches": 0,
        "scratch_strength": 0.8,
        "specks_per_frame": 0.0,
        "speck_px": 1.5,
        "hair_probability": 0.0,
        "unevenness": 0.0,
        "seed": 5,
    }
    return FilmDamage(**{**settings, **changes})  # type: ignore[arg-type]


def test_scratches_are_vertical_and_persist() -> None:
    scratched = damage(scratches=4)
    changes = [np.abs(scratched.apply(GRAY, index) - GRAY).mean(axis=2) for index in range(6)]
    columns = [change.mean(axis=0) for change in changes if change.max() > 0.1]
    assert len(columns) >= 3
    positions = [int(column.argmax()) for column in columns]
    assert min(abs(a - b) for a, b in pairwise(positions)) <= 2


def test_dust_changes_with_every_frame() -> None:
    dusty = damage(specks_per_frame=6.0)
    first, second = (np.abs(dusty.apply(GRAY, k) - GRAY).max(axis=2) > 0.05 for k in (0, 1))
    assert 5 < first.sum() < 600
    assert (first & second).sum() < 0.5 * first.sum()


def test_film_damage_of_strength_zero_changes_nothing() -> None:
    np.testing.assert_array_equal(damage().apply(GRAY, 3), GRAY)


def test_woven_fields_comb_a_moving_edge_and_deinterlacing_removes_the_comb() -> None:
    frames = []
    for step in range(2):
        frame = np.zeros((32, 64, 3), np.float32)
        frame[:, 20 + 8 * step :] = 1.0
        frames.append(frame)

    def comb(image: np.ndarray) -> float:
        return float(np.abs(np.diff(image, axis=0)).mean())

    assert comb(frames[0]) == 0
    assert comb(interlace(frames, "none")[0]) > 0.02
    assert comb(interlace(frames, "bob")[0][:-1]) == pytest.approx(0, abs=1e-6)
    assert comb(interlace(frames, "blend")[0][1:-1]) == pytest.approx(0, abs=1e-6)


def tape(**changes: float) -> Tape:
    settings = {
        "luma_px": 0.0,
        "overshoot": 0.0,
        "chroma_px": 0.0,
        "chroma_lines": 0.0,
        "chroma_shift_px": 0.0,
        "luma_noise": 0.0,
        "chroma_noise": 0.0,
        "jitter_px": 0.0,
        "dropouts_per_frame": 0.0,
        "seed": 3,
    }
    return Tape(**{**settings, **changes})  # type: ignore[arg-type]


def test_a_tape_without_degradation_changes_nothing() -> None:
    np.testing.assert_allclose(tape().apply(noise_image(), 0), noise_image(), atol=2e-3)


def test_a_tape_blurs_chroma_along_lines_and_keeps_luma_sharp() -> None:
    image = np.full((40, 80, 3), 0.5, np.float32)
    image[:, 40:] += np.array([0.2, -0.1018, 0.0], np.float32)  # the same luma
    played = tape(chroma_px=4.0).apply(image, 0)
    luma = played @ np.array([0.299, 0.587, 0.114], np.float32)
    assert np.abs(luma - 0.5).max() < 0.01
    red = played[20, :, 0]
    assert 0.52 < red[38] < 0.6 < red[42] < 0.68
    shifted = tape(chroma_px=4.0, chroma_shift_px=3.0).apply(image, 0)[20, :, 0]
    np.testing.assert_allclose(shifted[33:50], red[30:47], atol=2e-3)


def test_jitter_displaces_lines_and_dropouts_are_horizontal() -> None:
    image = np.zeros((60, 80, 3), np.float32)
    image[:, 40:] = 1.0
    edges = tape(jitter_px=1.0).apply(image, 0)[:, :, 1].sum(axis=1)
    assert 0.3 < edges.std() < 3
    dropouts = np.abs(tape(dropouts_per_frame=8.0).apply(GRAY, 0) - 0.5).max(axis=2) > 0.05
    assert 1 <= dropouts.any(axis=1).sum() <= 16
