"""What speaks against restoring: hidden, turned, uncertain, or good already."""

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
    tracked,
)

from vidrestore.safeguard.checks import (
    check_occlusion,
    check_track,
    crop_luma,
    quality_deficit,
    yaw_degrees,
)
from vidrestore.safeguard.config import SafeguardConfig
from vidrestore.safeguard.image_quality import block_edges, effective_resolution_px, noise_sigma
from vidrestore.types import Assessment, DisplayGeometry, TrackedFace

GEOMETRY = DisplayGeometry(coded_hw=(8, 8))


def read(crop: FloatImage) -> Assessment:
    return check_occlusion(aligned_face(crop))


def lack(crop: FloatImage) -> float:
    return quality_deficit(random_frame(GRAY, (8, 8), index=0), GEOMETRY, aligned_face(crop))


def points_reading(face: TrackedFace) -> Assessment:
    return check_track(face, SafeguardConfig())


def shrunk(picture: np.ndarray, side: int) -> FloatImage:
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, picture.shape[1::-1]), dtype=np.float32)


def test_an_old_face_is_restored_in_full() -> None:
    assert read(face_crop()) == Assessment()
    assert lack(face_crop()) == 1.0


def test_a_face_that_is_sharp_lacks_nothing() -> None:
    assert lack(sharp_crop()) == 0.0


def test_a_good_face_is_left_alone_as_far_as_is_asked_for() -> None:
    good = replace(tracked(), source_quality=1.0)
    assert points_reading(good) == Assessment(0.0, "already good")
    assert check_track(good, SafeguardConfig(keep_good=0.0)) == Assessment()
    assert check_track(good, SafeguardConfig(keep_good=0.25)).strength == pytest.approx(0.75)


def test_a_face_that_lost_its_detail_lacks_it_and_in_between_lacks_less() -> None:
    lacks = [lack(shrunk(sharp_crop(), side)) for side in (512, 280, 256, 240, 160)]

    assert (lacks[0], lacks[-1]) == (0.0, 1.0)
    assert lacks == sorted(lacks)


def test_a_sharp_face_under_strong_noise_lacks_much() -> None:
    noise = np.random.default_rng(0).normal(0, 10 / 255, (512, 512, 1)).astype(np.float32)

    assert lack((sharp_crop() + noise).clip(0, 1)) > 0.9


def test_a_face_half_behind_something_is_left_alone_or_restored_less() -> None:
    found = read(covered_crop())

    assert found.reason == "occluded"
    assert found.strength < 0.5


@pytest.mark.parametrize("crop", [texture(1), np.flipud(face_crop()), np.rot90(face_crop())])
def test_what_is_no_upright_face_is_left_alone(crop: FloatImage) -> None:
    picture = crop if crop.ndim == 3 else np.dstack([0.5 + 0.15 * crop] * 3).clip(0, 1)

    assert read(np.ascontiguousarray(picture)) == Assessment(0.0, "occluded")


def test_light_from_one_side_and_faded_contrast_do_not_hide_a_face() -> None:
    side = np.linspace(0.3, 1.0, 512, dtype=np.float32)[None, :, None]

    assert read(face_crop() * side) == Assessment()
    assert read(0.45 + 0.2 * face_crop()) == Assessment()


def test_a_face_seen_from_the_front_is_taken_and_one_turned_away_is_not() -> None:
    strengths = [points_reading(tracked(nose_shift=s)).strength for s in (0, 0.3, 0.4, 0.5, 0.7)]

    assert (strengths[0], strengths[1], strengths[-1]) == (1.0, 1.0, 0.0)
    assert strengths == sorted(strengths, reverse=True)
    assert points_reading(tracked(nose_shift=-0.7)).reason == "turned"


def test_a_three_quarter_face_is_restored_in_full() -> None:
    face = tracked(nose_shift=0.45)

    assert yaw_degrees(face.landmarks_xy) == pytest.approx(52, abs=1)
    assert points_reading(face) == Assessment()


def test_yaw_does_not_depend_on_how_the_head_is_tilted() -> None:
    points = tracked(nose_shift=0.35).landmarks_xy
    turn = np.array([[0.8, -0.6], [0.6, 0.8]], dtype=np.float32)

    assert yaw_degrees(points) == pytest.approx(yaw_degrees(3 * points @ turn), abs=1e-3)
    assert yaw_degrees(points) == pytest.approx(45, abs=2)


def test_a_face_that_the_detector_doubts_is_left_alone() -> None:
    assert points_reading(tracked(score=0.99)) == Assessment()
    assert points_reading(tracked(score=0.68)) == Assessment(0.0, "unsure")


@pytest.mark.parametrize("side", [96, 128, 192, 256])
def test_real_detail_is_told_of_pictures_that_were_shrunk(side: int) -> None:
    picture = 128 + 30 * texture()

    assert effective_resolution_px(picture, roll_radians=0.0) == 512
    assert effective_resolution_px(shrunk(picture, side), roll_radians=0.0) == pytest.approx(
        side, rel=0.25
    )


def test_noise_does_not_hide_what_a_picture_shows() -> None:
    plain = crop_luma(chw(face_crop()))
    noisy = plain + np.random.default_rng(0).normal(0, 4, plain.shape).astype(np.float32)

    assert noise_sigma(noisy) == pytest.approx(4, rel=0.15)
    assert (
        effective_resolution_px(noisy, roll_radians=0)
        >= effective_resolution_px(plain, roll_radians=0) - 1
    )


def test_edges_of_blocks_grow_as_pictures_are_compressed_more() -> None:
    luma = (crop_luma(chw(sharp_crop()))).clip(0, 255).astype(np.uint8)
    excess = [block_edges(luma, origin_xy=(0, 0), max_value=255)]
    for quality in (75, 45, 15):
        _, data = cv2.imencode(".jpg", luma, [cv2.IMWRITE_JPEG_QUALITY, quality])
        coded = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)
        excess.append(block_edges(coded[:, 3:], origin_xy=(3, 0), max_value=255))

    assert abs(excess[0]) < 0.05
    assert excess == sorted(excess)
    assert excess[-1] > 0.55


def test_blocks_are_found_at_any_bit_depth() -> None:
    luma = crop_luma(chw(face_crop())).clip(0, 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", luma, [cv2.IMWRITE_JPEG_QUALITY, 10])
    coded = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)

    shallow = block_edges(coded, origin_xy=(0, 0), max_value=255)
    deep = block_edges(coded.astype(np.uint16) * 257, origin_xy=(0, 0), max_value=65535)

    assert shallow == pytest.approx(deep, abs=1e-4)
