"""The mask of a face: 1 on its features, 0 before the crop ends, smooth between."""

import numpy as np
import pytest

from vidrestore.affine import apply_affine
from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.paste.masks import face_ellipse, mask_on_grid


def mask_of(points: np.ndarray) -> np.ndarray:
    return mask_on_grid(face_ellipse(points).to_unit, (512, 512))


@pytest.mark.parametrize("nose_shift", [-60.0, 0.0, 60.0])
def test_the_features_are_fully_inside_and_the_border_fully_outside(nose_shift: float) -> None:
    points = TEMPLATE_LANDMARKS_XY.copy()
    points[2, 0] += nose_shift
    mask = mask_of(points)
    for x, y in points:
        assert mask[round(y), round(x)] == 1.0
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    assert border.max() == 0.0


def test_the_mask_falls_smoothly() -> None:
    mask = mask_of(TEMPLATE_LANDMARKS_XY.copy())
    assert np.abs(np.diff(mask, axis=0)).max() < 0.04
    assert np.abs(np.diff(mask, axis=1)).max() < 0.04
    assert set(np.unique(mask[[0, 280], [0, 256]])) == {0.0, 1.0}


def test_the_bounds_contain_the_mask() -> None:
    ellipse = face_ellipse(TEMPLATE_LANDMARKS_XY.copy())
    y, x = np.nonzero(mask_on_grid(ellipse.to_unit, (512, 512)))
    left, top, right, bottom = ellipse.bounds_xyxy
    assert left <= x.min()
    assert x.max() <= right
    assert top <= y.min()
    assert y.max() <= bottom


def test_a_rotated_face_has_a_rotated_mask() -> None:
    turn = np.array([[np.cos(0.35), -np.sin(0.35)], [np.sin(0.35), np.cos(0.35)]])
    center = np.array([256.0, 280.0])
    points = apply_affine(
        np.concatenate([turn, (center - turn @ center)[:, None]], axis=1), TEMPLATE_LANDMARKS_XY
    )
    y, x = np.nonzero(mask_of(points) > 0.5)
    assert np.cov(x, y)[0, 1] < 0


def test_degenerate_landmarks_give_a_mask_inside_the_crop() -> None:
    points = np.tile([[250.0, 260.0]], (5, 1)) + np.arange(5)[:, None] * 0.1
    mask = mask_of(points)
    assert np.isfinite(mask).all()
    assert mask[0].max() == 0.0
