from dataclasses import replace

import cv2
import numpy as np
import pytest
from support.frames import GRAY, random_frame
from support.safeguards import (
    FloatImage,
    aligned_face,
    chw,
    covered_crop,
    face_crop,
    sharp_crop,
    texture,
    tracked_face,
)

from vidrestore.safeguard.checks import (
    check_occlusion,
    check_track,
    crop_luma,
    crop_resolution_px,
    quality_deficit,
    yaw_degrees,
)
from vidrestore.safeguard.config import SafeguardConfig
from vidrestore.safeguard.image_quality import (
    block_edges,
    central_square,
    effective_resolution_px,
    fine_noise,
)
from vidrestore.types import Assessment, DisplayGeometry, TrackedFace

GEOMETRY = DisplayGeometry(coded_hw=(8, 8))


def occlusion(crop: FloatImage) -> Assessment:
    return check_occlusion(aligned_face(crop))


def deficit(crop: FloatImage) -> float:
    aligned = aligned_face(crop)
    luma_hw = crop_luma(aligned.crop_chw)
    return quality_deficit(
        random_frame(GRAY, (8, 8), index=0),
        GEOMETRY,
        display_to_crop=aligned.display_to_crop,
        square_hw=central_square(luma_hw),
        resolution_px=crop_resolution_px(aligned, luma_hw),
    )


def track_assessment(face: TrackedFace) -> Assessment:
    return check_track(face, SafeguardConfig())


def lose_resolution(image: np.ndarray, side: int) -> FloatImage:
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, image.shape[1::-1]), dtype=np.float32)


def test_an_old_face_is_restored_in_full() -> None:
    assert occlusion(face_crop()) == Assessment()
    assert deficit(face_crop()) == 1.0


def test_a_sharp_face_has_no_quality_deficit() -> None:
    assert deficit(sharp_crop()) == 0.0


def test_a_good_face_is_restored_less_by_keep_good() -> None:
    good = replace(tracked_face(), source_quality=1.0)
    assert track_assessment(good) == Assessment(0.0, "already good")
    assert check_track(good, SafeguardConfig(keep_good=0.0)) == Assessment()
    assert check_track(good, SafeguardConfig(keep_good=0.25)).strength == pytest.approx(0.75)


def test_the_quality_deficit_grows_as_resolution_falls() -> None:
    deficits = [deficit(lose_resolution(sharp_crop(), side)) for side in (512, 280, 256, 240, 160)]

    assert (deficits[0], deficits[-1]) == (0.0, 1.0)
    assert deficits == sorted(deficits)


def test_strong_noise_gives_a_sharp_face_a_quality_deficit() -> None:
    noise = np.random.default_rng(0).normal(0, 10 / 255, (512, 512, 1)).astype(np.float32)

    assert deficit((sharp_crop() + noise).clip(0, 1)) > 0.9


def test_a_half_hidden_face_is_restored_less() -> None:
    assessment = occlusion(covered_crop())

    assert assessment.reason == "occluded"
    assert assessment.strength < 0.5


@pytest.mark.parametrize("crop", [texture(1), np.flipud(face_crop()), np.rot90(face_crop())])
def test_a_crop_without_an_upright_face_is_not_restored(crop: FloatImage) -> None:
    image = crop if crop.ndim == 3 else np.dstack([0.5 + 0.15 * crop] * 3).clip(0, 1)

    assert occlusion(np.ascontiguousarray(image)) == Assessment(0.0, "occluded")


def test_side_light_and_faded_contrast_are_not_occlusions() -> None:
    side = np.linspace(0.3, 1.0, 512, dtype=np.float32)[None, :, None]

    assert occlusion(face_crop() * side) == Assessment()
    assert occlusion(0.45 + 0.2 * face_crop()) == Assessment()


def test_strength_falls_from_frontal_to_profile_views() -> None:
    strengths = [
        track_assessment(tracked_face(nose_shift=s)).strength for s in (0, 0.3, 0.4, 0.5, 0.7)
    ]

    assert (strengths[0], strengths[1], strengths[-1]) == (1.0, 1.0, 0.0)
    assert strengths == sorted(strengths, reverse=True)
    assert track_assessment(tracked_face(nose_shift=-0.7)).reason == "turned"


def test_a_three_quarter_face_is_restored_in_full() -> None:
    face = tracked_face(nose_shift=0.45)

    assert yaw_degrees(face.landmarks_xy) == pytest.approx(52, abs=1)
    assert track_assessment(face) == Assessment()


def test_yaw_does_not_depend_on_roll() -> None:
    points = tracked_face(nose_shift=0.35).landmarks_xy
    turn = np.array([[0.8, -0.6], [0.6, 0.8]], dtype=np.float32)

    assert yaw_degrees(points) == pytest.approx(yaw_degrees(3 * points @ turn), abs=1e-3)
    assert yaw_degrees(points) == pytest.approx(45, abs=2)


def test_a_face_of_low_score_is_not_restored() -> None:
    assert track_assessment(tracked_face(score=0.99)) == Assessment()
    assert track_assessment(tracked_face(score=0.68)) == Assessment(0.0, "unsure")


@pytest.mark.parametrize("side", [96, 128, 192, 256])
def test_effective_resolution_is_that_before_enlargement(side: int) -> None:
    image = 128 + 30 * texture()

    assert effective_resolution_px(image, roll_radians=0.0) == 512
    assert effective_resolution_px(lose_resolution(image, side), roll_radians=0.0) == pytest.approx(
        side, rel=0.25
    )


@pytest.mark.parametrize("side", [96, 128, 192])
def test_a_small_crop_has_the_effective_resolution_of_a_large_one(side: int) -> None:
    large = lose_resolution(128 + 30 * texture(), side)
    small = np.asarray(cv2.resize(large, (256, 256), interpolation=cv2.INTER_AREA), np.float32)

    for roll in (0.0, 0.4):
        assert effective_resolution_px(small, roll_radians=roll) == pytest.approx(
            effective_resolution_px(large, roll_radians=roll), rel=0.12
        )


def test_noise_does_not_lower_the_effective_resolution() -> None:
    plain = crop_luma(chw(face_crop()))
    noisy = plain + np.random.default_rng(0).normal(0, 4, plain.shape).astype(np.float32)

    assert fine_noise(noisy) == pytest.approx(4, rel=0.15)
    assert (
        effective_resolution_px(noisy, roll_radians=0)
        >= effective_resolution_px(plain, roll_radians=0) - 1
    )


def test_block_edges_grow_with_compression() -> None:
    luma = (crop_luma(chw(sharp_crop()))).clip(0, 255).astype(np.uint8)
    excess = [block_edges(luma, origin_xy=(0, 0), max_value=255)]
    for quality in (75, 45, 15):
        _, data = cv2.imencode(".jpg", luma, [cv2.IMWRITE_JPEG_QUALITY, quality])
        coded = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)
        excess.append(block_edges(coded[:, 3:], origin_xy=(3, 0), max_value=255))

    assert abs(excess[0]) < 0.05
    assert excess == sorted(excess)
    assert excess[-1] > 0.55


def test_block_edges_do_not_depend_on_bit_depth() -> None:
    luma = crop_luma(chw(face_crop())).clip(0, 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", luma, [cv2.IMWRITE_JPEG_QUALITY, 10])
    coded = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)

    shallow = block_edges(coded, origin_xy=(0, 0), max_value=255)
    deep = block_edges(coded.astype(np.uint16) * 257, origin_xy=(0, 0), max_value=65535)

    assert shallow == pytest.approx(deep, abs=1e-4)
