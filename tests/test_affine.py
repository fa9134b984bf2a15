"""Affine maps: fitted, composed, inverted."""

from fractions import Fraction

import numpy as np
import pytest

from vidrestore.affine import apply_affine, compose_affines, fit_similarity, invert_affine, scale_of
from vidrestore.types import DisplayGeometry


def similarity(*, scale: float, angle: float, shift: tuple[float, float]) -> np.ndarray:
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]])


@pytest.mark.parametrize("angle", [0.0, 0.7, 3.0, -2.2])
def test_a_similarity_is_recovered_from_point_pairs(angle: float) -> None:
    truth = similarity(scale=1.7, angle=angle, shift=(40.0, -3.0))
    points = np.random.default_rng(0).normal(size=(5, 2)) * 50
    np.testing.assert_allclose(
        fit_similarity(points, apply_affine(truth, points)), truth, atol=1e-9
    )


def test_the_fit_never_reflects() -> None:
    points = np.array([[0.0, 0], [1, 0], [0, 1], [2, 1]])
    fitted = fit_similarity(points, points * [-1.0, 1.0])
    assert np.linalg.det(fitted[:, :2]) > 0


def test_coinciding_points_are_refused() -> None:
    with pytest.raises(ValueError, match="coincide"):
        fit_similarity(np.ones((5, 2)), np.zeros((5, 2)))


def test_a_transform_composed_with_its_inverse_is_the_identity() -> None:
    affine = similarity(scale=0.3, angle=1.1, shift=(5.0, 6.0))
    np.testing.assert_allclose(
        compose_affines(affine, invert_affine(affine)), np.eye(2, 3), atol=1e-12
    )


def test_scale_is_the_root_of_the_area_ratio() -> None:
    assert scale_of(similarity(scale=2.5, angle=0.4, shift=(0, 0))) == pytest.approx(2.5)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("mirrored", [False, True])
def test_display_geometry_agrees_with_rotating_the_image(turns: int, mirrored: bool) -> None:
    geometry = DisplayGeometry(coded_hw=(3, 4), quarter_turns=turns, mirrored=mirrored)
    coded = np.arange(12).reshape(3, 4)
    displayed = np.rot90(coded[:, ::-1] if mirrored else coded, k=-turns)
    assert geometry.display_hw == displayed.shape
    to_display = geometry.coded_to_display()
    for y in range(3):
        for x in range(4):
            shown_x, shown_y = np.rint(apply_affine(to_display, [[x, y]])[0]).astype(int)
            assert displayed[shown_y, shown_x] == coded[y, x]


def test_non_square_pixels_stretch_the_width_only() -> None:
    geometry = DisplayGeometry(coded_hw=(576, 720), sample_aspect_ratio=Fraction(16, 15))
    assert geometry.display_hw == (576, 768)
    left, right = apply_affine(geometry.coded_to_display(), [[-0.5, 0], [719.5, 0]])
    assert left[0] == pytest.approx(-0.5)
    assert right[0] == pytest.approx(767.5)
