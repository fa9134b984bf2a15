"""Figures of a restoration set clear edges apart from noise, blur and sharpening."""

import math

import cv2
import numpy as np
import pytest
from support.faceclips import face_picture

from vidrestore.metrics.visibility import edges_and_flat, trembling, visibility
from vidrestore.types import FloatArray


def face_lumas(frames: int = 4) -> FloatArray:
    """Return consecutive frames of a face with a little grain, as from a camera."""
    rng = np.random.default_rng(0)
    lumas = [
        cv2.cvtColor(face_picture(number, (160, 160)), cv2.COLOR_RGB2GRAY).astype(np.float32)
        for number in range(frames)
    ]
    return np.stack([luma + rng.normal(0, 1, luma.shape).astype(np.float32) for luma in lumas])


def each_frame(lumas: FloatArray, sigma: float, gain: float) -> FloatArray:
    """Return ``gain`` times what a Gaussian takes away, added; -1 leaves the Gaussian."""
    blurred = [np.asarray(cv2.GaussianBlur(luma, (0, 0), sigma)) for luma in lumas]
    return lumas + np.float32(gain) * (lumas - np.stack(blurred))


def test_a_film_compared_with_itself_shows_no_change() -> None:
    result = visibility([(face_lumas(), face_lumas())])

    assert (result.frames, result.edges, result.flat, result.clarity) == (4, 1, 1, 1)
    assert (result.change_levels, result.tremble, result.flicker) == (0, 1, 1)


def test_an_unsharp_mask_raises_edges_and_skin_alike_and_adds_no_clarity() -> None:
    result = visibility([(face_lumas(), each_frame(face_lumas(), 2, 1.5))])

    assert result.edges > 1.2
    assert result.flat > 1.2
    assert result.clarity < result.edges
    assert result.tremble > 1.2


def test_blur_lowers_edges_and_skin_and_trembling() -> None:
    result = visibility([(face_lumas(), each_frame(face_lumas(), 2, -1))])

    assert result.edges < 0.8
    assert result.flat < 0.8
    assert result.tremble < 0.8
    assert result.change_levels > 1


def test_noise_raises_skin_and_trembling_but_hardly_edges() -> None:
    noise = np.random.default_rng(1).normal(0, 4, face_lumas().shape).astype(np.float32)
    result = visibility([(face_lumas(), face_lumas() + noise)])

    assert result.flat > 1.5
    assert result.tremble > 1.5
    assert result.flicker > 1.5
    assert result.edges < 1.2
    assert result.clarity < 0.8


def test_a_face_that_moves_with_the_film_trembles_and_hardly_flickers() -> None:
    picture = face_lumas(1)[0]
    steps = [np.array([[1, 0, 0.9 * k * k], [0, 1, 0.4 * k]], dtype=np.float32) for k in range(5)]

    def moved(gain: float) -> FloatArray:
        strengthened = each_frame(cv2.GaussianBlur(picture, (0, 0), 2)[None], 2, gain)[0]
        warped = [
            cv2.warpAffine(strengthened, step, (160, 160), flags=cv2.INTER_CUBIC) for step in steps
        ]
        return np.stack(warped).astype(np.float32)

    still, trembling_detail = moved(0.0), moved(2.0)
    second = np.random.default_rng(2).normal(0, 6, still.shape).astype(np.float32)
    unsteady = visibility([(still, trembling_detail + second)])
    steady = visibility([(still, trembling_detail)])
    assert steady.flicker < 0.5 * unsteady.flicker


def test_stronger_edges_over_smoother_skin_are_clarity() -> None:
    calm = each_frame(face_lumas(), 1.5, -1)
    # A step keeps where the face is far from its blurred self: edges, not grain.
    strong = np.abs(face_lumas() - calm) > 12
    result = visibility([(face_lumas(), np.where(strong, face_lumas(), calm))])

    assert result.flat < 0.8
    assert result.clarity > 1.2


def test_the_gradient_of_a_ramp_is_its_slope() -> None:
    slope = np.tile(np.arange(20, dtype=np.float32) * 3, (10, 1))

    assert edges_and_flat(slope) == (3, 3)
    assert edges_and_flat(slope.T.copy()) == (3, 3)


def test_a_linear_fade_does_not_tremble_and_alternating_frames_do() -> None:
    board = np.indices((16, 16)).sum(axis=0).astype(np.float32) % 2 * 2 - 1
    fade = np.stack([index * board for index in range(5)])
    flicker = np.stack([(-1) ** index * board for index in range(5)])

    assert trembling(fade) == pytest.approx(np.zeros(3), abs=1e-5)
    # A board of single pixels is all fine detail: its second difference is 4.
    assert trembling(flicker) == pytest.approx(np.full(3, 4.0), rel=0.02)
    assert trembling(fade[:2]).size == 0


def test_sequences_are_weighted_by_frame_count_and_trembling_never_spans_two() -> None:
    long, short = face_lumas(6), face_lumas(2) + 40
    result = visibility([(long, long + 1), (short, short + 5)])

    assert result.frames == 8
    assert result.change_levels == pytest.approx((6 * 1 + 2 * 5) / 8)
    assert result.tremble == pytest.approx(1)


def test_scores_that_cannot_be_measured_are_nan() -> None:
    black = np.zeros((2, 8, 8), dtype=np.float32)
    result = visibility([(black, black + 1)])

    assert all(map(math.isnan, (result.edges, result.flat, result.clarity, result.tremble)))
    assert math.isnan(result.flicker)
    assert result.change_levels == 1


def test_shapes_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="needs a frame"):
        visibility([])
    for before, after in (
        (np.zeros((2, 8, 8)), np.zeros((2, 8, 9))),
        (np.zeros((0, 8, 8)), np.zeros((0, 8, 8))),
        (np.zeros((2, 8, 1)), np.zeros((2, 8, 1))),
        (np.zeros((8, 8)), np.zeros((8, 8))),
    ):
        with pytest.raises(ValueError, match="luma must be"):
            visibility([(before.astype(np.float32), after.astype(np.float32))])
