"""Curves and primaries against published values, and back."""

import numpy as np
import pytest

from vidrestore.media.color.code_points import HLG, LINEAR, PQ, PRINTING_DENSITY
from vidrestore.media.color.transfer import (
    from_bt709,
    hlg_to_nits,
    hlg_to_scene,
    nits_to_hlg,
    nits_to_pq,
    pq_to_nits,
    scene_to_hlg,
    to_bt709,
    transfer_of,
)

# Cd/m2 and signal: SMPTE ST 2084, and table 1 of ITU-R BT.2408-7 (203 is HDR's reference white).
PQ_VALUES = [
    (0.0, 0.0), (0.1, 0.0623), (1.0, 0.1499), (100.0, 0.5081), (203.0, 0.5807), (1000.0, 0.7518),
    (4000.0, 0.9026), (10_000.0, 1.0),
]  # fmt: skip


def gray(*values: float) -> np.ndarray:
    return np.array([[[value] * 3 for value in values]], np.float32)


@pytest.mark.parametrize(("nits", "signal"), PQ_VALUES)
def test_pq_matches_its_published_values(nits: float, signal: float) -> None:
    assert nits_to_pq(gray(nits))[0, 0, 0] == pytest.approx(signal, abs=6e-5)
    back = pq_to_nits(nits_to_pq(gray(nits)))[0, 0, 0]
    assert back == pytest.approx(nits, rel=1e-3, abs=1e-4)


def test_pq_distinguishes_all_levels_of_16_bits() -> None:
    steps = np.arange(1, 1 << 16) / 65535
    root = steps ** (4096 / 2523 / 128)
    share = np.maximum(root - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * root)
    nits = 10_000 * share ** (16384 / 2610)  # SMPTE ST 2084, equation 4.1, in double precision

    signal = steps.astype(np.float32)[None, :, None]

    np.testing.assert_allclose(pq_to_nits(signal)[0, :, 0], nits, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(nits_to_pq(pq_to_nits(signal)), signal, atol=0.07 / 65535)


def test_hlg_matches_its_published_values() -> None:
    # ITU-R BT.2100, table 5: half the signal is a twelfth of the light; BT.2408: 75 % is 203 cd/m2.
    scene = hlg_to_scene(gray(0.0, 0.5, 1.0))[0, :, 0]
    np.testing.assert_allclose(scene, [0.0, 1 / 12, 1.0], atol=1e-6)
    assert hlg_to_nits(gray(0.75))[0, 0, 0] == pytest.approx(203.0, abs=0.3)
    assert hlg_to_nits(gray(1.0))[0, 0, 0] == pytest.approx(1000.0, abs=0.1)
    assert scene_to_hlg(gray(1 / 12))[0, 0, 0] == pytest.approx(0.5, abs=1e-6)


def test_white_and_reference_points_of_film_density_have_their_published_codes() -> None:
    light = transfer_of(PRINTING_DENSITY).to_light(gray(95 / 1023, 685 / 1023))[0, :, 0]
    np.testing.assert_allclose(light, [0.0, 1.0], atol=1e-5)


@pytest.mark.parametrize("code", [1, 14, PQ, HLG, LINEAR])
def test_every_transfer_curve_can_be_inverted_even_below_black(code: int) -> None:
    rng = np.random.default_rng(0)
    signal = rng.uniform(-0.05, 1.0, (40, 60, 3)).astype(np.float32)
    curves = transfer_of(code)
    np.testing.assert_allclose(curves.from_light(curves.to_light(signal)), signal, atol=2e-6)


def test_a_bright_color_of_hlg_keeps_its_hue_on_the_display() -> None:
    signal = np.array([[[0.8, 0.5, 0.3]]], np.float32)
    scene, displayed = hlg_to_scene(signal), hlg_to_nits(signal)
    np.testing.assert_allclose(displayed / displayed.max(), scene / scene.max(), rtol=1e-5)
    np.testing.assert_allclose(nits_to_hlg(displayed), signal, atol=1e-5)


def test_bt2020_primaries_are_converted_to_bt709() -> None:
    # ITU-R BT.2407-0, equation 2.
    expected = [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
    np.testing.assert_allclose(to_bt709(9), expected, atol=1e-4)
    np.testing.assert_allclose(to_bt709(9).sum(axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(from_bt709(9) @ to_bt709(9), np.eye(3), atol=1e-6)
    np.testing.assert_array_equal(to_bt709(6), np.eye(3))
