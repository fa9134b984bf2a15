"""Grain is measured and put back."""

import cv2
import numpy as np
import pytest

from vidrestore.paste.grain import grain_to_add, noise_inside

INSIDE = np.ones((160, 160), dtype=np.float32)


def scene() -> np.ndarray:
    y, x = np.mgrid[0:160, 0:160]
    return (0.5 + 0.2 * np.sin(x / 20) + 0.2 * (y > 80)).astype(np.float32)


def noisy(sigma: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, (160, 160))
    return (scene() + noise).astype(np.float32)


@pytest.mark.parametrize("sigma", [0.01, 0.03, 0.06])
def test_the_noise_of_a_scene_with_edges_is_measured(sigma: float) -> None:
    assert noise_inside(noisy(sigma), INSIDE) == pytest.approx(sigma, rel=0.1)


def test_a_denoised_face_gets_about_the_grain_it_lost() -> None:
    source = noisy(0.03)
    added = grain_to_add(source, scene(), INSIDE)
    assert added is not None
    assert noise_inside(scene() + added, INSIDE) == pytest.approx(0.03, rel=0.25)


def test_a_face_that_kept_its_grain_gets_no_more() -> None:
    source = noisy(0.03)
    added = grain_to_add(source, source, INSIDE)
    assert added is not None
    assert np.abs(added).max() < 1e-6


def test_clean_footage_gets_no_grain() -> None:
    assert grain_to_add(scene(), scene(), INSIDE) is None


def test_edges_of_the_source_are_not_added_as_grain() -> None:
    source = noisy(0.02)
    blurred = np.asarray(cv2.GaussianBlur(scene(), (0, 0), 2), np.float32)
    added = grain_to_add(source, blurred, INSIDE)
    assert added is not None
    assert np.abs(added).max() <= 2.5 * 0.02 * 1.15


def test_a_very_small_face_gets_no_grain() -> None:
    tiny = np.ones((6, 6), dtype=np.float32)
    assert grain_to_add(tiny, tiny, tiny) is None
