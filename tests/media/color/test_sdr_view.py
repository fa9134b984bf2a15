"""What networks are shown of HDR, and how their changes come back."""

import numpy as np
import pytest

from vidrestore.media.color.sdr_view import SdrView, sdr_view
from vidrestore.media.color.transfer import nits_to_pq, signed_power, to_bt709
from vidrestore.types import ColorTags

PQ, HLG = ColorTags(primaries=9, transfer=16), ColorTags(primaries=9, transfer=18)
WIDE, P3 = ColorTags(primaries=9, transfer=14), ColorTags(primaries=12, transfer=13)
SHOWN = [PQ, HLG, WIDE, P3, ColorTags(primaries=1, transfer=8), ColorTags(transfer=200)]


def view_of(color: ColorTags) -> SdrView:
    view = sdr_view(color)
    assert view is not None
    return view


def pq_of_sdr(sdr_rgb: np.ndarray) -> np.ndarray:
    """Return BT.2020 PQ of a BT.709 image whose white is 203 cd/m2 (BT.2408, section 5.2)."""
    light = sdr_rgb.astype(np.float64) ** 2.4 @ np.linalg.inv(to_bt709(9).astype(float)).T
    return nits_to_pq((light * 203).astype(np.float32))


@pytest.mark.parametrize("matrix", [1, 5, 6, 2])
@pytest.mark.parametrize(("primaries", "transfer"), [(1, 1), (2, 2), (5, 4), (6, 6), (1, 13)])
def test_sdr_is_unchanged_in_the_sdr_view(matrix: int, primaries: int, transfer: int) -> None:
    assert sdr_view(ColorTags(matrix=matrix, primaries=primaries, transfer=transfer)) is None


def test_sdr_content_in_hdr_looks_unchanged_up_to_the_highlights() -> None:
    rng = np.random.default_rng(1)
    sdr = rng.uniform(0.05, 0.85, (30, 40, 3)).astype(np.float32)
    np.testing.assert_allclose(view_of(PQ).to_view(pq_of_sdr(sdr)), sdr, atol=2e-3)


def test_highlights_are_compressed_smoothly_without_clipping() -> None:
    nits = np.geomspace(1, 10_000, 400, dtype=np.float32)
    view_rgb = view_of(PQ).to_view(nits_to_pq(np.repeat(nits[None, :, None], 3, axis=2)))[0, :, 0]
    slope = np.diff(view_rgb) / np.diff(np.log(nits))
    assert (slope > 0).all()
    assert np.abs(np.diff(slope)).max() < 0.25 * slope.max()
    assert view_rgb[np.searchsorted(nits, 1000)] == pytest.approx(1.0, abs=2e-3)
    assert 0.9 < view_rgb[np.searchsorted(nits, 203)] < 0.95


@pytest.mark.parametrize("color", SHOWN, ids=str)
def test_sdr_view_values_are_rounded_to_the_nearest_level(color: ColorTags) -> None:
    rng = np.random.default_rng(5)
    film = rng.uniform(-0.1, 1.1, (200, 300, 1)) + rng.normal(0, 0.02, (200, 300, 3))
    exact = 255 * np.clip(view_of(color).to_view(film.astype(np.float32)), 0, 1)
    error = np.abs(view_of(color).to_view_8bit(film.astype(np.float32)) - exact)
    # Where colors cancel out to black, the gamma of the view is steep.
    assert np.quantile(error, 0.999) <= 0.55
    assert error.max() <= 3.0


@pytest.mark.parametrize("color", SHOWN, ids=str)
def test_a_change_of_some_pixels_does_not_depend_on_the_others(
    color: ColorTags,
) -> None:
    rng = np.random.default_rng(6)
    film = rng.uniform(-0.1, 1.1, (300, 200, 3)).astype(np.float32)
    requested = rng.normal(0, 0.1, film.shape).astype(np.float32)
    some = np.zeros(film.shape[:2], bool)
    some[40:180, 30:150] = True
    partly = view_of(color).change(film, requested * some[:, :, None])
    full = view_of(color).change(film, requested)
    np.testing.assert_array_equal(partly, full * some[:, :, None])


@pytest.mark.parametrize("color", SHOWN, ids=str)
def test_an_unchanged_view_changes_no_sample(color: ColorTags) -> None:
    rng = np.random.default_rng(2)
    film = rng.uniform(-0.1, 1.1, (20, 30, 3)).astype(np.float32)
    assert not view_of(color).change(film, np.zeros_like(film)).any()


@pytest.mark.parametrize("color", SHOWN, ids=str)
def test_a_change_in_the_sdr_view_appears_in_the_hdr_film(color: ColorTags) -> None:
    view, rng = view_of(color), np.random.default_rng(3)
    film = rng.uniform(0.0, 0.9, (80, 100, 3)).astype(np.float32)
    requested = rng.normal(0, 0.04, film.shape).astype(np.float32)
    before = view.to_view(film)
    change = view.to_view(film + view.change(film, requested)) - before
    # Where the view is exact: under its knee before and after, not far below black.
    highest, lowest = np.maximum(before, before + requested), np.minimum(before, before + requested)
    exact = ((highest < 0.88) & (lowest > 0.02)).all(axis=2)
    assert exact.sum() > 200
    np.testing.assert_allclose(change[exact], requested[exact], atol=2e-3)


def test_a_highlight_is_changed_in_proportion_and_keeps_its_brightness() -> None:
    nits = np.array([[[400.0] * 3, [1000.0] * 3, [4000.0] * 3]], np.float32)
    view, film = view_of(PQ), nits_to_pq(nits)
    darker = np.full_like(film, -0.05)
    after = film + view.change(film, darker)
    view_rgb = view.to_view(film)
    expected = nits * (signed_power(view_rgb - 0.05, 2.4) / signed_power(view_rgb, 2.4))
    np.testing.assert_allclose(after, nits_to_pq(expected), atol=1e-4)
    assert (after > nits_to_pq(0.8 * nits)).all()


def test_a_face_restored_brighter_than_white_is_not_amplified() -> None:
    film = nits_to_pq(np.full((1, 1, 3), 80.0, np.float32))
    view = view_of(PQ)
    after = film + view.change(film, 1.0 - view.to_view(film))
    assert after[0, 0, 0] == pytest.approx(nits_to_pq(np.full((1, 1, 3), 203.0))[0, 0, 0], abs=1e-4)


def test_gray_stays_gray_in_the_view_and_in_the_film() -> None:
    film = np.linspace(0.05, 0.9, 50, dtype=np.float32)[None, :, None].repeat(3, axis=2)
    for color in (PQ, HLG, WIDE):
        view = view_of(color)
        np.testing.assert_allclose(np.ptp(view.to_view(film), axis=2), 0.0, atol=1e-4)
        changed = film + view.change(film, np.full_like(film, 0.03))
        np.testing.assert_allclose(np.ptp(changed, axis=2), 0.0, atol=1e-4)
