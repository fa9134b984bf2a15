import numpy as np
import pytest
from support.faces import landmarks_at

from vidrestore.affine import apply_affine
from vidrestore.faces.template import (
    TEMPLATE_LANDMARKS_XY,
    landmark_roll_radians,
    similarity_to_template,
)


def test_a_frontal_face_maps_onto_the_template_at_any_rotation() -> None:
    points = landmarks_at((220.0, 90.0), eyes_px=33.0, roll=0.8)

    to_template = similarity_to_template(points)

    np.testing.assert_allclose(apply_affine(to_template, points), TEMPLATE_LANDMARKS_XY, atol=1e-9)


def test_the_alignment_never_mirrors_a_face() -> None:
    mirrored = TEMPLATE_LANDMARKS_XY * [-1, 1]

    assert np.linalg.det(similarity_to_template(mirrored)[:, :2]) > 0


@pytest.mark.parametrize("roll", [-2.5, -0.4, 0.0, 1.0, 3.0])
def test_roll_is_the_clockwise_rotation_of_a_face(roll: float) -> None:
    assert landmark_roll_radians(landmarks_at((50.0, 60.0), roll=roll)) == pytest.approx(roll)


def test_coinciding_landmarks_are_refused() -> None:
    with pytest.raises(ValueError, match="coincide"):
        similarity_to_template(np.ones((5, 2)))
