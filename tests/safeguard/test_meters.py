import cv2
import numpy as np
import pytest
import torch
from support.safeguards import (
    FloatImage,
    chw,
    closed_eyes_crop,
    closed_mouth_crop,
    face_crop,
    other_crop,
)

from vidrestore.safeguard.checks import crop_luma
from vidrestore.safeguard.config import EYE_MOUTH_CHANGE, IDENTITY, SURELY_SAME_FACE
from vidrestore.safeguard.eye_mouth_change import eye_mouth_change
from vidrestore.safeguard.identity import (
    IdentityMeter,
    distance_to_similarity,
    embedding_norm,
    packaged_dlib_resnet,
)
from vidrestore.safeguard.image_quality import effective_resolution_px


@pytest.fixture(scope="module")
def meter() -> IdentityMeter:
    return IdentityMeter(packaged_dlib_resnet(), device=torch.device("cpu"))


def resolution_px(crop: FloatImage) -> float:
    return effective_resolution_px(crop_luma(chw(crop)), roll_radians=0.0)


def distance(meter: IdentityMeter, source: FloatImage, restored: FloatImage) -> float:
    return meter.distance(chw(source), chw(restored), resolution_px=resolution_px(source))


def changes(source: FloatImage, restored: FloatImage) -> tuple[float, float, float]:
    before, after = crop_luma(chw(source)), crop_luma(chw(restored))
    return eye_mouth_change(before, after, resolution_px=resolution_px(source))


def blur(crop: FloatImage, sigma: float) -> FloatImage:
    return np.asarray(cv2.GaussianBlur(crop, (0, 0), sigma), dtype=np.float32)


def test_equal_crops_have_distance_zero(meter: IdentityMeter) -> None:
    assert distance(meter, face_crop(), face_crop()) == pytest.approx(0, abs=1e-5)
    assert distance_to_similarity(0.0) == 1.0


def test_the_norm_of_a_clear_face_is_alike_in_crops_of_every_size() -> None:
    norm = embedding_norm(packaged_dlib_resnet(), device=torch.device("cpu"))
    for crop in (face_crop(), other_crop()):
        face = np.rint(255 * crop).astype(np.uint8)
        half = np.asarray(cv2.resize(face, (256, 256), interpolation=cv2.INTER_AREA), np.uint8)
        assert 1.36 < norm(face) < 1.7
        assert norm(half) == pytest.approx(norm(face), abs=0.02)


@pytest.mark.parametrize("sigma", [1.5, 3.0, 5.0])
def test_restored_detail_of_a_blurred_face_is_not_a_change_of_identity(
    meter: IdentityMeter, sigma: float
) -> None:
    assert IDENTITY(distance(meter, blur(face_crop(), sigma), face_crop())) == 1.0


def test_a_different_face_is_detected_fully_or_half_blended(meter: IdentityMeter) -> None:
    full_distance = distance(meter, face_crop(), other_crop())
    half = distance(meter, face_crop(), 0.5 * face_crop() + 0.5 * other_crop())

    assert IDENTITY(full_distance) == 0.0
    assert IDENTITY(half) < 0.5
    assert half < full_distance


def test_half_precision_measures_nearly_the_same_distance(meter: IdentityMeter) -> None:
    half = IdentityMeter(packaged_dlib_resnet(), device=torch.device("cpu"), dtype=torch.bfloat16)

    for restored in (face_crop(), blur(face_crop(), 3.0), other_crop()):
        expected = distance(meter, face_crop(), restored)
        assert distance(half, face_crop(), restored) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.4])
def test_a_face_counts_as_surely_the_same_only_far_below_the_distance_that_matters(
    meter: IdentityMeter, share: float
) -> None:
    mixed = np.asarray((1 - share) * face_crop() + share * other_crop(), dtype=np.float32)
    if changes(face_crop(), mixed)[2] < SURELY_SAME_FACE:
        assert distance(meter, face_crop(), mixed) < 0.7 * IDENTITY.one_at
    else:
        assert share > 0.1


def test_similarity_is_half_at_the_threshold_and_at_least_minus_one() -> None:
    assert distance_to_similarity(0.6) == pytest.approx(0.5)
    assert distance_to_similarity(9.0) == -1.0


def test_a_distance_is_reproducible(meter: IdentityMeter) -> None:
    first = distance(meter, face_crop(), other_crop())

    assert distance(meter, face_crop(), other_crop()) == first


def test_eyes_opened_by_the_restorer_are_detected_apart_from_the_mouth() -> None:
    eyes, mouth, _ = changes(closed_eyes_crop(), face_crop())

    assert EYE_MOUTH_CHANGE(eyes) == 0.0
    assert EYE_MOUTH_CHANGE(mouth) == 1.0


def test_closed_eyes_are_detected() -> None:
    assert EYE_MOUTH_CHANGE(changes(face_crop(), closed_eyes_crop())[0]) < 0.5


def test_a_mouth_opened_or_closed_by_the_restorer_is_detected_apart_from_the_eyes() -> None:
    for source, restored in (
        (closed_mouth_crop(), face_crop()),
        (face_crop(), closed_mouth_crop()),
    ):
        eyes, mouth, _ = changes(source, restored)
        assert EYE_MOUTH_CHANGE(mouth) < 0.2
        assert EYE_MOUTH_CHANGE(eyes) == 1.0


def test_sharpness_contrast_and_brightness_do_not_count_as_changes() -> None:
    source = blur(face_crop(), 3.0)
    for restored in (
        face_crop(),
        np.clip(1.5 * face_crop() - 0.5 * blur(face_crop(), 4.0), 0, 1),
        np.clip(1.2 * face_crop() + 0.05, 0, 1),
    ):
        eyes, mouth, _ = changes(source, restored)
        assert [EYE_MOUTH_CHANGE(change) for change in (eyes, mouth)] == [1.0, 1.0]
